"""Judgements in words and numbers, as the terminal's table, report.md and report.html all say them."""

from collections.abc import Iterable
import dataclasses
import math
from typing import Any

from tickets_tf.judging import statements
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Sample
from tickets_tf.judging.verdicts import Verdicts

USES, BETTER_WITHOUT, EQUIVALENT, WORTH_LESS, OPEN, UNAFFECTED = (
    'uses', 'without', 'equivalent', 'less', 'open', 'unaffected')
# By the kind of what is said first of a comparison. Colours in the page go by the kind as well.
MARKS = {USES: '+', BETTER_WITHOUT: '\N{MINUS SIGN}', EQUIVALENT: '=', WORTH_LESS: '<', OPEN: '?', UNAFFECTED: '·'}
NAMES = {USES: 'uses it', BETTER_WITHOUT: 'better without it', EQUIVALENT: 'equivalent', WORTH_LESS: 'worth less',
         OPEN: 'open', UNAFFECTED: 'unaffected by construction'}
NOTHING = '\N{EN DASH}'
# What is said first comes first, as in `kind`.
_ORDER = (statements.USES, statements.MORE, statements.BETTER_WITHOUT, statements.EQUIVALENT, statements.LESS,
          statements.OPEN)


@dataclasses.dataclass(frozen=True)
class Numbered:
  """A judgement with its place in the report."""
  number: int
  judgement: Judgement


@dataclasses.dataclass(frozen=True)
class RuleJudgements:
  """The judgements of one rule with one allocation: `ratios` has those of each pruning ratio, rising."""
  name: str
  ratios: dict[float, list[Numbered]]
  profiles: list[KeepRatios]

  @property
  def judgements(self) -> list[Judgement]:
    """All judgements of the rule."""
    return [each.judgement for numbered in self.ratios.values() for each in numbered]


def one_line(text: str) -> str:
  """Returns text on one line and without characters that a terminal or a plot would not show."""
  return ''.join(letter if letter.isprintable() else '\N{REPLACEMENT CHARACTER}' for letter in ' '.join(text.split()))


def name(judged: Any) -> str:
  """Returns the name of a rule with its allocation, of anything that has `rule` and `allocation`."""
  return f'{judged.rule} ({judged.allocation})' if judged.allocation else str(judged.rule)


def by_rule(verdicts: Verdicts) -> list[RuleJudgements]:
  """Groups what was asked by rule and allocation, and then by ratio; planted controls come last.

  Args:
    verdicts: the verdicts.

  Returns:
    The rules in the order in which they come, each with its ratios rising.
  """
  planted = verdicts.controls.judgements if verdicts.controls else ()
  titled = [*((name(each), each) for each in verdicts.judgements),
            *((f'planted control {name(each)}', each) for each in planted)]
  groups: dict[str, dict[float, list[Numbered]]] = {}
  for number, (title_, judgement) in enumerate(titled):
    groups.setdefault(title_, {}).setdefault(judgement.ratio, []).append(Numbered(number, judgement))
  profiles: dict[str, list[KeepRatios]] = {title_: [] for title_ in groups}
  for profile in sorted(verdicts.keep_ratios, key=lambda profile: profile.ratio):
    profiles.setdefault(name(profile), []).append(profile)
  return [RuleJudgements(title_, dict(sorted(groups.get(title_, {}).items())), profiles[title_]) for title_ in profiles]


def checks(judgements: Iterable[Judgement]) -> dict[str, str]:
  """Returns a dictionary from the name of each check to its question, in the order in which they come."""
  return {judgement.check: judgement.question for judgement in judgements}


def kind(judgement: Judgement) -> str:
  """Returns the kind of what is said first of a comparison, a key of `NAMES`."""
  if judgement.unaffected:
    return UNAFFECTED
  # The side of zero comes first: it needs no margin.
  found = {statements.USES: USES, statements.BETTER_WITHOUT: BETTER_WITHOUT, statements.EQUIVALENT: EQUIVALENT,
           statements.LESS: WORTH_LESS}
  return next((kind_ for statement, kind_ in found.items() if statement in judgement.statements), OPEN)


def words(judgement: Judgement, whole_call: bool = False) -> str:
  """Returns all that can be said of a comparison as words in a row, such as 'uses it, worth more than 0.5'.

  Args:
    judgement: the comparison.
    whole_call: whether all comparisons of the call have to hold together, or those of the rule.
  """
  if judgement.unaffected:
    return NAMES[UNAFFECTED]
  found = judgement.statements_whole_call if whole_call else judgement.statements
  return ', '.join(_with_margin(statement, judgement.margin) for statement in _ORDER if statement in found)


def _with_margin(statement: statements.Statement, margin: float | None) -> str:
  said = {statements.MORE: 'worth more than', statements.LESS: 'worth less than',
          statements.EQUIVALENT: 'equivalent within'}.get(statement)
  return statement if margin is None or said is None else f'{said} {margin:.3g}'


