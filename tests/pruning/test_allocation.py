import itertools
import json
import math
import pathlib
import tracemalloc

import numpy as np
import pytest

from tickets_tf.pruning import allocation
from tickets_tf.pruning import layer_ratios
from tickets_tf.pruning import selection
from tickets_tf import registry
from tickets_tf.pruning.allocation import allocate, kept_total
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.pruning.kernels import Kernel

GOLDEN = json.loads((pathlib.Path(__file__).parents[1] / 'golden' / 'smart_ratio.json').read_text())
VARIANTS = {'smart': 'smart', 'linear_decay': 'linear', 'ascend': 'ascending', 'cubic': 'cubic', 'uniform': 'uniform'}
BY_SCORE = ['global', 'global_convolutions']
BY_SHAPE = ['smart', 'linear', 'cubic', 'ascending', 'uniform', 'er', 'erk', 'balanced', 'pyramidal']


def network(*shapes, classifier=True, residual=False):
  """Kernels k1, k2, ... of the given shapes; an integer n stands for the dense shape (n, 1)."""
  shapes = [(shape, 1) if isinstance(shape, int) else shape for shape in shapes]
  return [Kernel(f'k{number}', shape, 'dense' if len(shape) == 2 else 'conv',
                 classifier and number == len(shapes), residual) for number, shape in enumerate(shapes, start=1)]


def draw_network(draw):
  """A network of 1 to 12 kernels of 1 to 16,000 weights, in a third of the cases of very few weights."""
  most = draw.choice([2, 6, 40])
  shapes = [tuple(draw.integers(1, 4, draw.integers(0, 4))) + tuple(draw.integers(1, most + 1, 2))
            for _ in range(draw.integers(1, 13))]
  if classifier := draw.random() < 0.8:
    shapes[-1] = shapes[-1][-2:]
  return network(*(tuple(map(int, shape)) for shape in shapes), classifier=classifier, residual=draw.random() < 0.5)


def draw_cases(number, seed):
  """Pairs of kernels and ratio, the corners among them."""
  draw = np.random.default_rng(seed)
  for _ in range(number):
    kernels = draw_network(draw)
    total = sum(kernel.size for kernel in kernels)
    layers = len(kernels)
    # The last three leave about one weight, one per layer and two per layer.
    yield kernels, float(draw.choice([0, 0.001, 0.5, 0.9, 0.999, 0.9999, draw.random(), *(
        max(0, 1 - (left + 0.5) / total) for left in (1, layers, 2 * layers))]))
  for ratio in (0, 0.3, 0.999, 0.9999):
    yield network((3, 3, 3, 64), classifier=False), ratio
    yield network((100, 10)), ratio
    yield network(1), ratio


@pytest.fixture
def warnings(monkeypatch):
  """The messages that the module logs as warnings."""
  messages = []
  monkeypatch.setattr(allocation.logging, 'warning', lambda message, *args: messages.append(message % args))
  return messages


def same_sizes(kernels, value=0.0):
  return [np.full(kernel.shape, value, np.float32) for kernel in kernels]


# The total.


def test_kept_total_is_the_truncated_product():
  assert kept_total(network(6, 4), 0) == 10
  assert kept_total(network(6, 4), 0.75) == 2
  assert kept_total(network(6, 4), 0.9) == 0  # 10 * (1 - 0.9) is 0.9999999999999998.
  assert kept_total(network(20_024_000), 0.98) == int(20_024_000 * (1 - 0.98)) == 400_480


@pytest.mark.parametrize('ratio', [1, 1.5, -0.1, math.nan, math.inf, '0.5', None])
def test_a_ratio_outside_its_range_is_refused(ratio):
  for function in (kept_total, allocate):
    with pytest.raises(UsageError, match=rf'ratio {ratio!r}: expected a number from 0'):
      function(network(6, 4), ratio)


