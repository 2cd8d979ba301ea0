"""What a check is, and how one is applied so that it cannot pass without having acted."""

import dataclasses
import json
from typing import Any
from typing import Callable

import numpy as np

from tickets_tf.pruning import patterns
from tickets_tf import seeds
from tickets_tf.errors import TicketsError
from tickets_tf.pruning.mask import Mask

DATA, TICKET = 'data', 'ticket'


@dataclasses.dataclass(frozen=True)
class Check:
  """One change of a ticket and the question that it asks.

  Attributes:
    seam: where the function acts: `'data'` or `'ticket'`, see the top of `tickets_tf.checks`.
    function: makes the change.
    question: what the check asks, ends with a question mark.
    change: what was done, as in 'when its labels are random'.
    subject: what a rule that fails does not use, as in 'the labels'.
    always: whether it is one of all checks, which are asked where none is named.
    of_scores: whether it asks for the original's scores, which a mask from a file does not have.
  """
  seam: str
  function: Callable
  question: str
  change: str
  subject: str
  always: bool = True
  of_scores: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Original:
  """The ticket that a check changes.

  Attributes:
    mask: the `Mask`.
    weights: kernel name -> float array: the weights that training would start from, removed ones not yet zero.
    fresh: function without arguments that draws other weights, of that form, from the layers' initialisers.
    scores: function without arguments that gives the scores of all weights before any was removed, one array a kernel.
    pattern: the `Pattern` that the mask was chosen under.
  """
  mask: Mask
  weights: dict
  fresh: Callable[[], dict]
  scores: Callable[[], Any]
  pattern: patterns.Pattern = patterns.UNSTRUCTURED


def change_data(name, check, examples, num_classes, seed):
  """Applies a check to the training examples.

  Args:
    name: the check's name.
    check: a `Check` at the seam of the data.
    examples: the training `Examples`.
    num_classes: number of classes.
    seed: the run's seed.

  Returns:
    (changed `Examples`, proof that it acted: a dictionary of JSON values).

  Raises:
    TicketsError: where nothing has changed.
  """
  changed, proof = _returned(name, check.function(examples, num_classes, seeds.generator(seed, 'check', name)),
                             'examples', 'proof')
  if not isinstance(changed, type(examples)):
    raise TicketsError(f'check {name}: expected it to return Examples, found {type(changed).__name__}')
  if np.array_equal(changed.labels, examples.labels) and np.array_equal(changed.images, examples.images):
    raise TicketsError(f'check {name}: it left the training examples as they were')
  return changed, _proved(name, proof)


def change_ticket(name, check, original, seed):
  """Applies a check to a ticket.

  Args:
    name: the check's name.
    check: a `Check` at the seam of the ticket.
    original: the `Original`.
    seed: the run's seed.

  Returns:
    (changed `Mask`, changed weights as a dictionary from kernel name to array, proof that it acted).

  Raises:
    TicketsError: where neither the mask nor a kept weight has changed, or the mask is of another network.
  """
  mask, weights, proof = _returned(name, check.function(original, seeds.generator(seed, 'check', name)),
                                   'mask', 'weights', 'proof')
  if not isinstance(mask, Mask):
    raise TicketsError(f'check {name}: expected it to return a Mask, found {type(mask).__name__}')
  if mask.names != original.mask.names or mask.shapes != original.mask.shapes:
    raise TicketsError(f'check {name}: the mask that it returned is of another network')
  if {kernel: np.shape(values) for kernel, values in weights.items()} != dict(zip(mask.names, mask.shapes)):
    raise TicketsError(f'check {name}: expected it to return the weights of every kernel, in their shapes')
  if mask == original.mask and not any(
      np.any(weights[kernel][keep] != original.weights[kernel][keep]) for kernel, keep in mask.items()):
    raise TicketsError(f'check {name}: it left mask and kept weights as they were')
  return mask, weights, _proved(name, proof)


def _returned(name, values, *expected):
  if not isinstance(values, tuple) or len(values) != len(expected):
    raise TicketsError(f'check {name}: expected it to return ({", ".join(expected)})')
  return values


def _proved(name, proof):
  if not proof:
    raise TicketsError(f'check {name}: it gives no proof that it acted; expected a dictionary of figures')
  try:
    return json.loads(json.dumps(proof, allow_nan=False, default=lambda value: value.item()))
  except (AttributeError, TypeError, ValueError) as error:
    raise TicketsError(f'check {name}: its proof {proof!r} cannot be written as JSON: {error}') from None
