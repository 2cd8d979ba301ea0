"""Checks of the weights that a ticket starts from; its mask stays as it is. Su et al. 2020, section 3.

Signs and magnitudes apart: Zhou et al. 2019, section 4.
"""

from typing import Any

import numpy as np

from tickets_tf.checks.check import Changed
from tickets_tf.checks.check import Check
from tickets_tf.checks.check import Original
from tickets_tf.checks.check import Weights


def shuffle_weights(original: Original, rng: np.random.Generator) -> Changed:
  """Permutes the kept weights of each layer among its kept positions.

  Args:
    original: the ticket to change.
    rng: draws the permutations.

  Returns:
    (mask, weights, proof): the share of kept weights whose value has changed, and whether each layer has the same
    values as before.
  """
  weights = {}
  for name, keep in original.mask.items():
    weights[name] = original.weights[name].copy()
    weights[name][keep] = rng.permutation(original.weights[name][keep])
  same = all(np.array_equal(np.sort(weights[name][keep]), np.sort(original.weights[name][keep]))
             for name, keep in original.mask.items())
  return original.mask, weights, {**_weights_proof(original, weights), 'same_values_in_each_layer': same}


def reinitialise(original: Original, rng: np.random.Generator) -> Changed:
  """Draws the kernels again from the layers' initialisers; mask, biases and batch norm do not change.

  Args:
    original: the ticket to change.
    rng: not used; `original.fresh` draws from a generator of its own.

  Returns:
    (mask, weights, proof): the share of kept weights whose value has changed, and their root mean square before and
    after.
  """
  del rng
  weights = original.fresh()
  return original.mask, weights, _sizes_proof(original, weights)


def reinitialise_all(original: Original, rng: np.random.Generator) -> Changed:
  """Draws everything again from the layers' initialisers, biases and batch norm too; the mask alone does not change.

  Args:
    original: the ticket to change.
    rng: not used, as in `reinitialise`.

  Returns:
    (mask, weights, proof): that of `reinitialise`, and of all other variables how many there are, and how many of them
    have other values than before.
  """
  del rng
  weights, others = original.fresh(), original.fresh_others()
  changed = sum(bool(np.any(others[name] != values)) for name, values in original.others.items())
  return original.mask, {**weights, **others}, {**_sizes_proof(original, weights), 'other_variables': len(others),
                                                'other_variables_changed': changed}


def signs(original: Original, rng: np.random.Generator) -> Changed:
  """Keeps the signs of the weights, and draws their magnitudes again from the layers' initialisers.

  Args:
    original: the ticket to change.
    rng: not used, as in `reinitialise`.

  Returns:
    (mask, weights, proof): that of `reinitialise`, and the shares of kept weights with the sign and with the magnitude
    that they had.
  """
  del rng
  weights = {name: np.sign(original.weights[name]) * np.abs(values) for name, values in original.fresh().items()}
  return original.mask, weights, {**_sizes_proof(original, weights), **_parts_proof(original, weights)}


def magnitudes(original: Original, rng: np.random.Generator) -> Changed:
  """Keeps the magnitudes of the weights, and draws their signs again from the layers' initialisers.

  Args:
    original: the ticket to change.
    rng: not used, as in `reinitialise`.

  Returns:
    (mask, weights, proof): as `signs`.
  """
  del rng
  weights = {name: np.copysign(original.weights[name], values) for name, values in original.fresh().items()}
  return original.mask, weights, {**_sizes_proof(original, weights), **_parts_proof(original, weights)}


def _kept(original: Original, weights: Weights) -> np.ndarray:
  return np.concatenate([weights[name][keep] for name, keep in original.mask.items()])


def _share(found: np.ndarray) -> float:
  return round(float(np.count_nonzero(found)) / max(found.size, 1), 4)


def _weights_proof(original: Original, weights: Weights) -> dict[str, Any]:
  return {'kept_weights_changed': _share(_kept(original, weights) != _kept(original, original.weights))}


def _sizes_proof(original: Original, weights: Weights) -> dict[str, Any]:
  sizes = [round(float(np.sqrt(np.mean(_kept(original, each)**2))), 6) for each in (original.weights, weights)]
  return {**_weights_proof(original, weights), 'root_mean_square_before': sizes[0], 'root_mean_square': sizes[1]}


def _parts_proof(original: Original, weights: Weights) -> dict[str, Any]:
  before, after = _kept(original, original.weights), _kept(original, weights)
  return {'same_signs': _share(np.sign(before) == np.sign(after)),
          'same_magnitudes': _share(np.abs(before) == np.abs(after))}


SHUFFLE_WEIGHTS = Check('ticket', shuffle_weights, 'what is each weight\'s place worth?',
                        'its kept weights change places within each layer', 'the place of each weight within its layer')
REINITIALISE = Check('ticket', reinitialise, 'what are the weights worth (batch norm and biases stay)?',
                     'its kernels are drawn afresh (batch norm and biases stay)', 'the weights that it starts from')
REINITIALISE_ALL = Check('ticket', reinitialise_all, 'what is all that was trained worth, beyond the mask?',
                         'everything but its mask is drawn afresh (batch norm and biases too)',
                         'any value that it starts from', always=False)
SIGNS = Check('ticket', signs, 'what are the magnitudes of its weights worth?',
              'the magnitudes of its weights are drawn afresh, and their signs stay', 'the magnitudes of its weights',
              always=False)
MAGNITUDES = Check('ticket', magnitudes, 'what are the signs of its weights worth?',
                   'the signs of its weights are drawn afresh, and their magnitudes stay', 'the signs of its weights',
                   always=False)