@pytest.mark.parametrize('name', registry.ALLOCATIONS.names())
def test_totals_are_exact_and_counts_possible(name):
  for case, (kernels, ratio) in enumerate(draw_cases(300, seed=1)):
    scores = [np.random.default_rng(case).integers(0, 4, kernel.shape) for kernel in kernels]
    counts = allocate(kernels, ratio, name, scores=scores, seed=case)
    assert all(type(count) is int for count in counts) and len(counts) == len(kernels)
    assert sum(counts) == kept_total(kernels, ratio)
    assert all(0 <= count <= kernel.size for count, kernel in zip(counts, kernels, strict=True))
    if ratio == 0:
      assert counts == [kernel.size for kernel in kernels]


@pytest.mark.parametrize('name', BY_SHAPE)
def test_no_layer_is_left_empty_while_there_are_weights_enough(name):
  few = enough = 0
  for kernels, ratio in draw_cases(600, seed=2):
    counts, keep = allocate(kernels, ratio, name), kept_total(kernels, ratio)
    if keep >= len(kernels):
      assert min(counts) > 0
      enough += keep < 2 * len(kernels)
    else:
      assert max(counts) <= 1
      few += keep > 0
  assert few > 20 and enough > 20  # Both sides of the rule were met.


def test_too_few_weights_go_to_the_largest_shares():
  kernels = network(10, 40, 20, 30, classifier=False)
  assert allocate(kernels, 0.975, 'uniform') == [0, 1, 0, 1]
  assert allocate(kernels, 0.985, 'uniform') == [0, 1, 0, 0]
  assert allocate(kernels, 0.995, 'uniform') == [0, 0, 0, 0]


def test_the_remainder_goes_to_the_largest_fractions():
  assert allocate(network(9, 15, 16, classifier=False), 0.75, 'uniform') == [2, 4, 4]  # Shares 2.25, 3.75, 4.
  assert allocate(network(15, 9, 16, classifier=False), 0.75, 'uniform') == [4, 2, 4]
  assert allocate(network(11, 15, 14, 20, classifier=False), 0.75, 'uniform') == [3, 4, 3, 5]  # 2.75, 3.75, 3.5, 5.


def test_layers_lifted_to_one_weight_are_paid_for_by_those_that_keep_most():
  assert allocate(network(1, 1, 1, 397, classifier=False), 0.75, 'uniform') == [1, 1, 1, 97]  # Shares 0.25 and 99.25.
  assert allocate(network(10, 30, 1, 1, classifier=False), 0.5, 'uniform') == [5, 14, 1, 1]  # Shares 5, 15, 0.5, 0.5.
  # Shares 4.2 of 4, 7, and 0.9 in all for the others: a layer that is whole gives last.
  kernels = network(4, 10, 1, 1, 1, 1, 1, 1, classifier=False, residual=True)
  assert allocate(kernels, 0.4, 'cubic') == [4, 2, 1, 1, 1, 1, 1, 1]


# Smart ratios.


def golden_case(entry):
  layers = GOLDEN['layers'][f'{entry["model"]}-{entry["num_classes"]}']
  return [Kernel(name, tuple(shape), 'conv' if len(shape) == 4 else 'dense', classifier=name == layers['names'][-1],
                 residual=entry['model'] == 'resnet32')
          for name, shape in zip(layers['names'], layers['shapes'], strict=True)]


def raw_weights(entry, kernels):
  """Layer size times raw share of every layer but the classifier, computed independently from the specification."""
  last = len(kernels)
  profile = {'smart': lambda l: (last - l + 1)**2 + (last - l + 1), 'linear_decay': lambda l: last - l + 1,
             'cubic': lambda l: (last - l + 1)**3, 'ascend': lambda l: l**2 + l, 'uniform': lambda l: 1}
  divided = not kernels[0].residual and entry['variant'] != 'uniform'
  return [kernel.size * profile[entry['variant']](l) / (l**2 if divided else 1)
          for l, kernel in enumerate(kernels[:-1], start=1)]


