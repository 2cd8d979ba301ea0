"""What a check is, and how one is applied so that it cannot pass without having acted."""

import dataclasses
import json
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import cast

from absl import logging
import numpy as np
import numpy.typing as npt

from tickets_tf import seeds
from tickets_tf.errors import TicketsError
from tickets_tf.pruning import patterns
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask

if TYPE_CHECKING:
  from tickets_tf.data import Examples  # It imports TensorFlow, which the checks of tickets do not need.

# Where a check acts: on the data that the rule sees, or on the ticket that it has found.
Seam = Literal['data', 'ticket']
# Kernel name -> float array in the kernel's shape.
Weights = Mapping[str, npt.NDArray[Any]]
# Figures that show that a check has acted: JSON values, or NumPy numbers.
Proof = Mapping[str, Any]


def _no_paths(mask: Mask) -> Mask | None:
  del mask
  return None


@dataclasses.dataclass(frozen=True, eq=False)
class Original:
  """The ticket that a check changes, and what it was found from.

  Attributes:
    mask: the ticket's mask.
    weights: the weights that training would start from, removed ones not yet zero.
    fresh: function without arguments that draws other weights from the layers' initialisers.
    scores: function without arguments that gives one array per kernel: the scores of the candidates.
    pattern: the pattern that the mask was chosen under.
    kernels: the network's kernels, which know their axes; without them the mask's arrays are taken as they are.
    candidates: the weights that the ticket was chosen from, those of `mask` among them: what the rounds of training
      before the last have kept. None: all weights.
    others: the values of all variables that are not kernels, by name: biases, batch norm and what cannot be pruned.
    fresh_others: as `fresh`, for `others`.
    searched: function without arguments that gives mask and weights, `others` included, of the ticket that the same
      search finds under the check's pattern; None if the check names none.
    live: function from a mask to the positions at which a weight is on a path from input to output, or would be if it
      were kept too, see `tickets_tf.models.live_positions`; it gives None if the paths cannot be known.
    rule: what tells the original's rule from others; tickets of two rules are shuffled independently.
  """
  mask: Mask
  weights: Weights
  fresh: Callable[[], Weights]
  scores: Callable[[], Sequence[npt.NDArray[Any]]]
  pattern: patterns.Pattern = patterns.UNSTRUCTURED
  kernels: Sequence[Kernel] = ()
  candidates: Mask | None = None
  others: Weights = dataclasses.field(default_factory=dict)
  fresh_others: Callable[[], Weights] = dict
  searched: Callable[[], tuple[Mask, Weights]] | None = None
  live: Callable[[Mask], Mask | None] = _no_paths
  rule: str = ''


# From the training examples, the number of classes and a random generator to changed examples and the proof.
DataCheck = Callable[['Examples', int, np.random.Generator], tuple['Examples', Proof]]
# What a check of the ticket returns: a mask, the weights under it and the proof.
Changed = tuple[Mask, Weights, dict[str, Any]]
# From the original ticket and a random generator to what has changed.
TicketCheck = Callable[[Original, np.random.Generator], tuple[Mask, Weights, Proof]]


@dataclasses.dataclass(frozen=True)
class Check:
  """One change of a ticket and the question that it asks.

  Attributes:
    seam: where the function acts, see the top of `tickets_tf.checks`.
    function: makes the change: a `DataCheck` at the seam `'data'`, a `TicketCheck` at the seam `'ticket'`.
    question: what the check asks, ends with a question mark.
    change: what was done, as in 'when its labels are random'.
    subject: what a rule that fails does not use, as in 'the labels'.
    always: whether the check is applied if the user names no checks.
    of_scores: whether it asks for the original's scores, which a mask from a file does not have.
    pattern: name of the pattern under which the search is run again, in every round; empty: it is not run again.
  """
  seam: Seam
  function: DataCheck | TicketCheck
  question: str
  change: str
  subject: str
  always: bool = True
  of_scores: bool = False
  pattern: str = ''

  @property
  def of_search(self) -> bool:
    """Whether it asks for something of the search, which a mask from a file does not have."""
    return self.seam == 'data' or self.of_scores or bool(self.pattern)