def interval(judgement: Judgement, whole_call: bool = False) -> str:
  """Returns '[low, high]' of a drop in percent points; '' if there is none.

  Args:
    judgement: the comparison.
    whole_call: which interval, see `words`.
  """
  found = judgement.interval.whole_call if whole_call else judgement.interval.rule_family
  return '' if found is None else f'[{", ".join(ends(*found))}]'


def drop(judgement: Judgement) -> str:
  """Returns 'drop [low, high]' in percent points: a drop is never told without its interval."""
  if judgement.unaffected:
    return NAMES[UNAFFECTED]
  found = interval(judgement)
  return f'{number(judgement.drop)} {found}' if found else f'{number(judgement.drop)}, no interval'


def remarks(judgement: Judgement, guessing: float | None) -> list[str]:
  """Returns what a reader has to know beside the statement: a list of clauses, often empty.

  Args:
    judgement: the comparison.
    guessing: accuracy of guessing in percent; None if unknown.
  """
  found = []
  seeds, cut = len(judgement.seeds), sum(map(any, judgement.cut or ()))
  if judgement.control is not None:
    found.append('planted control')
  if judgement.unaffected:
    found.append('in no family, and no finding')
  elif judgement.interval.rule_family is None:
    found.append('fewer than 3 seeds have no interval')
  at = '' if guessing is None else f' ({guessing:.3g}%)'
  for place, side in enumerate(('original', 'checked')):
    failed = sum(pair[place] for pair in judgement.failed)
    if failed:
      found.append(f'{failed} of {count(seeds, f"{side} run")} failed and {"counts" if failed == 1 else "count"} at '
                   f'guessing{at}')
  if judgement.missing:
    found.append(f'nothing is known of {count(judgement.missing, "seed")}: a run failed, and the older file does not '
                 'tell which')
  if cut:
    found.append(f'no path leads through the original or the checked network in {cut} of {count(seeds, "seed")}')
  collapses = judgement.collapses
  if collapses.original or collapses.checked:
    found.append(f'collapsed: {collapses.original} of {seeds} originals, {collapses.checked} of {seeds} checked')
  return [*found, *forecast(judgement), *images(judgement)]


def forecast(judgement: Judgement) -> list[str]:
  """Returns how many seeds would let something be said of an open comparison: a list of one clause, or empty."""
  return [f'seeds for a statement: {judgement.forecast.told()}'] if judgement.forecast else []


def images(judgement: Judgement) -> list[str]:
  """Returns what the test images are to a comparison: a list of clauses, or empty."""
  known = judgement.images
  if known is None or known.interval.rule_family is None:
    return []
  said = [f'with new test images too [{", ".join(ends(*known.interval.rule_family))}]']
  for side, (between, of_test_set, of_training) in (('originals', known.original), ('checked', known.checked)):
    said.append(f'deviation of the {side} {number(between)}: {number(of_test_set)} by the finite test set, '
                f'{number(of_training)} between trainings')
  return said


def ends(low: float | None, high: float | None, digits: int = 2) -> tuple[str, str]:
  """Returns the ends of an interval as text, rounded outwards: a bound stays one.

  Args:
    low: its lower end.
    high: its upper end.
    digits: decimals.
  """
  scale = 10**digits
  # Adding 0 makes -0.00 a 0.00. What floating point adds to a round number must not round it up.
  return ((NOTHING if low is None else f'{math.floor(round(low * scale, 6)) / scale + 0.0:.{digits}f}'),
          (NOTHING if high is None else f'{math.ceil(round(high * scale, 6)) / scale + 0.0:.{digits}f}'))


def number(value: float | None) -> str:
  """Returns a number with two decimals."""
  # Adding 0 makes -0.00 a 0.00.
  return NOTHING if value is None else f'{round(value, 2) + 0.0:.2f}'


def mean_and_deviation(sample: Sample) -> str:
  """Returns 'mean ± sample standard deviation', of several seeds, or the mean alone, of one."""
  return number(sample.mean) + ('' if sample.deviation is None else f' ± {number(sample.deviation)}')


def keep_ratio(value: float | None) -> str:
  """Returns a layer's keep ratio with four decimals."""
  return NOTHING if value is None else f'{value:.4f}'


def count(amount: int, noun: str) -> str:
  """Returns '1 seed', '2 seeds'."""
  return f'{amount:,} {noun}' + ('' if amount == 1 else 's')


def plain(value: Any) -> str:
  """Returns any JSON value as a reader would write it."""
  if isinstance(value, str):
    return value or NOTHING
  if isinstance(value, dict):
    return ', '.join(f'{key}: {plain(each)}' for key, each in value.items())
  if isinstance(value, (list, tuple)):
    return ', '.join(map(plain, value))
  if value is None or isinstance(value, bool):
    return {None: NOTHING, True: 'yes', False: 'no'}[value]
  return f'{value:.6g}' if isinstance(value, float) else str(value)