@pytest.mark.parametrize('entry', GOLDEN['keep_counts'], ids=lambda entry: '-'.join(map(str, [*entry.values()][:4])))
def test_smart_ratios_agree_with_the_authors_code(entry):
  kernels, reference = golden_case(entry), entry['keep']
  counts = allocate(kernels, entry['prune_ratio'], VARIANTS[entry['variant']])
  keep = int(sum(kernel.size for kernel in kernels) * (1 - entry['prune_ratio']))
  assert sum(counts) == keep

  weights = raw_weights(entry, kernels)
  scale = (keep - int(0.3 * kernels[-1].size)) / sum(weights)
  ratios = [scale * weight / kernel.size for weight, kernel in zip(weights, kernels[:-1], strict=True)]
  if ratios[0] < 1 < max(ratios):
    return  # The authors' code drops the surplus then.

  difference = np.abs(np.subtract(counts, reference))
  # Where its total is so far off that the layers that are not whole cannot make up for it, they may differ by more.
  tolerance = np.array([2 if kernel.size > 1e6 else 1 for kernel in kernels])
  room = np.array([kernel.size - count for kernel, count in zip(kernels, reference, strict=True)])
  while not -tolerance[room > 0].sum() <= keep - sum(reference) <= np.minimum(tolerance, room).sum():
    tolerance += room > 0
  # It also rounds every term of the sum of the raw weights down, so that its scale and all that it hands on are too
  # large; the layer that receives the end of the surplus shows it.
  receiver = next(index for index, count in enumerate(room) if count)
  if max(ratios) > 1:
    tolerance[receiver] += math.ceil(keep * (sum(weights) / sum(map(math.floor, weights)) - 1))
  assert np.all(difference <= tolerance)
  # Guards the reasoning above: but for the two cases where the reference keeps too much there is next to no difference.
  assert max(difference) <= 2 or sum(reference) > keep


@pytest.mark.parametrize('name, shares', [
    ('smart', [20, 12, 6]), ('linear', [4, 3, 2]), ('cubic', [64, 27, 8]), ('ascending', [2, 6, 12]),
    ('uniform', [1, 1, 1])])
@pytest.mark.parametrize('residual', [True, False])
def test_raw_shares_follow_the_formula(name, shares, residual):
  kernels = network(100_000, 200_000, 150_000, 1000, residual=residual)
  divisor = np.ones(3) if residual or name == 'uniform' else np.arange(1, 4)**2
  weights = np.array([100_000, 200_000, 150_000]) * shares / divisor
  counts = allocate(kernels, 0.9, name)
  exact = (kept_total(kernels, 0.9) - 300) * weights / weights.sum()
  assert counts[3] == 300 and np.all(np.abs(counts[:3] - exact) < 1)
  if name != 'uniform':
    assert allocate(kernels, 0.9, name, residual=not residual) != counts
    assert allocate(kernels, 0.9, name, residual=residual) == counts
    assert allocate(network(100_000, 200_000, 150_000, 1000, residual=not residual), 0.9, name,
                    residual=residual) == counts


def test_surplus_goes_to_the_following_layers_in_order():
  # Raw shares 20, 12, 6, 2, weights 2000, 1200, 1200, 400 with the total 4800: of 240 weights the first layer's share
  # is exactly 100, the second's 60.
  kernels = network(100, 100, 200, 200, classifier=False, residual=True)
  assert allocate(kernels, 0.6, 'smart') == [100, 60, 60, 20]
  # Of 360 the shares are 150, 90, 90, 30: 50 are passed on, 10 to the second layer, 40 to the third, 0 to the fourth.
  assert allocate(kernels, 0.4, 'smart') == [100, 100, 130, 30]
  # Of 480 they are 200, 120, 120, 40: 120 are passed on, 80 to the third, 40 to the fourth.
  assert allocate(kernels, 0.2, 'smart') == [100, 100, 200, 80]


