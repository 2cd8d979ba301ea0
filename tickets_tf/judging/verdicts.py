"""Verdicts as a value and as verdicts.json; the only place that knows the file's keys.

Accuracies are in percent, differences in percent points, p-values corrected for the family of their judgement. A number
that JSON cannot hold, NaN or an infinity, is None in the file.
"""

from collections.abc import Mapping
import dataclasses
import math
import pathlib
from typing import Any
from typing import TypeVar

import msgspec

from tickets_tf.errors import UsageError
from tickets_tf.judging.correction import Decision
from tickets_tf.judging.forecast import Forecast
from tickets_tf.runs import records

# It rises whenever a key changes its name or meaning.
FORMAT = 1

_Value = TypeVar('_Value')


@dataclasses.dataclass(frozen=True)
class Sample:
  """Accuracies over seeds, with their mean and sample standard deviation (n - 1; None for one seed)."""
  accuracies: tuple[float | None, ...]
  mean: float | None
  deviation: float | None


@dataclasses.dataclass(frozen=True)
class Difference:
  """Paired differences original - checked: mean, sample standard deviation, and (low, high) of its 95% interval."""
  mean: float | None
  deviation: float | None
  interval: tuple[float | None, float | None] | None


@dataclasses.dataclass(frozen=True)
class Judgement:
  """The verdict on one rule at one ratio under one check.

  Attributes:
    rule: name of the rule.
    allocation: name of its allocation; empty if the mask comes from a file.
    ratio: pruning ratio.
    check: name of the check.
    question: what the check asks.
    verdict: what came out.
    passes: whether the rule passes; None if undecided.
    sentence: the verdict in words.
    seeds: the seeds of the pairs, in the order of all that follows.
    original: the original tickets.
    checked: the checked tickets.
    difference: of each pair.
    p_equivalent: p-value of |difference| >= margin; None for fewer than 3 seeds.
    p_drop: p-value of difference <= 0; None for fewer than 3 seeds.
    forecast: how many seeds would decide; None if it is decided or nothing can be said.
    proofs: for each checked ticket, the proof that its check acted, JSON values.
    collapsed: for each pair, whether no path leads through the original or the checked ticket; None: unknown.
    control: what a planted control must come out as; None for what was asked.
  """
  rule: str
  allocation: str
  ratio: float
  check: str
  question: str
  verdict: Decision
  passes: bool | None
  sentence: str
  seeds: tuple[int, ...]
  original: Sample
  checked: Sample
  difference: Difference
  p_equivalent: float | None
  p_drop: float | None
  forecast: Forecast | None
  proofs: tuple[dict[str, Any], ...]
  collapsed: tuple[bool, ...] | None
  control: Decision | None = None


@dataclasses.dataclass(frozen=True)
class Looks:
  """Looks at which seeds were added: numbers of seeds, level of each look, how many were done; `kind`: the spending."""
  kind: str
  sizes: tuple[int, ...]
  levels: tuple[float, ...]
  done: int


@dataclasses.dataclass(frozen=True)
class Controls:
  """The planted controls.

  Attributes:
    passed: whether all came out as they must; None if some are undecided and none is wrong.
    findings: one sentence each.
    judgements: their places in `Verdicts.judgements`.
  """
  passed: bool | None
  findings: tuple[str, ...]
  judgements: tuple[int, ...]


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
    margin: differences smaller than this count as none.
    alpha: probability of even one wrong verdict.
    resolution: smallest step between two accuracies, one test image; None if nothing was run.
    seeds: all seeds.
    looks: None if the number of seeds was fixed.
    stopped: why not everything was done; None if it was.
    failures: one sentence for each problem of runs.
    controls: None if none were asked for.
    dense: the network that nothing is pruned from; None if it was not trained.
    judgements: what was asked, then the planted controls.
    keep_ratios: one for each rule and ratio.
    format: version of the file.
  """
  command: str
  commit: str | None
  environment: dict[str, Any]
  settings: dict[str, Any]
  margin: float
  alpha: float
  resolution: float | None
  seeds: tuple[int, ...]
  looks: Looks | None
  stopped: str | None
  failures: tuple[str, ...]
  controls: Controls | None
  dense: Sample | None
  judgements: tuple[Judgement, ...]
  keep_ratios: tuple[KeepRatios, ...]
  format: int = FORMAT

  @property
  def planted(self) -> tuple[int, ...]:
    """Places of the planted controls in `judgements`."""
    return self.controls.judgements if self.controls else ()


def write(path: pathlib.Path, verdicts: Verdicts) -> None:
  """Writes verdicts.json, whole or not at all.

  Args:
    path: the file.
    verdicts: what to write.

  Raises:
    TicketsError: if it cannot be written.
  """
  values = msgspec.to_builtins(finite(verdicts))
  for judgement in values['judgements']:
    if judgement['control'] is None:
      del judgement['control']
  records.write_json(path, {'format': values.pop('format'), **values})


def read(path: pathlib.Path) -> Verdicts:
  """Reads verdicts.json.

  Args:
    path: the file.

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
  required = [field.name for field in dataclasses.fields(Verdicts) if field.default is dataclasses.MISSING]
  missing = [name for name in ('format', *required) if name not in values]
  if missing:
    raise UsageError(f'lacks {", ".join(missing)}')
  if values['format'] != FORMAT:
    raise UsageError(f'format {values["format"]}: expected {FORMAT}, the one of this program')
  try:
    return msgspec.convert(values, Verdicts)
  except msgspec.ValidationError as error:
    raise UsageError(f'does not hold verdicts: {error}') from error
