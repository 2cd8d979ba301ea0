"""What the first screen of a report says: warnings, luck, what tickets are made of, and what rules use.

Every sentence has both bounds, and none makes a no of what is open.
"""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence

from tickets_tf.judging import over_ratios as means
from tickets_tf.judging.collapses import Collapses
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.pruning.narrowed import Narrowed
from tickets_tf.report import wording

ALARM = 'CONTROLS FAILED: do not rely on the statements of this report'
COLLAPSES = ('A ticket collapsed if its run failed, no path leads through it, or its network does no better than '
             'guessing. Means hide rare collapses, so how often they happen is a comparison of its own, by the exact '
             'sign test of the seeds of which only one ticket collapsed (McNemar 1947), held together with all of the '
             'rule. The intervals of the rates are exact as well (Clopper and Pearson 1934).')
OVER_RATIOS = ('The mean drop of each check over all ratios of a rule, in points. Accuracies of a seed are averaged '
               'over the ratios first, so that what a seed has in common at all of them counts. The intervals hold '
               'together for all checks of the rule, and for the whole call, as a family of their own. "Original '
               'better" is the probability that an original is better than a checked ticket of another training, a '
               'tie being half of one (Mann and Whitney 1947); its interval (Newcombe 2006) stands alone.')
OVER_RATIOS_HEADER = ('rule', 'check', 'ratios', 'mean drop [all of the rule]', '[whole call]', 'original better')
EXPLORING_HEADER = ('rule', 'ratio', 'check', 'drop', 'q')
COLLAPSES_HEADER = ('rule', 'ratio', 'check', 'originals', 'checked', 'what is shown')


def title(verdicts: Verdicts) -> str:
  """Returns what was checked, as a heading."""
  return f'Sanity checks of pruning: {verdicts.settings["model"]} on {verdicts.settings["dataset"]}'


def controls(verdicts: Verdicts) -> str:
  """Returns what the planted controls say of the procedure, as one sentence."""
  if verdicts.controls is None:
    return 'No planted controls were run: nothing here shows that the procedure finds what is there.'
  return {True: 'The planted controls came out as they must.', False: f'{ALARM}.',
          None: 'Some planted controls are open: more seeds are needed to see whether the procedure finds what is '
                'there.'}[verdicts.controls.passed]


def controls_failed(verdicts: Verdicts) -> bool:
  """Returns whether a planted control came out wrong."""
  return verdicts.controls is not None and verdicts.controls.passed is False


def notices(verdicts: Verdicts) -> list[tuple[str, str]]:
  """Returns what has to be known before anything else is read: (what it is, a sentence on it), often none."""
  found = []
  if verdicts.stopped:
    found.append(('Incomplete', verdicts.stopped))
  if verdicts.looks and verdicts.looks.unplanned:
    seeds = ' and '.join(map(str, verdicts.looks.unplanned))
    found.append(('Unplanned look', f'the look at {seeds} seeds was not planned when the question was first asked; it '
                                    'is charged to the error rate, and may have been chosen by what was seen'))
  found += [('Exploratory', sentence) for sentence in verdicts.exploratory]
  if verdicts.accuracy != 'settled_accuracy':
    found.append(('Older runs', 'they have no accuracy of settled weights; what is judged is the accuracy of the final '
                                'weights with running statistics'))
  at = '' if verdicts.guessing is None else f' ({verdicts.guessing:.3g}%)'
  found += [(f'Failed, counted at guessing{at}', failure) for failure in verdicts.failures]
  return found


def headline(judgement: Judgement) -> str:
  """Returns what a rule's comparison with luck says, after its name and ratio.

  Args:
    judgement: one of `Verdicts.luck`.
  """
  return 'is luck itself' if judgement.unaffected else f'{_against("luck", judgement)}{_cost(judgement)}'


def against_narrow(judgement: Judgement) -> str:
  """Returns what a rule's comparison with a small dense network says, after its name and ratio, and how small that is.

  Args:
    judgement: one of `Verdicts.narrow`.
  """
  size = [Narrowed(**judgement.proofs[0]).told()] if judgement.proofs else []
  return '; '.join([f'{_against("a small dense network", judgement)}{_cost(judgement)}', *size])