def test_surplus_left_after_the_last_layer_goes_round_to_the_earlier_ones_and_then_to_the_classifier():
  # Raw shares 2, 6, 12, weights 200, 600, 120 with the total 920: of 184 weights the shares are 40, 120, 24, so that
  # 20 + 14 of them go round to the first layer.
  kernels = network(100, 100, 10, classifier=False, residual=True)
  assert allocate(kernels, 1 - 184.5 / 210, 'ascending') == [74, 100, 10]
  # Of 92 they are 20, 60, 12: the first layer comes before the second.
  assert allocate(kernels, 1 - 92.5 / 210, 'ascending') == [22, 60, 10]
  # The classifier has 30 and takes more only when all others are whole: of 245 weights 215 are theirs...
  kernels = network(100, 100, 10, 100, residual=True)
  assert allocate(kernels, 1 - 230.5 / 310, 'ascending') == [90, 100, 10, 30]
  assert allocate(kernels, 1 - 245.5 / 310, 'ascending') == [100, 100, 10, 35]


def test_classifier_keeps_its_fixed_share(warnings):
  kernels = network(900, 1001)
  assert allocate(kernels, 0.5, 'smart') == [650, 300]
  assert allocate(kernels, 0.5, 'uniform', linear_keep_ratio=0.2) == [750, 200]
  assert allocate(kernels, 0.5, 'smart', linear_keep_ratio=np.float64(0.45)) == [500, 450]
  assert allocate(network(177, 23), 0.5, 'smart') == [94, 6]  # 6.9 rounded down, as in the authors' code.
  assert allocate(network(100), 0.2, 'smart') == [80]  # There is nobody else to take the rest.
  assert not warnings


def test_classifier_never_keeps_more_than_half(warnings):
  kernels = network(1000, 1000)
  assert allocate(kernels, 0.7, 'smart') == [300, 300]  # Exactly half.
  assert allocate(network(1500, 500), 0.85, 'uniform') == [150, 150]  # Exactly half: not lowered.
  assert not warnings
  assert allocate(kernels, 0.75, 'smart') == [250, 250]
  assert allocate(network(1500, 500), 0.875, 'uniform') == [125, 125]
  assert len(warnings) == 2
  assert 'classifier k2 would keep 300 of its 1000 weights, more than half of the 500' in warnings[0]
  assert '150 of its 500 weights, more than half of the 250 in total: it keeps 125' in warnings[1]
  # The other layer is whole, so that the classifier has the rest.
  assert allocate(network(100, 900), 0.5, 'smart') == [100, 400]
  assert len(warnings) == 2


def test_a_classifier_without_a_share_is_reported_as_empty(warnings):
  assert allocate(network(100, 10), 0.5, 'smart', linear_keep_ratio=0) == [55, 0]
  assert warnings == ['allocation smart at ratio 0.5 leaves empty layers, which cut the network: k2']


@pytest.mark.parametrize('options, message', [
    ({'linear_keep_ratio': 1.1}, r'linear_keep_ratio 1\.1: expected a number from 0 to 1'),
    ({'linear_keep_ratio': -0.1}, r'linear_keep_ratio -0\.1'),
    ({'linear_keep_ratio': '0.3'}, "linear_keep_ratio '0.3'"),
    ({'linear_keep_ratio': math.nan}, 'linear_keep_ratio nan'), ({'residual': 'no'}, "residual 'no': expected True")])
def test_options_of_smart_are_checked(options, message):
  with pytest.raises(UsageError, match=message):
    allocate(network(100, 10), 0.5, 'smart', **options)


# ER and ERK.


@pytest.mark.parametrize('name, ratios', [
    ('er', [50 / (20 * 30), 30 / (10 * 20), 70 / (30 * 40), 60 / (20 * 40), 50 / (40 * 10)]),
    ('erk', [(50 + 3 + 5) / (15 * 20 * 30), (30 + 7) / (7 * 10 * 20), (70 + 2 + 3 + 4) / (24 * 30 * 40),
             60 / (20 * 40), 50 / (40 * 10)])])
