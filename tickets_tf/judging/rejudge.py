"""Judges the accuracies of a verdicts.json again, without a run: files of format 1, which had other statistics, too."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import pathlib
from typing import Any

import msgspec

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.judging import conclusion
from tickets_tf.judging import new_images
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.evidence import Evidence
from tickets_tf.judging.family import known_gaps
from tickets_tf.judging.judge import Scale
from tickets_tf.judging.judge import judge
from tickets_tf.judging.margin import Margin
from tickets_tf.judging.question import LUCK
from tickets_tf.judging.question import described
from tickets_tf.judging.statements import Statement
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Looks
from tickets_tf.judging.verdicts import Sample
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.runs import records

# What a planted control of format 1 had to come out as, in today's words.
_CONTROLS: Mapping[str, Statement] = {'sensitive': 'uses it', 'insensitive': 'open'}

_MOST = 100  # Seeds that forecasts consider.


@dataclasses.dataclass(frozen=True)
class _OldJudgement:
  """What counts of a judgement of format 1."""
  rule: str
  allocation: str
  ratio: float
  check: str
  question: str
  seeds: tuple[int, ...]
  original: Sample
  checked: Sample
  proofs: tuple[dict[str, Any], ...]
  collapsed: tuple[bool, ...] | None
  control: str | None = None


@dataclasses.dataclass(frozen=True)
class _OldControls:
  """What counts of the controls of format 1."""
  judgements: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Old:
  """What counts of verdicts of format 1."""
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
  controls: _OldControls | None
  dense: Sample | None
  judgements: tuple[_OldJudgement, ...]
  keep_ratios: tuple[KeepRatios, ...]


def rejudge(path: str | pathlib.Path, margin: Margin | None = None, alpha: float | None = None) -> Verdicts:
  """Judges recorded accuracies again.

  Args:
    path: a verdicts.json of format 1 or 2.
    margin: what a drop has to be worth more or less than; None: as it was.
    alpha: probability of even one wrong statement in a family; None: as it was.

  Returns:
    Verdicts of today's format. What was chosen after the accuracies were seen is in `exploratory`.

  Raises:
    UsageError: if the file cannot be read as verdicts; one line that names it and what is wrong.
  """
  path = pathlib.Path(path)
  values = records.read_json(path)
  if values.get('format') != 1:
    return _again(verdicts_file.read(path), margin, alpha)
  try:
    return _from_old(msgspec.convert(values, _Old), margin, alpha)
  except msgspec.ValidationError as error:
    raise UsageError(f'{path}: does not hold verdicts: {error}') from error


def _again(found: Verdicts, margin: Margin | None, alpha: float | None) -> Verdicts:
  """Judges verdicts of today's format again."""
  level = alpha or found.alpha
  now = margin or Margin.parse(str(found.margin))
  scale = Scale(now, {}, found.resolution or 0.0, found.guessing, level, level, _MOST)
  gaps, _ = judge([_evidence(each) for each in found.gaps], scale)
  scale = dataclasses.replace(scale, gaps=known_gaps(gaps))
  luck, _ = judge([_evidence(each) for each in found.luck], scale)
  narrow, _ = judge([_evidence(each) for each in found.narrow], scale)
  judgements, pooled = judge([_evidence(each) for each in found.judgements], scale)
  changed = [f'the {name} {new}, which was {old} when the runs were made' for name, new, old in (
      ('margin', str(now), str(found.margin)), ('error rate', f'{level:g}', f'{found.alpha:g}')) if new != old]
  return dataclasses.replace(
      found, margin=str(now), alpha=level, gaps=gaps, luck=tuple(map(new_images.again, found.luck, luck)),
      narrow=tuple(map(new_images.again, found.narrow, narrow)),
      judgements=tuple(map(new_images.again, found.judgements, judgements)), pooled=pooled,
      ladders=_ladders(found.ladders, scale), controls=_controls(found.controls, scale),
      exploratory=tuple(dict.fromkeys((*found.exploratory, *changed))))


def _controls(found: Controls | None, scale: Scale) -> Controls | None:
  if found is None:
    return None
  judged, _ = judge([_evidence(each) for each in found.judgements], scale)
  return conclusion.controls(judged, len(judged) if found.passed is not None else len(judged) + 1)


def _ladders(found: Sequence[Ladder], scale: Scale) -> tuple[Ladder, ...]:
  steps = {(each.rule, each.allocation, each.ratio, each.check): each for ladder in found for each in ladder.steps}
  judged, _ = judge([_evidence(each) for each in steps.values()], scale)
  again = dict(zip(steps, judged, strict=True))
  return tuple(dataclasses.replace(ladder, steps=tuple(
      again[each.rule, each.allocation, each.ratio, each.check] for each in ladder.steps)) for ladder in found)