def _cost(judgement: Judgement) -> str:
  """Returns for how many epochs both sides were trained in all; empty if it is not known."""
  if judgement.epochs is None:
    return ''
  own, other = judgement.epochs
  return f' ({own} epochs of training in all' + (f' against {other})' if own != other else ' on both sides)')


def _against(what: str, judgement: Judgement) -> str:
  found = judgement.interval.rule_family
  if found is None or None in found:
    return f'not known to beat {what} or not: {_without_interval(judgement)}'
  low, high = found
  assert low is not None and high is not None
  if low > 0:
    return f'beats {what} by {_points(low, high)}'
  if high < 0:
    return f'worse than {what} by {_points(-high, -low)}'
  worse, better = wording.ends(low, high)
  return f'no better than {what} by more than {better} points, and no worse by more than {worse.removeprefix("-")}'


def gap(judgement: Judgement) -> str:
  """Returns what the dense network has above luck at one ratio, and whether anything could have failed there.

  Args:
    judgement: one of `Verdicts.gaps`.
  """
  found, margin = judgement.interval.rule_family, judgement.margin
  start = f'At ratio {judgement.ratio:g} the dense network'
  if found is None or None in found:
    return (f'{start} is not told from luck ({_without_interval(judgement)}), so that no ticket could be shown to lose '
            'something there: nothing is told "worth less".')
  low, high = found
  assert low is not None and high is not None
  said = f'{start} is above luck by {_points(low, high)}'
  if margin is not None and low > margin:
    return f'{said}: more than the margin of {margin:.3g}, so that a loss above it could have been seen.'
  than = 'the margin' if margin is None else f'the margin of {margin:.3g}'
  return (f'{said}. That is not shown to be above {than}: at this ratio nothing could have failed, and nothing is told '
          '"worth less".')


def unknown_gaps(verdicts: Verdicts) -> list[str]:
  """Returns a sentence on the ratios at which the dense network or luck was not run, often none."""
  known = {judgement.ratio for judgement in verdicts.gaps}
  unknown = sorted({judgement.ratio for judgement in verdicts.judgements} - known)
  if not unknown:
    return []
  return [f'The gap between the dense network and luck is not known at ratio '
          f'{", ".join(f"{ratio:g}" for ratio in unknown)}, so that nothing is told "worth less" there.']


def luck_missing(verdicts: Verdicts) -> str:
  """Returns that luck was not run, as a sentence; '' if it was."""
  return '' if verdicts.luck else ('Random tickets with smart ratios were not run beside these rules, so that nothing '
                                   'here says whether a rule beats luck.')


def tally(judgements: Iterable[Judgement]) -> str:
  """Returns how many comparisons there are of each kind, as one sentence without a full stop."""
  kinds = [wording.kind(judgement) for judgement in judgements]
  parts = [f'{name} {kinds.count(kind)}' for kind, name in wording.NAMES.items() if kind in kinds]
  return f'{wording.count(len(kinds), "comparison")}: {", ".join(parts)}' if kinds else 'No comparison was made'


def by_kind(judgements: Sequence[Judgement]) -> list[tuple[str, str]]:
  """Returns what a rule uses, is better without, and so on: (kind, the checks with their intervals).

  What is open or unaffected is only counted.

  Args:
    judgements: those of one rule.
  """
  found = []
  for kind, name in wording.NAMES.items():
    of_kind = [judgement for judgement in judgements if wording.kind(judgement) == kind]
    if kind in (wording.OPEN, wording.UNAFFECTED) and of_kind:
      found.append((kind, f'{name}: {len(of_kind)} of {wording.count(len(judgements), "comparison")}'))
    elif of_kind:
      found.append((kind, f'{name}: ' + ', '.join(
          f'{judgement.check} at {judgement.ratio:g} {wording.interval(judgement)}' for judgement in of_kind)))
  return found


def dense(verdicts: Verdicts) -> str:
  """Returns the accuracy of the network that nothing is pruned from as one sentence; '' if it was not trained."""
  sample = verdicts.dense
  return '' if sample is None else (f'The dense network: {wording.mean_and_deviation(sample)}%, '
                                    f'{wording.count(len(sample.accuracies), "seed")}.')