def test_erdos_renyi_follows_the_formula(name, ratios):
  shapes = [(3, 5, 20, 30), (7, 10, 20), (2, 3, 4, 30, 40), (20, 40), (40, 10)]
  sizes = np.array([9000, 1400, 28_800, 800, 400])
  for classifier in (True, False):  # A layer like any other.
    counts = allocate(network(*shapes, classifier=classifier), 0.98, name)
    shares = sizes * ratios * 808 / (sizes * ratios).sum()
    assert shares.max() < 9000 and np.all(np.abs(counts - shares) < 1)


def test_erdos_renyi_layers_that_reach_one_are_whole_and_the_others_rescaled():
  # Sizes 100, 100, 1000 times ratios make 20, 52, 110. Of 600 weights the shares are 66, 171, 363: the second layer is
  # whole, and the others divide 500 by 20 : 110.
  kernels = network((10, 10), (2, 50), (10, 100), classifier=False)
  assert allocate(kernels, 0.5, 'er') == [77, 100, 423]
  # Of 780 they are 86, 223, 471, then 105, 100, 575: the rescaling itself fills the first layer.
  assert allocate(kernels, 0.35, 'er') == [100, 100, 580]


# Balanced and pyramidal ratios.


def test_balanced_layers_keep_equally_many_and_full_ones_hand_their_surplus_on():
  kernels = network((3, 3, 2, 10), (3, 3, 10, 20), (20, 5), (100, 10))
  assert allocate(kernels, 1 - 308.5 / 3080, 'balanced') == [77] * 4
  # Of 770 weights 192.5 would be each layer's. The first is full at 180 and the third at 100: 490 remain for two.
  assert allocate(kernels, 0.75, 'balanced') == [180, 245, 100, 245]


def test_pyramidal_ratios_are_the_powers_of_one_ratio():
  # 100 r + 200 r^2 + 400 r^3 = 50 + 50 + 50 at r = 0.5, as in the authors' polynomial of the layers' sizes.
  kernels = network(100, 200, 400, classifier=False)
  assert allocate(kernels, 1 - 150.5 / 700, 'pyramidal') == [50, 50, 50]
  shapes = [(3, 3, 5, 40), (3, 3, 40, 50), (50, 60), (60, 10)]
  sizes = np.array([1800, 18_000, 3000, 600])
  for ratio in (0.5, 0.9, 0.99):
    keep = kept_total(network(*shapes), ratio)
    roots = np.roots([*sizes[::-1], -keep])
    root, = (each.real for each in roots if abs(each.imag) < 1e-9 and 0 < each.real < 1)
    counts = allocate(network(*shapes), ratio, 'pyramidal')
    assert np.all(np.abs(counts - sizes * root ** np.arange(1, 5)) < 1)


def test_pyramidal_ratios_of_a_deep_network_leave_no_layer_empty():
  kernels = network(*[1000] * 200, classifier=False)
  counts = allocate(kernels, 1 - 1000.5 / 200_000, 'pyramidal')
  assert min(counts) == 1 and sum(counts) == 1000 and counts == sorted(counts, reverse=True)


# Scores decide.


def test_global_keeps_the_highest_over_the_network():
  draw = np.random.default_rng(3)
  for case, (kernels, ratio) in enumerate(draw_cases(200, seed=4)):
    scores = [draw.standard_normal(kernel.shape) * draw.choice([0.1, 1, 10]) for kernel in kernels]
    counts = allocate(kernels, ratio, 'global', scores=scores)
    keep = kept_total(kernels, ratio)
    order = np.argsort(-np.concatenate([layer.ravel() for layer in scores]))[:keep]
    owner = np.repeat(np.arange(len(kernels)), [kernel.size for kernel in kernels])
    assert counts == np.bincount(owner[order], minlength=len(kernels)).tolist(), case


def test_global_takes_layers_of_different_types():
  kernels = network(3, 3, 2, classifier=False)
  scores = [np.array([[0.1], [5], [3]], np.float32), np.array([[4], [-1], [2]]), np.array([[True], [False]])]
  assert allocate(kernels, 0.5, 'global', scores=scores) == [2, 2, 0]
  assert allocate(kernels, 0.375, 'global', scores=scores) == [2, 2, 1]