def _evidence(each: Judgement) -> Evidence:
  """Returns what a judgement rested on."""
  accuracies = [tuple(0.0 if value is None else value for value in side.accuracies)
                for side in (each.original, each.checked)]
  return Evidence(
      rule=each.rule, allocation=each.allocation, ratio=each.ratio, check=each.check, question=each.question,
      subject=each.subject, seeds=each.seeds, original=accuracies[0], checked=accuracies[1],
      failed=each.failed, cut=each.cut, identical=each.unaffected, proofs=each.proofs, control=each.control,
      missing=each.missing)


def _from_old(old: _Old, margin: Margin | None, alpha: float | None) -> Verdicts:
  """Judges verdicts of format 1."""
  level = alpha or old.alpha
  now = margin or Margin(old.margin)
  guessing = _guessing(old.judgements)
  scale = Scale(now, {}, old.resolution or 0.0, guessing, level, level, _MOST)
  planted = old.controls.judgements if old.controls else ()
  asked = [each for number, each in enumerate(old.judgements) if number not in planted]
  originals = {(each.rule, each.allocation, each.ratio): each for each in asked}
  lucky = {ratio: each for (*rule, ratio), each in originals.items() if rule == ['random', 'smart']}
  gaps, _ = judge([_against_luck('dense', '', old.dense, each) for each in lucky.values()
                   if old.dense and len(old.dense.accuracies) == len(each.seeds)], scale)
  scale = dataclasses.replace(scale, gaps=known_gaps(gaps))
  luck, _ = judge([_against_luck(rule, allocation, each.original, lucky[ratio])
                   for (rule, allocation, ratio), each in originals.items()
                   if ratio in lucky and each is not lucky[ratio] and each.seeds == lucky[ratio].seeds], scale)
  judgements, pooled = judge([_of_old(each, old, guessing) for each in asked], scale)
  controls = [_of_old(old.judgements[number], old, guessing) for number in planted]
  judged, _ = judge([each for each in controls if not each.identical], scale)
  return Verdicts(
      command=old.command, commit=old.commit, environment=old.environment, settings=old.settings, margin=str(now),
      alpha=level, accuracy='final_accuracy', resolution=old.resolution, guessing=guessing, seeds=old.seeds,
      looks=old.looks, stopped=old.stopped, failures=old.failures,
      exploratory=(f'the margin of {now} and the families of comparisons: the accuracies had been judged by another '
                   'procedure before, and seen',),
      pooled=pooled, controls=conclusion.controls(judged, len(judged)) if old.controls else None,
      dense=old.dense, luck=luck, gaps=gaps, judgements=judgements, ladders=(), keep_ratios=old.keep_ratios)


def _guessing(judgements: Iterable[_OldJudgement]) -> float | None:
  # Format 1 does not tell the number of classes; the proof of random labels does.
  shares = (proof.get('expected_by_chance') for each in judgements for proof in each.proofs)
  return next((100 * share for share in shares if isinstance(share, float)), None)


def _accuracies(side: Sample) -> tuple[float, ...]:
  return tuple(0.0 if value is None else value for value in side.accuracies)


def _against_luck(rule: str, allocation: str, original: Sample, luck: _OldJudgement) -> Evidence:
  asked = described(LUCK)
  nothing = ((False, False),) * len(luck.seeds)
  return Evidence(rule, allocation, luck.ratio, LUCK, asked.question, asked.subject, luck.seeds, _accuracies(original),
                  _accuracies(luck.original), nothing, None, False, ())


def _of_old(each: _OldJudgement, old: _Old, guessing: float | None) -> Evidence:
  original, checked = _accuracies(each.original), _accuracies(each.checked)
  question, subject = _words(each)
  return Evidence(
      rule=each.rule, allocation=each.allocation, ratio=each.ratio, check=each.check, question=question,
      subject=subject, seeds=each.seeds, original=original, checked=checked,
      failed=((False, False),) * len(each.seeds),
      cut=_cut(each, original, checked, guessing), identical=original == checked, proofs=each.proofs,
      control=_CONTROLS[each.control] if each.control else None,
      missing=0 if old.looks or old.stopped else len(old.seeds) - len(each.seeds))


def _cut(each: _OldJudgement, original: Sequence[float], checked: Sequence[float], guessing: float | None
         ) -> tuple[tuple[bool, bool], ...] | None:
  """Returns which ticket of each pair is cut. Format 1 says only that one is; it is at guessing, or near it."""
  if each.collapsed is None:
    return None
  near = math.inf if guessing is None else 2 * guessing
  return tuple((one and first < near, one and other < near)
               for one, first, other in zip(each.collapsed, original, checked, strict=True))


def _words(each: _OldJudgement) -> tuple[str, str]:
  """Returns (question, subject) of a check; one of the user's own, whose code is not here, has its old question."""
  try:
    check = registry.CHECKS.get(each.check)
  except UsageError:
    return each.question, f'what {each.check} takes away'
  return str(check.question), str(check.subject)
