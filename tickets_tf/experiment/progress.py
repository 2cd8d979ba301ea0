"""The bar of a sweep: runs that are done, at work and failed, and the time left by the model of durations."""

from collections.abc import Sequence
import threading
import time
from typing import Any

import tqdm

from tickets_tf.experiment import standing
from tickets_tf.runs import durations
from tickets_tf.runs.durations import Durations
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run

_SECONDS = 5.0  # between two looks at what is at work
_FORMAT = '{percentage:3.0f}%|{bar}| {good} done, {at_work} running, {failed} failed of {total_fmt} [{elapsed}<{left}]'


class SweepBar(tqdm.tqdm):  # type: ignore[type-arg]
  """A bar over the runs that are left.

  Args:
    left: the runs, each behind those that it needs.
    known: the records that are there; the model of times is fitted to them.
    shown: whether to show it.
  """

  def __init__(self, left: Sequence[Run], known: Sequence[Record], shown: bool) -> None:
    self._left = dict.fromkeys(left)
    self._known = list(known)
    self._failed = 0
    self._running = 0
    self._time_left = '?'
    self._model: Durations | None = None
    self._looked = 0.0
    self._over = threading.Event()
    super().__init__(total=len(left), unit='run', disable=not shown, dynamic_ncols=True, bar_format=_FORMAT)
    if shown and left:
      threading.Thread(target=self._watch, daemon=True).start()

  @property
  def format_dict(self) -> dict[str, Any]:
    """What the bar shows; tqdm asks for it."""
    return {**super().format_dict, 'failed': self._failed, 'at_work': self._running, 'left': self._time_left,
            'good': self.n - self._failed}

  def ended(self, run: Run, record: Record | None) -> None:
    """Moves the bar by a run that has ended; without a record it has failed."""
    del self._left[run]
    if record:
      self._known.append(record)
    else:
      self._failed += 1
    self._model = None
    if time.monotonic() - self._looked > 1 or not self._left:
      self._look()
    self.update()

  def close(self) -> None:
    """Ends the bar."""
    if hasattr(self, '_over'):  # tqdm closes a bar that could not be made, too.
      self._over.set()
    super().close()

  def _watch(self) -> None:
    # Nothing moves the bar while long runs are at work.
    while not self._over.wait(_SECONDS):
      self._look()
      self.refresh()

  def _look(self) -> None:
    if self.disable:
      return
    left = list(self._left)
    self._running = sum(map(standing.is_at_work, (run.folder for run in left)))
    model = self._model = self._model or Durations(tuple(self._known))
    if self._known:
      seconds = durations.in_all(left, lambda run: model.seconds(run) or 0.0, max(self._running, 1))
      self._time_left = tqdm.tqdm.format_interval(seconds)
    self._looked = time.monotonic()
