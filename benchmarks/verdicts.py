"""How often a family of intervals is wrong: made-up accuracies, judged as a sanity check judges those of runs.

If the intervals of a family all hold their true drops, no statement that is read off them is wrong. So what is counted
is the families of which at least one interval misses its drop, at either end.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import math

import numpy as np
import numpy.typing as npt

from tickets_tf import seeds
from tickets_tf.judging.bounds import critical_value
from tickets_tf.judging.estimates import estimate
from tickets_tf.judging.looks import nominal_levels

_Floats = npt.NDArray[np.float64]
# (generator, shape) to accuracies in percent, of shape [families, groups, 1 + checks, seeds].
Kind = Callable[[np.random.Generator, tuple[int, int, int, int]], _Floats]

# Comparisons of a family: (groups that share an original, checks).
FAMILIES = {1: (1, 1), 2: (1, 2), 7: (1, 7), 14: (2, 7), 49: (7, 7), 147: (21, 7)}
SEEDS = (3, 5, 10, 20)
LOOKS = (5, 8, 13, 20)
IMAGES = 360
_CHUNK = 2_000_000  # Numbers at a time.


@dataclasses.dataclass(frozen=True)
class Rate:
  """In how many of some families at least one interval missed its drop."""
  families: int
  wrong: int

  @property
  def percent(self) -> float:
    """The rate in percent."""
    return 100 * self.wrong / self.families

  @property
  def error(self) -> float:
    """Its standard error in percent points, that of a rate of 5% if the rate is lower."""
    rate = max(self.wrong / self.families, 0.05)
    return 100 * math.sqrt(rate * (1 - rate) / self.families)


def _normal(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  return 90 + rng.standard_normal(shape)


def _unequal(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """Deviations of arms differ by a factor of 1.65 either way, those of groups by one of 2.7."""
  groups, arms = rng.standard_normal((*shape[:2], 1, 1)), rng.standard_normal((*shape[:3], 1))
  return 90 + np.exp(groups + arms / 2) * rng.standard_normal(shape)


def _odd_arm(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """The last check of each group varies four times as much as its other arms."""
  deviations = np.ones((shape[2], 1))
  deviations[-1] = 4
  return 90 + deviations * rng.standard_normal(shape)


def _correlated(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """All tickets of a seed have 0.6 of their variance in common."""
  common = rng.standard_normal((*shape[:2], 1, shape[3]))
  return 90 + math.sqrt(0.6) * common + math.sqrt(0.4) * rng.standard_normal(shape)


def _unlike_correlated(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """The original has 0.8 of its variance in common with every other check, and none with the rest."""
  common = rng.standard_normal((*shape[:2], 1, shape[3]))
  share = np.where(np.arange(shape[2]) % 2 == 0, 0.8, 0)[:, np.newaxis]
  return 90 + np.sqrt(share) * common + np.sqrt(1 - share) * rng.standard_normal(shape)


def _skewed(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """Exponential, with its long tail downwards: skewness -2."""
  return 90 - rng.standard_exponential(shape)


def _skewed_unequal(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """Exponential, centred, and the checked tickets vary three times as much as the originals."""
  deviations = np.where(np.arange(shape[2]) == 0, 1, 3)[:, np.newaxis]
  return 90 - deviations * (rng.standard_exponential(shape) - 1)


def _heavy(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """Student's t with 3 degrees of freedom."""
  return 90 + rng.standard_t(3, shape)


