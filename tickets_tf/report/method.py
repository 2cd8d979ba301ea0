"""How the statements of a report come about: what each word tests, and the statistics behind the bounds."""

import math

from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.report import wording

_SPENDING = {'pocock': 'Pocock-type', 'obrien_fleming': 'O\'Brien-Fleming-type'}


def confidence(verdicts: Verdicts) -> str:
  """Returns the confidence of the intervals, such as '95%'."""
  return f'{100 * (1 - verdicts.alpha):.4g}%'


def margin(verdicts: Verdicts) -> str:
  """Returns the margin as it was given, with its unit."""
  given = str(verdicts.margin)
  share = given.removesuffix('gap')
  return f'{given} points' if share == given else f'{share} of the gap between the dense network and luck'


def key() -> list[tuple[str, str]]:
  """Returns (kind or '', what the word tests) of each word, in the order of reading; [L, U] is the interval."""
  return [
      (wording.USES, 'uses it: L > 0, the whole interval of the drop is above zero. Worth more than d: L > d, it is '
                     'above the margin d.'),
      (wording.BETTER_WITHOUT, 'better without it: U < 0, the checked tickets have the higher mean.'),
      (wording.EQUIVALENT, 'equivalent within d: L > \N{MINUS SIGN}d and U < d, the mean changes by less than d either '
                           'way.'),
      (wording.WORTH_LESS, 'worth less than d: U < d, the drop is at most U points. That is not that it is zero.'),
      (wording.OPEN, 'open: the interval fits none of these. The seeds so far do not tell; that is no finding.'),
      (wording.UNAFFECTED, 'unaffected by construction: both tickets are the same to the bit. That is no finding '
                           'either.')]


def paragraphs(verdicts: Verdicts) -> list[str]:
  """Returns the statistics behind the statements as a list of paragraphs.

  Args:
    verdicts: the verdicts.
  """
  return [*_bounds(verdicts), *_exceptions(verdicts), *_looks(verdicts)]


def _bounds(verdicts: Verdicts) -> list[str]:
  shared = verdicts.pooled
  found = [
      'A comparison takes the original and the checked tickets, one of each for a seed. The drop is the mean test '
      'accuracy of the originals minus that of the checked tickets, in percent points. [L, U] is its simultaneous '
      f'interval: with {confidence(verdicts)}, all intervals of a rule in one part of this report hold together, as '
      'far as accuracies are about normal over seeds (Dunnett 1955). The parts are the comparisons with luck, those '
      'with small dense networks, the ladders, the checks and the planted controls; what stands in two parts has an '
      'interval in each. The wider interval beside it holds together with all rules of its part. All words are read '
      'off the interval of the rule, and are told with its bounds; the estimate between them is no bound. '
      f'The margin d is {margin(verdicts)}.',
      'The variance of every set of tickets is moderated by those of the same rule and ratio (Smyth 2004), and one '
      'correlation between the tickets of a seed is estimated for the whole call.']
  if shared and shared.degrees_of_freedom:
    prior = '' if shared.prior_degrees_of_freedom is None else (
        f'{shared.prior_degrees_of_freedom:.1f} prior degrees of freedom, ')
    correlation = '' if shared.correlation is None else f'a correlation of {shared.correlation:.2f}, '
    found[-1] += f' Here that makes {prior}{correlation}and {shared.degrees_of_freedom} degrees of freedom in all.'
  if verdicts.resolution:
    found.append(f'Two different accuracies are at least {verdicts.resolution:.3g} points apart, one test image, and '
                 f'no deviation is taken as less than {verdicts.resolution / math.sqrt(12):.2g} points, that of '
                 'rounding to it. The intervals are about these test images: other images would add to them.')
  if any(each.images for each in verdicts.judgements):
    found.append('It was kept which test images each run got right. So each variance between trainings is split into '
                 'what the finite test set makes and what is real (Jordan 2024); the parts add up as squares. "With '
                 'new test images too" is the interval with the error that the choice of images adds.')
  return found


def _exceptions(verdicts: Verdicts) -> list[str]:
  at = '' if verdicts.guessing is None else f', {verdicts.guessing:.3g}%'
  return [f'A run that failed counts at the accuracy of guessing{at}. "Worth less" and "equivalent" are not said if a '
          'run failed or an original collapsed, nor at a ratio at which the dense network is not itself shown to be '
          'above luck by more than the margin: nothing could have failed there. Fewer than 3 seeds have no interval.']


def _looks(verdicts: Verdicts) -> list[str]:
  looks = verdicts.looks
  if looks is None:
    return []
  levels = ', '.join(f'{level:.3g}' for level in looks.levels)
  return [f'Seeds were added in up to {wording.count(len(looks.sizes), "look")}, at '
          f'{", ".join(map(str, looks.sizes))} seeds; {looks.done} done. Each look has an error rate of its own '
          f'({levels}; {_SPENDING.get(looks.kind, looks.kind)} spending, Lan and DeMets 1983). They add up to '
          f'{verdicts.alpha:.3g}, so that looking more than once makes no statement more likely to be wrong.']
