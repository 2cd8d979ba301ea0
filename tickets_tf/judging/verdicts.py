"""Verdicts as a value and as verdicts.json; the only place that knows the file's keys.

Accuracies are in percent, differences in percent points, always original - checked. A number that JSON cannot hold, NaN
or an infinity, is None in the file.
"""

from collections.abc import Mapping
import dataclasses
import math
import pathlib
from typing import Any
from typing import TypeVar

import msgspec

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import Pooled
from tickets_tf.judging.collapses import Collapses
from tickets_tf.judging.seeds_needed import SeedsNeeded
from tickets_tf.judging.statements import Statement
from tickets_tf.runs import records

# It rises whenever a key changes its name or meaning. Files of format 1 are read by `tickets_tf.judging.rejudge`.
FORMAT = 2

_Value = TypeVar('_Value')
_Interval = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Sample:
  """Accuracies over seeds, with their mean and sample standard deviation (n - 1; None for one seed)."""
  accuracies: tuple[float | None, ...]
  mean: float | None
  deviation: float | None


@dataclasses.dataclass(frozen=True)
class Intervals:
  """Simultaneous intervals of a drop, (low, high), at the families that they hold in; None for fewer than 3 seeds.

  Attributes:
    rule_family: all comparisons of the rule in the call hold together.
    whole_call: all comparisons of the call hold together.
  """
  rule_family: _Interval | None
  whole_call: _Interval | None


@dataclasses.dataclass(frozen=True)
class Images:
  """What the test images are to a comparison, from which of them each run got right. All in percent points.

  Attributes:
    original: standard deviations of the originals' accuracies: between trainings on these images, the part of it that
      a finite test set makes, and the rest, which is real.
    checked: those of the checked tickets.
    error: standard error that the choice of test images adds to the drop.
    interval: simultaneous intervals of the drop that hold for new test images as well.
  """
  original: tuple[float, float, float]
  checked: tuple[float, float, float]
  error: float
  interval: Intervals


@dataclasses.dataclass(frozen=True)
class Judgement:
  """What is said of one comparison.

  Attributes:
    rule, allocation, ratio: names of the rule and of its allocation (none for a given mask), and the pruning ratio.
    check: name of the check, or of what else the rule is compared with, as `luck`.
    question: what the comparison asks.
    subject: what the drop is the worth of, as in 'the labels'.
    drop: mean accuracy of the originals minus that of the checked, in percent points.
    deviation: sample standard deviation of the paired differences; None for one seed.
    interval: simultaneous intervals of the drop.
    margin: in percent points; None if it is a share of an unknown gap.
    statements: the words that can be read off `interval.rule_family`.
    statements_whole_call: those that can be read off `interval.whole_call`.
    sentence: the statement in words, with its bounds.
    seeds: the seeds of the pairs, in the order of all that follows.
    original: the original tickets; a run that failed counts at guessing.
    checked: the checked tickets, likewise.
    failed: for each pair, whether the run of the (original, checked) ticket failed.
    missing: number of seeds of which nothing is known, since a run failed and an older file does not tell which.
    cut: for each pair, whether no path leads through the (original, checked) ticket; None: unknown.
    collapses: how often either side collapsed.
    unaffected: whether both sides are the same to the bit by construction, so that nothing was compared.
    can_fail: whether the comparison could have come out as a loss above the margin.
    forecast: seeds that would let something be said of an open comparison; None if it is not open, or not known.
    proofs: for each checked ticket, the proof that its check acted, JSON values.
    control: the statement that a planted control must have; None for what was asked.
    error: standard error of the drop over trainings; None without an interval.
    images: what the test images are to it; None if it was not kept which of them the runs got right.
    epochs: epochs that an (original, checked) ticket is trained for in all; None: unknown.
  """
  rule: str
  allocation: str
  ratio: float
  check: str
  question: str
  subject: str
  drop: float | None
  deviation: float | None
  interval: Intervals
  margin: float | None
  statements: tuple[Statement, ...]
  statements_whole_call: tuple[Statement, ...]
  sentence: str
  seeds: tuple[int, ...]
  original: Sample
  checked: Sample
  failed: tuple[tuple[bool, bool], ...]
  missing: int
  cut: tuple[tuple[bool, bool], ...] | None
  collapses: Collapses
  unaffected: bool
  can_fail: bool
  forecast: SeedsNeeded | None
  proofs: tuple[dict[str, Any], ...]
  control: Statement | None = None
  error: float | None = None
  images: Images | None = None
  epochs: tuple[int, int] | None = None


@dataclasses.dataclass(frozen=True)
class Looks:
  """Looks at which seeds were added.

  Attributes:
    kind: how the error rate is spent.
    sizes: numbers of seeds at the looks.
    levels: error rate of each look.
    done: number of looks done.
    unplanned: the numbers of seeds of looks that were not planned when the question was first asked.
  """
  kind: str
  sizes: tuple[int, ...]
  levels: tuple[float, ...]
  done: int
  unplanned: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Controls:
  """The planted controls.

  Attributes:
    passed: whether all came out as they must; None if some are open and none is wrong.
    findings: one sentence each.
    judgements: what was judged.
  """
  passed: bool | None
  findings: tuple[str, ...]
  judgements: tuple[Judgement, ...]