def _discrete(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """Images right of 360, at a true accuracy of 98.5% that hardly varies."""
  truth = np.clip(0.985 + 0.002 * rng.standard_normal(shape), 0, 1)
  return 100 * rng.binomial(IMAGES, truth) / IMAGES


def _collapsed(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """One run in ten, of originals and of checked tickets alike, ends at 10%."""
  return np.where(rng.random(shape) < 0.1, 10, _normal(rng, shape))


def _collapsed_checked(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> _Floats:
  """One checked run in ten ends at 10%, and no original; accuracies are moved so that the mean drop is 0."""
  values = _normal(rng, shape)
  dead = rng.random((*shape[:2], shape[2] - 1, shape[3])) < 0.1
  values[:, :, 1:] = np.where(dead, 10, values[:, :, 1:]) + 8
  return values


KINDS: dict[str, Kind] = {
    'normal, equal variances': _normal,
    'unequal variances': _unequal,
    'one arm varies 4 times as much': _odd_arm,
    'correlated, 0.6': _correlated,
    'correlated, 0.8 or 0': _unlike_correlated,
    'skewed': _skewed,
    'skewed, checked vary 3 times as much': _skewed_unequal,
    'heavy-tailed': _heavy,
    'discrete, 360 images': _discrete,
    '10% collapse on both sides': _collapsed,
    '10% collapse on one side': _collapsed_checked}


def error_rate(kind: str, comparisons: int, number: int, families: int = 10_000, alpha: float = 0.05,
               resolution: float = 0.01) -> Rate:
  """Returns how often a family is wrong that is judged once.

  Args:
    kind: a name in `KINDS`; the true drops are all 0.
    comparisons: a number in `FAMILIES`.
    number: seeds.
    families: how many to make up.
    alpha: level of the intervals.
    resolution: of the accuracies, in percent points; that of 360 images where they are discrete.
  """
  wrong = 0
  for values in _made(kind, comparisons, number, families):
    wrong += int(_misses(values, comparisons, alpha, _resolution(kind, resolution)).sum())
  return Rate(families, wrong)


def error_rate_of_looks(kind: str, comparisons: int, looks: Sequence[int] = LOOKS, families: int = 10_000,
                        alpha: float = 0.05, resolution: float = 0.01) -> Rate:
  """Returns how often a family is wrong at any of its planned looks; see `error_rate`.

  Args:
    kind: a name in `KINDS`.
    comparisons: a number in `FAMILIES`.
    looks: numbers of seeds, rising.
    families: how many to make up.
    alpha: level of all looks together.
    resolution: as in `error_rate`.
  """
  wrong = 0
  for values in _made(kind, comparisons, looks[-1], families):
    ever = [_misses(values[..., :size], comparisons, level, _resolution(kind, resolution))
            for size, level in zip(looks, nominal_levels(looks, alpha), strict=True)]
    wrong += int(np.any(ever, axis=0).sum())
  return Rate(families, wrong)


def rows(families: int = 10_000) -> Iterator[str]:
  """Yields the rows of the table of error rates, in percent: one look, then planned looks."""
  yield '| accuracies | seeds | ' + ' | '.join(f'{number}' for number in FAMILIES) + ' |'
  yield '| --- ' * (2 + len(FAMILIES)) + '|'
  for kind in KINDS:
    for number in SEEDS:
      yield _row(kind, str(number), [error_rate(kind, comparisons, number, families) for comparisons in FAMILIES])
    found = [error_rate_of_looks(kind, comparisons, families=families) for comparisons in FAMILIES]
    yield _row(kind, ', '.join(map(str, LOOKS)), found)


def _row(kind: str, numbers: str, rates: Sequence[Rate]) -> str:
  cells = [f'**{rate.percent:.1f}**' if rate.percent > 5 + 2 * rate.error else f'{rate.percent:.1f}' for rate in rates]
  return f'| {kind} | {numbers} | ' + ' | '.join(cells) + ' |'


def _resolution(kind: str, resolution: float) -> float:
  return 100 / IMAGES if KINDS[kind] is _discrete else resolution


def _made(kind: str, comparisons: int, number: int, families: int) -> Iterator[_Floats]:
  """Yields accuracies of families, some at a time."""
  groups, checks = FAMILIES[comparisons]
  rng = seeds.generator(0, 'error rates', kind, comparisons, number)
  each = max(_CHUNK // (groups * (1 + checks) * number), 1)
  for first in range(0, families, each):
    yield KINDS[kind](rng, (min(each, families - first), groups, 1 + checks, number))


def _misses(values: _Floats, comparisons: int, alpha: float, resolution: float) -> npt.NDArray[np.bool_]:
  """Returns of each family whether an interval of it does not hold 0."""
  found = estimate(values, resolution)
  freedoms, places = np.unique(found.degrees_of_freedom, return_inverse=True)
  reach = np.array([critical_value(*FAMILIES[comparisons], int(freedom), alpha) for freedom in freedoms])
  return np.asarray((np.abs(found.drop) > reach[places.reshape(found.drop.shape)] * found.error).any((-2, -1)))
