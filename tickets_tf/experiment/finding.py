"""The stage of a run that finds its ticket: what is kept, and the weights that training starts from."""

import dataclasses
import pathlib

import numpy as np

from tickets_tf.training import checkpoints
from tickets_tf import checks
from tickets_tf import data
from tickets_tf.runs import lineage
from tickets_tf.runs import records
from tickets_tf import registry
from tickets_tf import scores as scoring
from tickets_tf.experiment import tickets
from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import Mask, load_mask
from tickets_tf.models import prunable_kernels

# In the order in which they are written: where all are there, the ticket is complete.
START, PROOF, MASK = TICKET = 'start.weights.h5', 'proof.json', 'mask.npz'
FINAL = 'final.weights.h5'


def is_found(folder):
  """Returns whether a run's folder holds its ticket."""
  return all((folder / name).exists() for name in TICKET)


def load_ticket(folder, model):
  """Puts the weights of a run's ticket into a network.

  Args:
    folder: the run's folder.
    model: network of the same structure.

  Returns:
    The ticket's `Mask`, or None where none has been found yet; the network is as it was then.
  """
  if not is_found(folder):
    return None
  checkpoints.load_weights(model, folder / START)
  return load_mask(folder / MASK)


def find_ticket(settings, folder, dataset, model, fresh, say):
  """Finds a run's ticket and leaves it in the run's folder.

  The runs that `lineage.needed` names are done, and for a check of the ticket the original's ticket is found.

  Args:
    settings: the run's `Settings`.
    folder: the run's folder.
    dataset: the `Dataset`.
    model: the network at its initialisation; it has the ticket's weights afterwards, removed ones not yet zero.
    fresh: function that returns another network of that structure, drawn afresh from the layers' initialisers.
    say: takes lines for the user.

  Returns:
    The `Mask`.
  """
  check = lineage.check_of(settings) if settings.check else None
  if check and check.seam != 'data':
    mask, proof = _checked_ticket(settings, check, dataset, model, fresh)
  else:
    mask, proof = _original_ticket(settings, check, dataset, model, say)
  checkpoints.save_weights(model, folder / START)
  records.write_json(folder / PROOF, proof)
  mask.save(folder / MASK)
  return mask


def changed_data(name, dataset, seed):
  """Returns the data set with its training examples as a check leaves them, and the proof that it acted.

  Args:
    name: the check's name; empty leaves the data as they are.
    dataset: the `Dataset`.
    seed: the run's seed.
  """
  if not name:
    return dataset, {}
  examples, proof = checks.change_data(name, registry.CHECKS.get(name), dataset.train, dataset.num_classes, seed)
  return dataclasses.replace(dataset, train=examples), proof


def _original_ticket(settings, check, dataset, model, say):
  rule = settings.rule()
  initial = model.get_weights()
  seen, proof = changed_data(settings.check if check else '', dataset, settings.seed)
  start = _load_scored(settings, model)
  if not rule.prunes:
    mask = Mask.dense(prunable_kernels(model))
  elif rule.given:
    mask = load_mask(pathlib.Path(settings.mask).expanduser(), prunable_kernels(model), settings.mask_layout, say)
  else:
    images, labels = _scoring_batch(settings, dataset, seen)
    # Where training comes before scoring, the earlier rounds are runs of their own.
    last = dataclasses.replace(rule, rounds=1 if start else rule.rounds)
    mask = tickets.find_ticket(model, last, settings.ratio, images, labels, settings.seed,
                               pattern=settings.pattern, start=start, regrow=settings.regrow,
                               allocation_options=settings.options('allocation_options'),
                               **settings.options('score_options')).mask
  rewound = lineage.rewound_run(settings)
  if rewound:
    checkpoints.load_weights(model, rewound.folder() / FINAL)
  elif rule.rewound_to in ('init', '0'):
    model.set_weights(initial)
  return mask, proof


def _load_scored(settings, model):
  """Puts the weights that the score sees into the model; returns the mask of the rounds before, or None."""
  scored = lineage.scored_run(settings)
  if not scored:
    return None
  checkpoints.load_weights(model, scored.folder() / FINAL)
  return load_mask(scored.folder() / MASK)


def _scoring_batch(settings, dataset, seen):
  # Where a check leaves every image in its place the score sees those that the original sees: one thing changes.
  balanced = dataset.train if len(seen.train) == len(dataset.train) else seen.train
  indices = data.scoring_batches(balanced, dataset.num_classes, settings.samples_per_class, settings.seed,
                                 dataset.class_names)
  return data.scoring_images(seen.train, indices, dataset.mean, dataset.std)


def _checked_ticket(settings, check, dataset, model, fresh):
  unchecked = lineage.canonical(lineage.original(settings))
  kernels = prunable_kernels(model)
  initial = model.get_weights()

  def scores():
    # Those of one round: all weights are there.
    whole = lineage.canonical(dataclasses.replace(unchecked, rounds=1))
    if whole.rule().given:
      raise UsageError(f'--check={settings.check}: it needs scores, and a mask from a file has none')
    model.set_weights(initial)
    _load_scored(whole, model)
    images, labels = _scoring_batch(whole, dataset, dataset)
    return scoring.score_weights(model, whole.rule().score, images, labels, whole.seed,
                                 **whole.options('score_options'))

  mask = load_ticket(unchecked.folder(), model)
  start = model.get_weights()
  original = checks.Original(mask, _values(kernels), lambda: _values(prunable_kernels(fresh())), scores,
                             registry.PATTERNS.get(settings.pattern))
  mask, weights, proof = checks.change_ticket(settings.check, check, original, settings.seed)
  mask.check(kernels)
  model.set_weights(start)
  for kernel in kernels:
    kernel.variable.assign(weights[kernel.name])
  return mask, proof


def _values(kernels):
  return {kernel.name: np.array(kernel.variable) for kernel in kernels}
