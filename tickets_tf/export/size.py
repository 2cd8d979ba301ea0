"""How small a sparse network can be stored at all."""

import math
from collections.abc import Sequence

_FLOAT = 4  # bytes


def information_limit(shapes: Sequence[Sequence[int]], counts: Sequence[int]) -> float:
  """Returns the bytes that a network with float32 weights needs, however it is stored.

  4 k + log2 C(N, k) / 8 + 4 b bytes: the k kept of N prunable weights; their positions, if every choice of k among N is
  equally likely; and the b output channels of all layers, each with one bias into which batch norm is folded.

  The positions alone take about N H(k / N) bits, with H the binary entropy. A code that also knew how many weights each
  layer keeps would need only the sum of log2 C(N_l, k_l) over the layers l.

  Args:
    shapes: shapes of the prunable kernels, output channels last.
    counts: kept weights per kernel.
  """
  weights, kept = sum(map(math.prod, shapes)), sum(counts)
  return _FLOAT * kept + _log2_binomial(weights, kept) / 8 + _FLOAT * sum(shape[-1] for shape in shapes)


def _log2_binomial(total: int, chosen: int) -> float:
  return (math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)) / math.log(2)