def change_data(name: str, check: Check, examples: 'Examples', num_classes: int,
                seed: int) -> tuple['Examples', dict[str, Any]]:
  """Applies a check to the training examples.

  Args:
    name: the check's name.
    check: a check at the seam of the data.
    examples: the training examples.
    num_classes: number of classes.
    seed: the run's seed.

  Returns:
    (changed examples, proof that it acted: a dictionary of JSON values).

  Raises:
    TicketsError: if nothing has changed, there is no proof, or the check returned something else.
  """
  function = cast('DataCheck', check.function)  # The seam says which of the two it is.
  changed, proof = _returned(name, function(examples, num_classes, seeds.generator(seed, 'check', name)),
                             'examples', 'proof')
  if not isinstance(changed, type(examples)):
    raise TicketsError(f'check {name}: expected it to return Examples, found {type(changed).__name__}')
  if np.array_equal(changed.labels, examples.labels) and changed.same_images(examples):
    raise TicketsError(f'check {name}: it left the training examples as they were')
  return changed, _proved(name, proof)


def change_ticket(name: str, check: Check, original: Original, seed: int) -> tuple[Mask, Weights, dict[str, Any]]:
  """Applies a check to a ticket.

  Args:
    name: the check's name.
    check: a check at the seam of the ticket.
    original: the ticket to change.
    seed: the run's seed.

  Returns:
    (changed mask, changed weights, proof that it acted: a dictionary of JSON values). The weights are those of every
    kernel, and of those `others` that have changed. The proof also tells how many kept weights are zero, before and
    after.

  Raises:
    TicketsError: if neither the mask nor a kept weight has changed, there is no proof, the mask is of another network,
      or the check returned something else.
  """
  function = cast('TicketCheck', check.function)  # The seam says which of the two it is.
  rng = seeds.generator(seed, 'check', name, *filter(None, [original.rule]))
  mask, weights, proof = _returned(name, function(original, rng), 'mask', 'weights', 'proof')
  if not isinstance(mask, Mask):
    raise TicketsError(f'check {name}: expected it to return a Mask, found {type(mask).__name__}')
  if mask.names != original.mask.names or mask.shapes != original.mask.shapes:
    raise TicketsError(f'check {name}: the mask that it returned is of another network')
  shapes = dict(zip(mask.names, mask.shapes, strict=True))
  if {variable: np.shape(values) for variable, values in weights.items()} != shapes | {
      variable: np.shape(values) for variable, values in original.others.items() if variable in weights}:
    raise TicketsError(f'check {name}: expected it to return the weights of every kernel, in their shapes')
  if mask == original.mask and not any(np.any(weights[kernel][keep] != original.weights[kernel][keep])
                                       for kernel, keep in mask.items()) and not any(
      np.any(weights[variable] != values) for variable, values in original.others.items() if variable in weights):
    raise TicketsError(f'check {name}: it left mask and kept weights as they were')
  return mask, weights, {**_proved(name, proof), **_zeros(name, original, mask, weights)}


def _zeros(name: str, original: Original, mask: Mask, weights: Weights) -> dict[str, int]:
  """Counts the kept weights that are exactly zero, and warns if a check keeps more of them than the original."""
  before, after = (sum(int(np.count_nonzero(values[kernel][keep] == 0)) for kernel, keep in kept.items())
                   for kept, values in ((original.mask, original.weights), (mask, weights)))
  if after > before:
    logging.warning('check %s: %d kept weights are zero, of the original %d', name, after, before)
  return {'kept_zeros_before': before, 'kept_zeros': after}


def _returned(name: str, values: object, *expected: str) -> tuple[Any, ...]:
  if not isinstance(values, tuple) or len(values) != len(expected):
    raise TicketsError(f'check {name}: expected it to return ({", ".join(expected)})')
  return values


def _proved(name: str, proof: Proof) -> dict[str, Any]:
  if not proof:
    raise TicketsError(f'check {name}: it gives no proof that it acted; expected a dictionary of figures')
  try:
    plain: dict[str, Any] = json.loads(json.dumps(proof, allow_nan=False, default=lambda value: value.item()))
  except (AttributeError, TypeError, ValueError) as error:
    raise TicketsError(f'check {name}: its proof {proof!r} cannot be written as JSON: {error}') from None
  return plain
