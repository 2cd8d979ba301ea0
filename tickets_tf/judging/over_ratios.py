"""What is said of a rule over all its ratios, and a list of comparisons to look into; all from recorded accuracies."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from tickets_tf.judging.aggregates import Superiority
from tickets_tf.judging.aggregates import exploring
from tickets_tf.judging.aggregates import mean_drops
from tickets_tf.judging.aggregates import superiority
from tickets_tf.judging.bounds import Group
from tickets_tf.judging.bounds import simultaneous
from tickets_tf.judging.estimates import MINIMUM
from tickets_tf.judging.statements import OPEN
from tickets_tf.judging.verdicts import Intervals
from tickets_tf.judging.verdicts import Judgement

_Rule = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class MeanDrop:
  """The mean drop of one check of a rule over ratios.

  Attributes:
    rule: name of the rule.
    allocation: name of its allocation.
    check: name of the check.
    ratios: the pruning ratios.
    drop: in percent points.
    interval: simultaneous intervals of the drop: with all checks of the rule, and with all rules.
    superiority: the probability that an original is better than a checked ticket of another training.
  """
  rule: str
  allocation: str
  check: str
  ratios: tuple[float, ...]
  drop: float
  interval: Intervals
  superiority: Superiority


def over_ratios(judgements: Iterable[Judgement], resolution: float, alpha: float) -> list[MeanDrop]:
  """Returns the mean drops of all rules that were judged at several ratios.

  A rule has those checks that it has at each of its ratios with at least 3 seeds. What is unaffected by construction is
  left out.

  Args:
    judgements: of any rules, ratios and checks.
    resolution: smallest step between two accuracies in percent points.
    alpha: probability that any interval of a family is wrong.
  """
  rules = {rule: ratios for rule, ratios in _by_rule(judgements).items() if len(ratios) > 1}
  groups = [group for rule, ratios in rules.items() for group in _groups(rule, ratios, _common(ratios))]
  if not groups:
    return []
  found = mean_drops(groups, resolution, alpha)
  return [MeanDrop(*rule, check, tuple(ratios), bounds.drop, Intervals(bounds.rule_family, bounds.whole_call),
                   superiority([_arms(ratios[ratio][check]) for ratio in ratios], alpha))
          for rule, ratios in rules.items() for check in _common(ratios)
          for bounds in [found.bounds[_title(rule), check]]]


def worth_a_look(judgements: Iterable[Judgement], resolution: float, alpha: float) -> list[tuple[Judgement, float]]:
  """Returns open comparisons whose drop may well not be zero, for exploring: (the comparison, its q-value).

  Of the comparisons with a q-value of at most alpha a share of at most alpha is expected to be false (Benjamini and
  Hochberg 1995). None of them is a statement.

  Args:
    judgements: of any rules, ratios and checks.
    resolution: smallest step between two accuracies in percent points.
    alpha: the largest q-value.
  """
  rules = _by_rule(judgements)
  groups = [group for rule, ratios in rules.items()
            for group in _groups(rule, ratios, list(dict.fromkeys(check for at in ratios.values() for check in at)))]
  if not groups:
    return []
  bounds, pooled = simultaneous(groups, resolution, alpha)
  values = exploring(bounds, pooled.degrees_of_freedom)
  found = [(each, values[_title(rule), ratio, check]) for rule, ratios in rules.items()
           for ratio, at in ratios.items() for check, each in at.items()]
  return [(each, value) for each, value in found if value <= alpha and OPEN in each.statements]


def _by_rule(judgements: Iterable[Judgement]) -> dict[_Rule, dict[float, dict[str, Judgement]]]:
  """Returns what can be compared, by rule with its allocation, then ratio, then check."""
  found: dict[_Rule, dict[float, dict[str, Judgement]]] = {}
  for each in judgements:
    if not each.unaffected and len(each.seeds) >= MINIMUM and None not in (
        *each.original.accuracies, *each.checked.accuracies):
      found.setdefault((each.rule, each.allocation), {}).setdefault(each.ratio, {})[each.check] = each
  return found


def _common(ratios: Mapping[float, Mapping[str, Judgement]]) -> list[str]:
  first, *others = ratios.values()
  return [check for check in first if all(check in other for other in others)]


def _groups(rule: _Rule, ratios: Mapping[float, Mapping[str, Judgement]], checks: Sequence[str]) -> list[Group]:
  found = []
  for ratio, at in ratios.items():
    arms = {check: _arms(at[check]) for check in checks if check in at}
    if arms:
      found.append(Group(_title(rule), ratio, max((original for original, _ in arms.values()), key=len),
                         {check: checked for check, (_, checked) in arms.items()}))
  return found


def _arms(each: Judgement) -> tuple[tuple[float, ...], tuple[float, ...]]:
  original, checked = (tuple(value for value in side.accuracies if value is not None)
                       for side in (each.original, each.checked))
  return original, checked


def _title(rule: _Rule) -> str:
  return f'{rule[0]} ({rule[1]})' if rule[1] else rule[0]