@dataclasses.dataclass(frozen=True)
class Ladder:
  """What takes a ticket apart: its worth by steps, from the original down to uniform layer ratios.

  Attributes:
    rule, allocation, ratio: names of the rule and of its allocation, and the pruning ratio.
    names: what stands on the rungs, as `original`, `rearrange`, `luck`, `uniform`.
    rungs: accuracies on each rung.
    steps: one judgement from each rung to the next: what positions, ratios and smartness are worth.
    nearest: name of the closed-form layer ratios nearest to the rule's own.
    distances: mean absolute difference of the keep ratios, by the name of the closed form.
  """
  rule: str
  allocation: str
  ratio: float
  names: tuple[str, ...]
  rungs: tuple[Sample, ...]
  steps: tuple[Judgement, ...]
  nearest: str
  distances: dict[str, float]


@dataclasses.dataclass(frozen=True)
class KeepRatios:
  """Mean keep ratio of each layer over the original tickets of a rule at one ratio, in network order."""
  rule: str
  allocation: str
  ratio: float
  layers: tuple[str, ...]
  original: tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class Verdicts:
  """All that a sanity check has found.

  Attributes:
    command: the command that makes the same judgements.
    commit: commit of the code that made the runs; None if unknown.
    environment: versions and devices, JSON values.
    settings: what all runs share, JSON values, with at least `model` and `dataset`.
    margin: as it was given: percent points, or a share of the gap, such as `0.2gap`.
    alpha: probability of even one wrong statement in a family.
    accuracy: which accuracy is judged: `settled_accuracy`, or `final_accuracy` of older runs.
    resolution: smallest step between two accuracies, one test image; None if nothing was run.
    guessing: accuracy of guessing in percent; None if unknown.
    seeds: all seeds.
    looks: None if the number of seeds was fixed.
    stopped: why not everything was done; None if it was.
    failures: one sentence for each problem of runs.
    exploratory: what was chosen after the accuracies were seen, one sentence each.
    pooled: what all comparisons share; None if nothing could be compared.
    controls: None if none were asked for.
    dense: the network that nothing is pruned from; None if it was not trained.
    luck: each rule against luck at the same ratio.
    gaps: the dense network against luck, at each ratio.
    judgements: what was asked.
    ladders: what takes tickets apart; empty if not asked for.
    keep_ratios: one for each rule and ratio.
    narrow: each rule against a small dense network of its size; empty if there was none.
    format: version of the file.
  """
  command: str
  commit: str | None
  environment: dict[str, Any]
  settings: dict[str, Any]
  margin: str
  alpha: float
  accuracy: str
  resolution: float | None
  guessing: float | None
  seeds: tuple[int, ...]
  looks: Looks | None
  stopped: str | None
  failures: tuple[str, ...]
  exploratory: tuple[str, ...]
  pooled: Pooled | None
  controls: Controls | None
  dense: Sample | None
  luck: tuple[Judgement, ...]
  gaps: tuple[Judgement, ...]
  judgements: tuple[Judgement, ...]
  ladders: tuple[Ladder, ...]
  keep_ratios: tuple[KeepRatios, ...]
  narrow: tuple[Judgement, ...] = ()
  format: int = FORMAT


def write(path: pathlib.Path, verdicts: Verdicts) -> None:
  """Writes verdicts.json, whole or not at all.

  Raises:
    TicketsError: if it cannot be written.
  """
  values = msgspec.to_builtins(finite(verdicts))
  others = {name: value for name, value in values.items() if name != 'format' and (value or name != 'narrow')}
  records.write_json(path, {'format': values['format'], **others})


def read(path: pathlib.Path) -> Verdicts:
  """Reads verdicts.json.

  Raises:
    UsageError: if it cannot be read, is incomplete, or of another format; one line that names the file and what is
      missing or wrong.
  """
  values = records.read_json(path)
  try:
    return _from_json(values)
  except UsageError as error:
    raise UsageError(f'{path}: {error}; the sanity check writes it again') from error


def finite(value: _Value) -> _Value:
  """Returns verdicts, or a part of them, with None in place of every number that JSON cannot hold."""
  return _finite(value)  # type: ignore[no-any-return]


def _finite(value: Any) -> Any:
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    return dataclasses.replace(value, **{field.name: _finite(getattr(value, field.name))
                                         for field in dataclasses.fields(value)})
  if isinstance(value, dict):
    return {key: _finite(each) for key, each in value.items()}
  if isinstance(value, (list, tuple)):
    return type(value)(map(_finite, value))
  return None if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(values: Mapping[str, Any]) -> Verdicts:
  if values.get('format', FORMAT) != FORMAT:
    raise UsageError(f'format {values["format"]}: expected {FORMAT}, the one of this program')
  required = [field.name for field in dataclasses.fields(Verdicts) if field.default is dataclasses.MISSING]
  missing = [name for name in ('format', *required) if name not in values]
  if missing:
    raise UsageError(f'lacks {", ".join(missing)}')
  try:
    return msgspec.convert(values, Verdicts)
  except msgspec.ValidationError as error:
    raise UsageError(f'does not hold verdicts: {error}') from error