def steps(of: Ladder) -> list[str]:
  """Returns what each step of a ladder is the worth of, with the rungs that it leads from and to."""
  return [f'{judgement.subject}: {before} to {after}'
          for judgement, before, after in zip(of.steps, of.names, of.names[1:], strict=False)]


def ladder(of: Ladder) -> list[str]:
  """Returns what the layer ratios of a rule are like, one sentence, or none.

  Args:
    of: what takes its tickets apart.
  """
  if not of.nearest:
    return []
  others = ', '.join(f'{name} {distance:.3f}' for name, distance in sorted(of.distances.items(), key=lambda at: at[1]))
  return [f'Its layer ratios are nearest to those of {of.nearest} (mean difference of the keep ratios: {others}).']


def collapses(verdicts: Verdicts) -> list[tuple[str, ...]]:
  """Returns a row for each comparison in which a ticket collapsed, as text: see `COLLAPSES_HEADER`.

  Args:
    verdicts: the verdicts.
  """
  every = (*verdicts.luck, *verdicts.narrow, *shown(verdicts))
  return [(wording.name(each), f'{each.ratio:g}', each.check, *_rates(each.collapses), each.collapses.difference)
          for each in every if each.collapses.original or each.collapses.checked]


def _rates(found: Collapses) -> tuple[str, str]:
  return (_rate(found.original, found.seeds, found.original_rate),
          _rate(found.checked, found.seeds, found.checked_rate))


def _rate(count: int, seeds: int, ends: tuple[float, float]) -> str:
  low, high = ends
  return f'{count} of {seeds} [{100 * low:.0f}, {100 * high:.0f}]%'


def over_ratios(verdicts: Verdicts) -> list[tuple[str, ...]]:
  """Returns a row for each check of a rule at several ratios, as text: see `OVER_RATIOS_HEADER`.

  Args:
    verdicts: the verdicts.
  """
  return [(wording.name(each), each.check, ', '.join(f'{ratio:g}' for ratio in each.ratios),
           f'{wording.number(each.drop)} {_ends(each.interval.rule_family)}', _ends(each.interval.whole_call),
           f'{each.superiority.probability:.2f} [{", ".join(wording.ends(*each.superiority.interval))}]')
          for each in means.over_ratios(verdicts.judgements, verdicts.resolution or 0.0, verdicts.alpha)]


def worth_a_look(verdicts: Verdicts) -> list[tuple[str, ...]]:
  """Returns a row for each open comparison that is worth a look, as text: see `EXPLORING_HEADER`.

  Args:
    verdicts: the verdicts.
  """
  return [(wording.name(each), f'{each.ratio:g}', each.check, wording.drop(each), f'{value:.3f}') for each, value in
          means.worth_a_look(verdicts.judgements, verdicts.resolution or 0.0, verdicts.alpha)]


def exploring(verdicts: Verdicts) -> str:
  """Returns what the rows of `worth_a_look` are, as a paragraph."""
  return ('Exploratory, and no statement: open comparisons whose drop may well not be zero. The list is made so that '
          f'{verdicts.alpha:.0%} of what it would hold with all comparisons are expected to be false (q-values of '
          'Benjamini and Hochberg 1995). More seeds would tell.')


def _ends(found: tuple[float | None, float | None] | None) -> str:
  return wording.NOTHING if found is None else f'[{", ".join(wording.ends(*found))}]'


def shown(verdicts: Verdicts) -> tuple[Judgement, ...]:
  """Returns what was asked and the planted controls, which have a column for each of their checks."""
  return (*verdicts.judgements, *(verdicts.controls.judgements if verdicts.controls else ()))


def all_judgements(verdicts: Verdicts) -> Iterator[Judgement]:
  """Yields every comparison of the verdicts: luck, small dense networks, gaps, ladders, what was asked, controls."""
  yield from verdicts.luck
  yield from verdicts.narrow
  yield from verdicts.gaps
  for each in verdicts.ladders:
    yield from each.steps
  yield from shown(verdicts)


def _points(low: float, high: float) -> str:
  return f'[{", ".join(wording.ends(low, high))}] points'


def _without_interval(judgement: Judgement) -> str:
  return f'{wording.count(len(judgement.seeds), "seed")}, fewer than 3, have no interval'
