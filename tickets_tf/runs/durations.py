"""How long runs take, by a model that is fitted to the records that are there."""

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Sequence
import dataclasses
import functools
import heapq
import statistics

import numpy as np
import scipy.optimize

from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import DataSettings
from tickets_tf.runs.settings import MachineSettings
from tickets_tf.runs.settings import NetworkSettings
from tickets_tf.runs.settings import Settings

_SEEDS = ('seed', 'order_seed', 'init_seed')
_LEFT_OUT = 30  # Records that are left out, one after another, to see how well the others foretell them.

# What a time rests on, the best first.
OTHER_SEEDS = 'the same run of another seed'
SAME_NETWORK = 'runs of the same network on the same data'
ANY_RUN = 'all runs'


@dataclasses.dataclass(frozen=True)
class Durations:
  """A model of how long runs take.

  A run takes the mean time of the same run under other seeds. If there is none, it takes a + b e seconds to train for e
  epochs, with a, b >= 0 fitted by least squares to the runs of the same network on the same data and devices, and what
  such runs of its rule take beside the training in the median. If there is none of these either, it takes the mean of
  all runs.

  Args:
    records: the records of runs that are done.
  """
  records: tuple[Record, ...]

  def seconds(self, run: Run) -> float | None:
    """Returns how long a run takes; None if there is no record at all."""
    return self._found(run.settings)[0]

  def basis(self, run: Run) -> str | None:
    """Returns what the time of a run rests on: `OTHER_SEEDS`, `SAME_NETWORK` or `ANY_RUN`; None without a record."""
    return self._found(run.settings)[1]

  @functools.cached_property
  def error(self) -> float | None:
    """The median relative error in foretelling a record from the others; None if there are fewer than two."""
    if len(self.records) < 2:
      return None
    step = max(len(self.records) // _LEFT_OUT, 1)
    errors = []
    for index in range(0, len(self.records), step):
      record = self.records[index]
      expected, _ = Durations(self.records[:index] + self.records[index + 1:])._found(record.settings)
      if expected is not None and (actual := total(record)) > 0:
        errors.append(abs(expected - actual) / actual)
    return statistics.median(errors) if errors else None

  def _found(self, settings: Settings) -> tuple[float | None, str | None]:
    same = self._groups[_of_any_seed].get(_of_any_seed(settings))
    if same:
      return statistics.fmean(map(total, same)), OTHER_SEEDS
    network = _network(settings)
    like = self._groups[_network].get(network)
    if like:
      of_rule = [record for record in like if record.settings.pruner == settings.pruner]
      start, rate = self._line(network)
      beside = statistics.median(total(record) - record.seconds.train for record in of_rule or like)
      return start + rate * _epochs(settings) + beside, SAME_NETWORK
    return (statistics.fmean(map(total, self.records)), ANY_RUN) if self.records else (None, None)

  @functools.cached_property
  def _groups(self) -> dict[Callable[[Settings], Hashable], dict[Hashable, list[Record]]]:
    groups: dict[Callable[[Settings], Hashable], dict[Hashable, list[Record]]] = {_of_any_seed: {}, _network: {}}
    for record in self.records:
      for key, found in groups.items():
        found.setdefault(key(record.settings), []).append(record)
    return groups

  def _line(self, network: Hashable) -> tuple[float, float]:
    """Returns the seconds that a training takes beside its epochs, and those of an epoch."""
    if network not in self._lines:
      like = self._groups[_network][network]
      epochs = [_epochs(record.settings) for record in like]
      seconds = [record.seconds.train for record in like]
      if len(set(epochs)) > 1:
        (start, rate), _ = scipy.optimize.nnls(np.stack([np.ones(len(epochs)), epochs], 1), np.array(seconds))
      else:
        # One number of epochs says nothing about what comes beside them.
        start, rate = (0.0, statistics.fmean(seconds) / epochs[0]) if epochs[0] else (statistics.fmean(seconds), 0.0)
      self._lines[network] = float(start), float(rate)
    return self._lines[network]

  @functools.cached_property
  def _lines(self) -> dict[Hashable, tuple[float, float]]:
    return {}


def in_all(order: Sequence[Run], seconds: Callable[[Run], float], parallel: int) -> float:
  """Returns how long runs take together, some at a time, each begun as soon as those that it needs have ended.

  Args:
    order: the runs, each behind those that it needs; needed runs that are not among them are done.
    seconds: how long a run takes.
    parallel: how many are done at a time.
  """
  place = {run: index for index, run in enumerate(order)}
  needed = [[place[other] for other in run.before() if other in place] for run in order]
  missing = [len(each) for each in needed]
  followers: list[list[int]] = [[] for _ in order]
  for index, each in enumerate(needed):
    for other in each:
      followers[other].append(index)
  now, working = 0.0, list[tuple[float, int]]()
  ready = [index for index, count in enumerate(missing) if not count]
  while ready or working:
    while ready and len(working) < parallel:
      index = heapq.heappop(ready)
      heapq.heappush(working, (now + seconds(order[index]), index))
    now, ended = heapq.heappop(working)
    for index in followers[ended]:
      missing[index] -= 1
      if not missing[index]:
        heapq.heappush(ready, index)
  return now


def total(record: Record) -> float:
  """Returns the seconds that a run took in all."""
  return float(sum(dataclasses.astuple(record.seconds)))


def _epochs(settings: Settings) -> int:
  return settings.stop_epoch or settings.epochs


def _of_any_seed(settings: Settings) -> Hashable:
  return tuple(sorted((name, value) for name, value in settings.identity().items() if name not in _SEEDS))


def _network(settings: Settings) -> Hashable:
  return (settings.group(DataSettings), settings.group(NetworkSettings), settings.group(MachineSettings),
          settings.batch_size)