def test_empty_layers_are_named_in_a_warning(warnings):
  kernels = network(2, 3, 2, 1, classifier=False)
  scores = [np.full((2, 1), 1.0), np.zeros((3, 1)), np.full((2, 1), 2.0), np.zeros((1, 1))]
  assert allocate(kernels, 0.5, 'global', scores=scores) == [2, 0, 2, 0]
  assert warnings == ['allocation global at ratio 0.5 leaves empty layers, which cut the network: k2, k4']
  allocate(kernels, 0, 'global', scores=scores)
  assert len(warnings) == 1


@pytest.mark.parametrize('name', BY_SCORE)
def test_global_ties_are_drawn_evenly_over_the_network(name):
  kernels = network(10, 20, 70, classifier=False)
  runs, places = [], 0
  for seed in range(100):
    counts = allocate(kernels, 0.695, name, scores=same_sizes(kernels, 0.25), seed=seed)
    runs.append(counts)
    kept = selection.select(same_sizes(kernels), counts, np.random.default_rng(seed))
    places += np.concatenate([layer.ravel() for layer in kept]).astype(int)
  sizes = np.array([10, 20, 70])
  # The law of drawing 30 of 100 weights: mean and variance of each layer's count.
  variance = 30 * sizes / 100 * (1 - sizes / 100) * 70 / 99
  assert np.all(np.abs(np.mean(runs, axis=0) - 30 * sizes / 100) < 4 * np.sqrt(variance / 100))
  assert np.all(np.abs(np.var(runs, axis=0) / variance - 1) < 5 * math.sqrt(2 / 99))
  # Each of the 100 places is kept 30 times in 100: 99 degrees of freedom, standard deviation 14.
  statistic = ((places - 30)**2 / 21).sum() * 99 / 100
  assert 99 - 3.5 * 14 < statistic < 99 + 5 * 14


def test_global_draws_only_among_the_tied():
  kernels = network(4, 4, 4, classifier=False)
  scores = [np.array([[3.0], [1], [1], [0]]), np.array([[2.0], [1], [0], [0]]), np.zeros((4, 1))]
  seen = {tuple(allocate(kernels, 0.66, 'global', scores=scores, seed=seed)) for seed in range(50)}
  assert seen == {(3, 1, 0), (2, 2, 0)}


def test_the_same_seed_gives_the_same_mask():
  kernels = network(300, 200, classifier=False)

  def ticket(seed):
    return allocate(kernels, 0.5, 'global', scores=same_sizes(kernels), seed=seed)

  assert ticket(5) == ticket(5)
  assert len({tuple(ticket(seed)) for seed in range(10)}) > 3
  assert allocate(kernels, 0.5, 'smart', seed=1) == allocate(kernels, 0.5, 'smart', seed=2)


def test_global_functions_work_when_called_directly():
  kernels = network(4, 4)
  for function in (allocation.global_threshold, allocation.global_convolutions):
    assert sum(function(kernels, 3, same_sizes(kernels))) == 3
    assert function(kernels, 3, same_sizes(kernels)) == function(kernels, 3, same_sizes(kernels))


@pytest.mark.parametrize('name', BY_SCORE)
def test_scores_must_fit_the_kernels_and_be_finite(name):
  kernels = network((2, 3), 4)
  good = same_sizes(kernels)
  for scores, message in [
      (None, 'one array of scores per kernel: 2, not none'), (good[:1], 'per kernel: 2, not 1'),
      ([good[0].T, good[1]], r'scores of k1: expected shape \(2, 3\), found \(3, 2\)'),
      ([good[0], good[1].astype(str)], 'scores of k2: expected real numbers')]:
    with pytest.raises(UsageError, match=message):
      allocate(kernels, 0.5, name, scores=scores)
  for bad in (np.nan, np.inf, -np.inf):
    with pytest.raises(TicketsError, match='scores of k2: 4 of 4 are NaN or infinite') as caught:
      allocate(kernels, 0.5, name, scores=same_sizes(kernels[:1]) + same_sizes(kernels[1:], bad))
    assert not isinstance(caught.value, UsageError)


