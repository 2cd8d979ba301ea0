"""Verdicts in words and numbers, as the terminal's table, report.md and report.html all say them."""

import dataclasses
import math
from typing import Any

from tickets_tf.judging.correction import INSENSITIVE
from tickets_tf.judging.correction import MINIMUM
from tickets_tf.judging.correction import SENSITIVE
from tickets_tf.judging.correction import UNDECIDED
from tickets_tf.judging.verdicts import Difference
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Sample
from tickets_tf.judging.verdicts import Verdicts

VERDICTS = (SENSITIVE, INSENSITIVE, UNDECIDED)
MARKS = {SENSITIVE: '✓', INSENSITIVE: '✗', UNDECIDED: '?'}
RESULTS = {SENSITIVE: 'sensitive (passes)', INSENSITIVE: 'insensitive (fails)', UNDECIDED: 'undecided'}
NOTHING = '\N{EN DASH}'
INTERVAL = '95% interval'
ALARM = 'CONTROLS FAILED: do not rely on the verdicts of this report'
_SPENDING = {'pocock': 'Pocock-type', 'obrien_fleming': 'O\'Brien-Fleming-type'}


@dataclasses.dataclass(frozen=True)
class Numbered:
  """A judgement with its place in `Verdicts.judgements`, and whether it is one of the planted controls."""
  number: int
  judgement: Judgement
  planted: bool


@dataclasses.dataclass(frozen=True)
class RuleJudgements:
  """The judgements of one rule with one allocation: `ratios` has those of each pruning ratio, rising."""
  name: str
  ratios: dict[float, list[Numbered]]
  profiles: list[KeepRatios]


def one_line(text: str) -> str:
  """Returns text on one line and without characters that a terminal or a plot would not show."""
  return ''.join(letter if letter.isprintable() else '\N{REPLACEMENT CHARACTER}' for letter in ' '.join(text.split()))


def by_rule(verdicts: Verdicts) -> list[RuleJudgements]:
  """Groups judgements by rule and allocation, and then by ratio.

  Args:
    verdicts: the verdicts.

  Returns:
    The rules in the order in which they come, each with its ratios rising.
  """
  groups: dict[tuple[str, str], dict[float, list[Numbered]]] = {}
  for number, judgement in enumerate(verdicts.judgements):
    # A rule that is both a control and asked about is judged in two families: the two must not be mixed.
    planted = number in verdicts.planted
    name = f'planted control {judgement.rule}' if planted else judgement.rule
    ratios = groups.setdefault((name, judgement.allocation), {})
    ratios.setdefault(judgement.ratio, []).append(Numbered(number, judgement, planted))
  profiles: dict[tuple[str, str], list[KeepRatios]] = {key: [] for key in groups}
  for profile in sorted(verdicts.keep_ratios, key=lambda profile: profile.ratio):
    profiles.setdefault((profile.rule, profile.allocation), []).append(profile)
  return [RuleJudgements(f'{rule} ({allocation})' if allocation else rule,
                         dict(sorted(groups.get((rule, allocation), {}).items())), profiles[rule, allocation])
          for rule, allocation in profiles]


def checks(verdicts: Verdicts) -> dict[str, str]:
  """Returns a dictionary from the name of each check to its question, in the order in which they come."""
  return {judgement.check: judgement.question for judgement in verdicts.judgements}


def title(verdicts: Verdicts) -> str:
  """Returns what was checked, as a heading."""
  return f'Sanity checks of pruning: {verdicts.settings["model"]} on {verdicts.settings["dataset"]}'


def tally(verdicts: Verdicts) -> str:
  """Returns how many judgements there are of each verdict, as one sentence."""
  found = [judgement.verdict for number, judgement in enumerate(verdicts.judgements)
           if number not in verdicts.planted]
  numbers = ', '.join(f'{found.count(verdict)} {verdict}' for verdict in VERDICTS)
  return f'{count(len(found), "judgement")}: {numbers}.' if found else 'No judgement was made.'


def controls(verdicts: Verdicts) -> str:
  """Returns what the planted controls say of the procedure, as one sentence."""
  if verdicts.controls is None:
    return 'No planted controls were run: nothing here shows that the procedure can tell the two verdicts apart.'
  return {True: 'The planted controls came out as they must.', False: f'{ALARM}.',
          None: 'The planted controls are undecided: more seeds are needed to see whether the procedure can tell the '
                'two verdicts apart.'}[verdicts.controls.passed]


