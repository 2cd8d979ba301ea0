"""Tickets: a mask and the weights that training starts from, and how a rule finds them."""

import dataclasses
import pathlib

import numpy as np

from tickets_tf import allocation as allocations
from tickets_tf import files
from tickets_tf import masks
from tickets_tf import records
from tickets_tf import rules
from tickets_tf import scores as scoring
from tickets_tf import seeds
from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels


@dataclasses.dataclass(frozen=True, eq=False)
class Ticket:
  """A sparse subnetwork as a value.

  Attributes:
    mask: the `Mask`.
    weights: what `model.get_weights()` of the network gives with removed weights at zero: all variables, in order.
    provenance: dictionary of JSON values: rule, ratio, seed and whatever else tells where the ticket comes from.
  """
  mask: masks.Mask
  weights: list
  provenance: dict

  def save(self, folder):
    """Writes the ticket into a folder, whole or not at all; nothing is pickled.

    Raises:
      TicketsError: where it cannot be written.
    """
    with files.replacing(folder) as temporary:
      temporary.mkdir()
      self.mask.save(temporary / 'mask.npz')
      np.savez(temporary / 'weights.npz', **{f'{index:05d}': value for index, value in enumerate(self.weights)})
      records.write_json(temporary / 'provenance.json', self.provenance)

  @classmethod
  def load(cls, folder):
    """Reads what `save` wrote.

    Raises:
      UsageError: where the folder holds no ticket, or a damaged one; the message names the file.
    """
    folder = pathlib.Path(folder)
    mask = masks.load(folder / 'mask.npz')
    path = folder / 'weights.npz'
    try:
      with np.load(path, allow_pickle=False) as stored:
        weights = [stored[key] for key in sorted(stored.files)]
    except (OSError, ValueError) as error:
      raise UsageError(f'{path}: cannot be read: {error}') from error
    return cls(mask, weights, records.read_json(folder / 'provenance.json'))


def find_ticket(model, rule, ratio, images=None, labels=None, seed=0, allocation='', **options):
  """Finds the ticket that a rule's score and allocation choose in a network as it stands.

  A rule that scores trained weights wants a trained network; `tickets_tf.train` takes care of that for whole runs.

  Args:
    model: a built `tf_keras` model to logits; it is left as it was.
    rule: a rule's name, `package.module:name` of a score function, or a `Rule`.
    ratio: pruning ratio in [0, 1).
    images: float32 [N, height, width, channels], normalised, for scores that look at data.
    labels: int [N].
    seed: the run's seed.
    allocation: replaces the rule's allocation; empty keeps it.
    **options: the score's own settings.

  Returns:
    A `Ticket` with the weights of `model`.

  Raises:
    UsageError: for a rule, ratio or allocation that cannot be used.
    TicketsError: where a score is NaN or infinite; names the layer.
  """
  row = rule if isinstance(rule, rules.Rule) else rules.resolve(rule, allocation)
  ratio = ratio if row.prunes else 0.0
  kernels = prunable_kernels(model)
  scores = scoring.score_weights(model, row.score, images, labels, seed, **options)
  counts = allocations.allocate(kernels, ratio, row.allocation, scores, seed)
  names = [kernel.name for kernel in kernels]
  mask = masks.Mask.from_arrays(kernels, masks.select(scores, counts, seeds.generator(seed, 'select'), names))
  provenance = {'score': str(row.score), 'allocation': str(row.allocation), 'ratio': ratio, 'seed': seed}
  return Ticket(mask, _masked_weights(model, kernels, mask), provenance)


def _masked_weights(model, kernels, mask):
  keep = {kernel.variable.ref(): mask[kernel.name] for kernel in kernels}
  return [value if variable.ref() not in keep else np.where(keep[variable.ref()], value, np.zeros_like(value))
          for variable, value in zip(model.weights, model.get_weights())]