def test_global_convolutions_keeps_the_classifier_whole(warnings):
  kernels = network(40, 40, 20)
  scores = [np.arange(40.0).reshape(40, 1), np.arange(20.0, 60).reshape(40, 1), np.full((20, 1), -1.0)]
  # Of 50 weights 30 are left, the highest of the numbers 0..39 and 20..59.
  assert allocate(kernels, 0.5, 'global_convolutions', scores=scores) == [5, 25, 20]
  assert allocate(kernels, 0.595, 'global_convolutions', scores=scores) == [0, 20, 20]  # Exactly half.
  assert len(warnings) == 1 and 'empty' in warnings[0]
  # Half of 39.
  assert allocate(kernels, 0.605, 'global_convolutions', scores=scores) == [0, 20, 19]
  assert 'classifier k3 would keep 20 of its 20 weights, more than half of the 39 in total: it keeps 19' in warnings[1]


@pytest.mark.parametrize('name', ['smart', 'uniform', 'global_convolutions'])
def test_the_classifiers_share_does_not_jump(name):
  # The classifier has 30% of the weights: its share passes half of the budget on the way.
  kernels = network((30, 20), (40, 20), (30, 20))
  scores = [np.random.default_rng(index).random(kernel.shape) for index, kernel in enumerate(kernels)]
  kept = [allocate(kernels, 1 - (keep + 0.5) / 2000, name, scores=scores)[-1] for keep in range(1, 2000)]
  assert all(0 <= after - before <= 1 for before, after in itertools.pairwise(kept))
  assert all(classifier <= keep // 2 for keep, classifier in zip(range(1, 1400), kept, strict=False))


def test_global_convolutions_without_a_classifier_is_global():
  draw = np.random.default_rng(8)
  kernels = network(40, 30, 20, classifier=False)
  scores = [draw.integers(0, 5, kernel.shape) for kernel in kernels]
  for ratio in (0, 0.5, 0.9, 0.99):
    assert (allocate(kernels, ratio, 'global_convolutions', scores=scores, seed=3)
            == allocate(kernels, ratio, 'global', scores=scores, seed=3))


@pytest.mark.parametrize('kind', ['different', 'equal'])
def test_memory_stays_below_two_copies_of_the_scores(kind):
  kernels = network((20_000, 1000), (4999, 1000), (1000, 1), classifier=False)
  draw = np.random.default_rng(0)
  scores = [draw.random(kernel.shape, np.float32) if kind == 'different' else np.zeros(kernel.shape, np.float32)
            for kernel in kernels]
  tracemalloc.start()
  try:
    counts = allocate(kernels, 0.9, 'global', scores=scores)
    kept = selection.select(scores, counts, draw)
    _, peak = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  assert sum(np.count_nonzero(layer) for layer in kept) == kept_total(kernels, 0.9)
  copy = sum(layer.nbytes for layer in scores)
  assert copy == 100_000_000 and peak < 2 * copy


# A user's own.


def test_a_users_own_allocation_is_called_as_documented():
  kernels, seen = network(6, 4), []

  def halves(*args, **options):
    seen.append((args, options))
    return np.array([3, 2], np.int32)

  scores = same_sizes(kernels)
  assert allocate(kernels, 0.5, halves, scores=scores, seed=4, power=2) == [3, 2]
  (args, options), = seen
  assert args == (kernels, 5) and options['scores'] is scores and options['power'] == 2
  expected = allocation.seeds.generator(4, 'allocation').random()
  assert options['rng'].random() == expected


def test_an_allocation_is_found_by_its_path(tmp_path, monkeypatch):
  (tmp_path / 'own_allocation.py').write_text('''
def first(kernels, keep, scores=None, rng=None, offset=0):
  return [keep - offset] + [offset] + [0] * (len(kernels) - 2)
''')
  monkeypatch.syspath_prepend(tmp_path)
  assert allocate(network(6, 4, 2), 0.5, 'own_allocation:first') == [6, 0, 0]
  assert allocate(network(6, 4, 2), 0.5, 'own_allocation:first', offset=2) == [4, 2, 0]
  with pytest.raises(UsageError, match="allocation 'own_allocation:first' returned 7 for 'k1' of size 6"):
    allocate(network(6, 4, 2), 0.5, 'own_allocation:first', offset=-1)


@pytest.mark.parametrize('returned, message', [
    ([5], 'returned 1 counts'), ([3, 1, 1], 'returned 3 counts'), ([2, 2], 'returned 4 weights in total'),
    ([1, 5], "returned 5 for 'k2' of size 4"), ([6, -1], "returned -1 for 'k2'"),
    ([2.5, 2.5], r"returned 2\.5 for 'k1'"), (np.array([3.0, 2.0]), r"returned np\.float64\(3\.0\) for 'k1'"),
    (['3', '2'], "returned '3' for 'k1'"), (None, 'returned None'), (5, 'returned 5')])
def test_what_an_allocation_returns_is_checked(returned, message):
  def mine(kernels, keep, scores=None, rng=None):
    return returned

  expected = "; expected 2 integers, none below 0 or above its kernel's size, 5 in total"
  with pytest.raises(UsageError, match=rf"^allocation 'mine' {message}.*{expected}$"):
    allocate(network(6, 4), 0.5, mine)


def test_unknown_allocations_and_options_are_refused():
  kernels = network(6, 4)
  with pytest.raises(UsageError, match=r"unknown allocation 'smrt' .*'smart'"):
    allocate(kernels, 0.5, 'smrt')
  with pytest.raises(UsageError, match="allocation 'math:pi': expected a function, found float"):
    allocate(kernels, 0.5, 'math:pi')
  with pytest.raises(UsageError, match=r"allocation 'smart': .*'power'; its options: linear_keep_ratio, residual"):
    allocate(kernels, 0.5, 'smart', power=2)
  with pytest.raises(UsageError, match=r"allocation 'uniform': .*'residual'; its options: linear_keep_ratio$"):
    allocate(kernels, 0.5, 'uniform', residual=True)
  with pytest.raises(UsageError, match=r"allocation 'erk': .*'linear_keep_ratio'; its options: none"):
    allocate(kernels, 0.5, 'erk', linear_keep_ratio=0.3)
  for reserved in ('rng', 'keep'):
    with pytest.raises(UsageError, match=rf"allocation 'smart': .*'{reserved}'"):
      allocate(kernels, 0.5, 'smart', **{reserved: 1})
  with pytest.raises(UsageError, match=r"allocation 'needy': .*'power'; its options: power"):
    def needy(kernels, keep, power, scores=None, rng=None):
      return [keep, 0]
    allocate(kernels, 0.5, needy)
  with pytest.raises(UsageError, match='no prunable kernels'):
    allocate([], 0.5)
  with pytest.raises(TypeError, match='inside'):  # A bug in the user's function stays visible as one.
    def broken(kernels, keep, scores=None, rng=None):
      raise TypeError('inside')
    allocate(kernels, 0.5, broken)


def test_ratios_like_those_of_a_mask_are_reached_geometrically():
  kernels = [Kernel('a', (100,), 'conv'), Kernel('b', (200,), 'conv'), Kernel('c', (50,), 'dense')]
  counts = [50, 20, 0]
  assert layer_ratios.like(kernels, 70, counts=counts) == counts
  more = layer_ratios.like(kernels, 140, counts=counts)
  assert sum(more) == 140 and more[2] == 0
  assert math.log(more[0] / 100) / math.log(0.5) == pytest.approx(math.log(more[1] / 200) / math.log(0.1), abs=0.02)
  for wrong in (None, [50, 20], [101, 0, 0], [50, 91, 0]):
    with pytest.raises(UsageError, match='allocation like: expected counts of the 3 kernels'):
      layer_ratios.like(kernels, 140, counts=wrong)