def controls_failed(verdicts: Verdicts) -> bool:
  """Returns whether a planted control came out wrong."""
  return verdicts.controls is not None and verdicts.controls.passed is False


def dense(verdicts: Verdicts) -> str:
  """Returns the accuracy of the network that nothing is pruned from as one sentence; '' if it was not trained."""
  sample = verdicts.dense
  return '' if sample is None else (f'The dense network: {mean_and_deviation(sample)}%, '
                                    f'{count(len(sample.accuracies), "seed")}.')


def statistics(verdicts: Verdicts) -> list[str]:
  """Returns the statistics behind the verdicts as a list of paragraphs."""
  margin, alpha = number(verdicts.margin), verdicts.alpha
  controls_too = '; those of the planted controls likewise, by themselves' if verdicts.controls else ''
  paragraphs = [
      'Each comparison pairs the original and the checked ticket of the same seed; a difference is original - checked, '
      'in percent points. A rule is insensitive if two one-sided paired t-tests (TOST, Schuirmann 1987) put the mean '
      f'difference within the margin of ±{margin} points. It is sensitive if a one-sided paired t-test (Student 1908) '
      f'puts the mean difference above zero and its estimate is above {margin} points.',
      'The p-values of all judgements ("p equivalent" and "p drop") are corrected together by Holm\'s method (1979), '
      f'to a probability of at most {alpha:.3g} for even one wrong verdict, as far as differences are about normal '
      f'over seeds{controls_too}. Each interval stands alone and is not corrected.',
      'Undecided means that the seeds so far show neither, not that there is no difference. With fewer than '
      f'{MINIMUM} seeds, or if no path leads through any of the original tickets, every verdict is undecided. A '
      'forecast is the total number of seeds that would probably decide it if today\'s estimates were the true values.']
  if verdicts.looks:
    looks = verdicts.looks
    levels = ', '.join(f'{level:.3g}' for level in looks.levels)
    paragraphs.append(
        f'Seeds were added in up to {count(len(looks.sizes), "look")}, at {", ".join(map(str, looks.sizes))} '
        f'seeds; {looks.done} done. Corrected p-values are compared with the level of their look ({levels}; '
        f'{_SPENDING.get(looks.kind, looks.kind)} spending, Lan and DeMets 1983). The levels add up to {alpha:.3g}, so '
        'looking more than once makes no verdict more likely to be wrong.')
  if verdicts.resolution:
    paragraphs.append(
        f'Two different accuracies are at least {verdicts.resolution:.3g} points apart, one test image. So the tests '
        'take the deviation of the differences as at least '
        f'{verdicts.resolution / math.sqrt(6):.3g} points, that of two rounding errors.')
  return paragraphs


def remarks(numbered: Numbered, margin: float) -> list[str]:
  """Returns what a reader has to know beside the verdict: a list of clauses, often empty."""
  found = []
  judgement = numbered.judgement
  seeds, collapsed = len(judgement.seeds), sum(judgement.collapsed or ())
  if numbered.planted:
    found.append('planted control')
  if collapsed:
    found.append('no path leads through the original\'s or the checked network in '
                 f'{collapsed} of {count(seeds, "seed")}')
  if judgement.verdict == UNDECIDED:
    difference = judgement.difference.mean
    if seeds < MINIMUM:
      found.append(f'fewer than {MINIMUM} seeds decide nothing')
    elif difference is not None and difference <= -margin:
      found.append('the checked tickets seem better by more than the margin, for which there is no verdict')
    if judgement.forecast:
      found.append(f'{count(judgement.forecast.seeds, "seed")} would probably decide it: {judgement.forecast.outcome}')
  return found


def number(value: float | None) -> str:
  """Returns a number with two decimals."""
  # Adding 0 makes -0.00 a 0.00.
  return NOTHING if value is None else f'{round(value, 2) + 0.0:.2f}'


def mean_and_deviation(sample: Sample) -> str:
  """Returns 'mean ± sample standard deviation', of several seeds, or the mean alone, of one."""
  return number(sample.mean) + ('' if sample.deviation is None else f' ± {number(sample.deviation)}')


def difference(found: Difference) -> str:
  """Returns 'mean [low, high]' of the paired differences in percent points."""
  interval = '' if found.interval is None else f' [{", ".join(map(number, found.interval))}]'
  return number(found.mean) + interval


def p_value(value: float | None) -> str:
  """Returns a p-value with three decimals."""
  return NOTHING if value is None else '< 0.001' if value < 0.001 else f'{value:.3f}'


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
