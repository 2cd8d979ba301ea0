"""From evidence to judgements: simultaneous intervals of all drops of a call, and the words read off them."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
import statistics

from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.bounds import Group
from tickets_tf.judging.bounds import Pooled
from tickets_tf.judging.bounds import simultaneous
from tickets_tf.judging.collapses import compare_collapses
from tickets_tf.judging.evidence import Evidence
from tickets_tf.judging.margin import Margin
from tickets_tf.judging.seeds_needed import NextLook
from tickets_tf.judging.seeds_needed import seeds_needed
from tickets_tf.judging.statements import OPEN
from tickets_tf.judging.statements import obstacle
from tickets_tf.judging.statements import sentence
from tickets_tf.judging.statements import statements
from tickets_tf.judging.verdicts import Intervals
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Sample


@dataclasses.dataclass(frozen=True)
class Gap:
  """The dense network minus luck at one ratio, in percent points: its estimate and its interval."""
  mean: float
  interval: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Scale:
  """What judgements of one call are measured by.

  Attributes:
    margin: what a drop has to be worth more or less than.
    gaps: by pruning ratio, the gap between the dense network and luck, as far as it is known.
    resolution: smallest step between two accuracies in percent points; 0 takes accuracies as exact.
    guessing: accuracy of guessing in percent; None: unknown.
    alpha: probability of even one wrong statement in a family.
    next_alpha: that of the next look, which forecasts are for.
    most: the most seeds that a forecast considers.
  """
  margin: Margin
  gaps: Mapping[float, Gap]
  resolution: float
  guessing: float | None
  alpha: float
  next_alpha: float
  most: int

  def margin_at(self, ratio: float) -> float | None:
    """Returns the margin at a pruning ratio in percent points; None if it is a share of a gap that is not known."""
    gap = self.gaps.get(ratio)
    return self.margin.points(gap.mean if gap else None)


def judge(evidence: Sequence[Evidence], scale: Scale) -> tuple[tuple[Judgement, ...], Pooled | None]:
  """Judges all comparisons of a call together.

  What is identical by construction is told and left out of the families.

  Args:
    evidence: all comparisons, none twice.
    scale: what they are measured by.

  Returns:
    (one judgement for each, in their order; what all of them share, or None if nothing could be compared).
  """
  members = _sharing([each for each in evidence if not each.identical])
  bounds, pooled = _simultaneous(members, scale)
  found = {id(each): bounds[each.title, float(place), each.check] for place, group in enumerate(members)
           for each in group}
  families = _families(members)
  none = _Family(0, 0, 0)
  judged = (_judgement(each, found.get(id(each)), scale, families.get(each.title, none)) for each in evidence)
  return tuple(_with_forecast(judgement, found.get(id(each)), scale, families.get(each.title), pooled)
               for each, judgement in zip(evidence, judged, strict=True)), pooled


def _simultaneous(members: Sequence[Sequence[Evidence]], scale: Scale
                  ) -> tuple[dict[tuple[str, float, str], Bounds], Pooled | None]:
  if not members:
    return {}, None
  bounds, pooled = simultaneous(_groups(members), scale.resolution, scale.alpha)
  return bounds, pooled if pooled.degrees_of_freedom else None


@dataclasses.dataclass(frozen=True)
class _Family:
  """Numbers of what is held together: groups that share their originals, comparisons in the largest, and in all."""
  groups: int
  largest: int
  comparisons: int


def _families(members: Sequence[Sequence[Evidence]]) -> dict[str, _Family]:
  # The largest group of the call counts for all, as in `simultaneous`.
  largest = max(map(len, members), default=0)
  titles = dict.fromkeys(group[0].title for group in members)
  sizes = {title: [len(group) for group in members if group[0].title == title] for title in titles}
  return {title: _Family(len(each), largest, sum(each)) for title, each in sizes.items()}


def _with_forecast(judgement: Judgement, bounds: Bounds | None, scale: Scale, family: _Family | None,
                   pooled: Pooled | None) -> Judgement:
  """Returns an open judgement with the seeds that it would take, if they can be told."""
  if bounds is None or bounds.rule_family is None or judgement.statements != (OPEN,) or judgement.margin is None:
    return judgement
  assert family is not None and pooled is not None  # They are there if there are bounds.
  look = NextLook(family.groups, family.largest, scale.next_alpha, judgement.margin, judgement.can_fail, scale.most)
  return dataclasses.replace(judgement, forecast=seeds_needed(
      bounds, len(judgement.seeds), pooled.degrees_of_freedom, look))


def _sharing(evidence: Iterable[Evidence]) -> list[list[Evidence]]:
  """Returns the comparisons that share their originals; each step of a ladder has originals of its own."""
  found: list[list[Evidence]] = []
  for each in evidence:
    for group in found:
      if (group[0].title, group[0].ratio) == (each.title, each.ratio) and _same_originals(group[0], each):
        group.append(each)
        break
    else:
      found.append([each])
  return found


def _same_originals(one: Evidence, other: Evidence) -> bool:
  # One may have more seeds, as checks stop at different looks.
  accuracies = dict(zip(one.seeds, one.original, strict=True))
  return all(accuracies.get(seed, accuracy) == accuracy for seed, accuracy in zip(
      other.seeds, other.original, strict=True))


def _groups(members: Sequence[Sequence[Evidence]]) -> list[Group]:
  """Returns the accuracies of comparisons that share their originals, of which the longest count.

  A group's place stands for its ratio: there can be several at one ratio.
  """
  return [Group(group[0].title, float(place), max((each.original for each in group), key=len),
                {each.check: each.checked for each in group}) for place, group in enumerate(members)]


def _judgement(each: Evidence, bounds: Bounds | None, scale: Scale, family: _Family) -> Judgement:
  """Returns what is said of a comparison of a family."""
  differences = [one - other for one, other in zip(each.original, each.checked, strict=True)]
  margin = scale.margin_at(each.ratio)
  originals, others = (each.collapsed(side, scale.resolution, scale.guessing) for side in (0, 1))
  why_open = _obstacle(each, originals, scale)
  interval = Intervals(bounds.rule_family, bounds.whole_call) if bounds else Intervals(None, None)
  found, everywhere = (statements(ends, math.inf if margin is None else margin, not why_open)
                       for ends in (interval.rule_family, interval.whole_call))
  return Judgement(
      rule=each.rule, allocation=each.allocation, ratio=each.ratio, check=each.check, question=each.question,
      subject=each.subject,
      drop=bounds.drop if bounds else statistics.fmean(differences),
      deviation=statistics.stdev(differences) if len(differences) > 1 else None,
      interval=interval,
      margin=margin,
      statements=found,
      statements_whole_call=everywhere,
      sentence=_sentence(each, bounds, scale, why_open, family.comparisons),
      seeds=each.seeds,
      original=sample(each.original),
      checked=sample(each.checked),
      failed=each.failed,
      missing=each.missing,
      cut=each.cut,
      collapses=compare_collapses(originals, others, scale.alpha / max(family.comparisons, 1)),
      unaffected=each.identical,
      can_fail=not why_open,
      forecast=None,
      proofs=each.proofs,
      control=each.control,
      epochs=each.epochs,
      error=bounds.error if bounds and bounds.rule_family else None)


def _obstacle(each: Evidence, collapsed: Sequence[bool], scale: Scale) -> str:
  """Returns why a loss above the margin could not have been seen; empty if it could."""
  gap, margin = scale.gaps.get(each.ratio), scale.margin_at(each.ratio)
  failed = sum(map(sum, each.failed)) + each.missing
  if margin is None:
    return 'the margin is a share of a gap that is not known'
  # An original that does no better than guessing has no more to lose than one that is cut.
  return obstacle(failed, sum(collapsed), gap.interval if gap else None, margin)


def _sentence(each: Evidence, bounds: Bounds | None, scale: Scale, why_open: str, together: int) -> str:
  if each.identical:
    return (f'{each.rule} is unaffected by construction: it sees nothing of what {each.check} changes, and both '
            'tickets are the same')
  return sentence(each.rule, each.subject, bounds.rule_family if bounds else None,
                  f'all {together} comparisons together' if together > 1 else '', scale.alpha, why_open)


def sample(accuracies: Sequence[float]) -> Sample:
  """Returns accuracies in percent with their mean and sample deviation."""
  return Sample(tuple(accuracies), statistics.fmean(accuracies),
                statistics.stdev(accuracies) if len(accuracies) > 1 else None)
