"""The stage of a run that finds its ticket: what is kept, and the weights that training starts from."""

from collections.abc import Callable
import dataclasses
import inspect
import math
import pathlib
from typing import Any

import numpy as np
import tf_keras as keras

from tickets_tf import checks
from tickets_tf import data
from tickets_tf import registry
from tickets_tf import scores as scoring
from tickets_tf.data import Dataset
from tickets_tf.errors import UsageError
from tickets_tf.experiment import tickets
from tickets_tf.models import prunable_kernels
from tickets_tf.models import unpruned_weights
from tickets_tf.pruning import allocation as allocations
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.training import checkpoints


def read(run: Run, model: keras.Model) -> Mask | None:
  """Reads the ticket that a run has found, and puts its weights into a network.

  Args:
    run: the run.
    model: network of its structure.

  Returns:
    The ticket's mask; None if none has been found yet, and the network is as it was then.
  """
  if not run.folder.has_ticket():
    return None
  checkpoints.load_weights(model, run.folder.start)
  return load_mask(run.folder.mask)


def find(run: Run, dataset: Dataset, model: keras.Model, fresh: Callable[[], keras.Model],
         say: Callable[[str], None]) -> Mask:
  """Finds a run's ticket and leaves it in the run's folder. The runs `before` it are done.

  Args:
    run: the run.
    dataset: its data set.
    model: the network at its initialisation; it has the ticket's weights afterwards, removed ones not yet zero.
    fresh: function that returns another network of that structure, drawn from the layers' initialisers.
    say: takes lines for the user.

  Returns:
    The ticket's mask.
  """
  if run.is_checked_ticket:
    mask, proof = _checked_ticket(run, dataset, model, fresh)
  else:
    mask, proof = _original_ticket(run, dataset, model, say)
  _say_what_counts(run, model, say)
  checkpoints.save_weights(model, run.folder.start)
  records.write_json(run.folder.proof, proof)
  mask.save(run.folder.mask)
  return mask


def changed_data(check: str, dataset: Dataset, seed: int) -> tuple[Dataset, dict[str, Any]]:
  """Returns the data set with its training examples as a check leaves them, and the proof that it acted.

  Args:
    check: the check's name; empty leaves the data as they are.
    dataset: the data set.
    seed: the run's seed.
  """
  if not check:
    return dataset, {}
  examples, proof = checks.change_data(check, registry.CHECKS.get(check), dataset.train, dataset.num_classes, seed)
  return dataclasses.replace(dataset, train=examples), proof


def _original_ticket(run: Run, dataset: Dataset, model: keras.Model,
                     say: Callable[[str], None]) -> tuple[Mask, dict[str, Any]]:
  rule, settings = run.rule, run.settings
  initial = model.get_weights()
  seen, proof = changed_data(run.data_check, dataset, settings.seed)
  kept_before = _load_scored(run, model)
  if not rule.prunes:
    mask = Mask.dense(prunable_kernels(model))
  elif rule.given:
    mask = load_mask(pathlib.Path(settings.mask).expanduser(), prunable_kernels(model), settings.mask_layout, say)
  else:
    images, labels = _scoring_batch(run, dataset, seen, say)
    # If training comes before scoring, the earlier rounds are runs of their own.
    last = dataclasses.replace(rule, rounds=1 if kept_before else rule.rounds)
    mask = tickets.find_ticket(model, last, settings.ratio, images, labels, settings.seed, pattern=settings.pattern,
                               start=kept_before, regrow=settings.regrow,
                               allocation_options=_allocation_options(run, prunable_kernels(model), say),
                               **settings.options('score_options')).mask
  if run.rewound:
    checkpoints.load_weights(model, run.rewound.folder.final)
  elif rule.rewound_to in ('init', '0'):
    model.set_weights(initial)
  return mask, proof


def _allocation_options(run: Run, kernels: list[Kernel], say: Callable[[str], None]) -> dict[str, Any]:
  """Returns the options of the allocation, with the counts of the ticket whose layer ratios it takes, if any."""
  options = run.settings.options('allocation_options')
  if run.like:
    liked = load_mask(run.like.folder.mask, kernels)
  elif run.like_file:
    liked = load_mask(pathlib.Path(run.like_file).expanduser(), kernels, run.settings.mask_layout, say)
  else:
    return options
  wanted = allocations.kept_total(kernels, run.settings.ratio)
  if liked.kept != wanted:
    raise UsageError(f'--allocation={run.rule.allocation}: its mask keeps {liked.kept:,} weights, and '
                     f'--ratio={run.settings.ratio:g} keeps {wanted:,}; expected a ratio of {1 - liked.density:.6g}')
  return {**options, 'counts': liked.counts}


def _say_what_counts(run: Run, model: keras.Model, say: Callable[[str], None]) -> None:
  # What a user would not guess: which matrices stay dense, and for which kind of network the layer ratios are.
  unpruned = unpruned_weights(model)
  every = sum(math.prod(weight.shape) for weight in model.trainable_weights)
  if unpruned:
    share = sum(size for _, size in unpruned) / every
    say(f'{share:.1%} of the {every:,} trainable weights cannot be pruned: '
        + ', '.join(f'{name} {size:,}' for name, size in unpruned))
  allocation = run.rule.allocation
  function = registry.ALLOCATIONS.get(allocation) if isinstance(allocation, str) else allocation
  if run.rule.prunes and not run.rule.given and 'residual' in inspect.signature(function).parameters:
    residual = run.settings.options('allocation_options').get('residual')
    residual = prunable_kernels(model)[0].residual if residual is None else residual
    say(f'allocation {records.Choices.of(run.rule).allocation}: ratios of a network '
        f'{"with" if residual else "without"} residual connections')


def _load_scored(run: Run, model: keras.Model) -> Mask | None:
  """Puts the weights that the score sees into the model; returns the mask of the rounds before, if there were any."""
  if run.scored is None:
    return None
  checkpoints.load_weights(model, run.scored.folder.final)
  return load_mask(run.scored.folder.mask)


def _scoring_batch(run: Run, dataset: Dataset, seen: Dataset,
                   say: Callable[[str], None] | None = None) -> tuple[np.ndarray, np.ndarray]:
  if not scoring.looks_at_data(run.rule.score):
    return np.zeros((0, *dataset.image_shape), np.float32), np.zeros(0, np.int32)
  # If a check leaves every image in its place, the score sees those that the original sees: one thing changes.
  balanced = dataset.train if len(seen.train) == len(dataset.train) else seen.train
  indices = data.scoring_batches(balanced, dataset.num_classes, run.settings.samples_per_class, run.settings.seed,
                                 dataset.class_names, say)
  return data.scoring_images(seen.train, indices, dataset.mean, dataset.std)


def _checked_ticket(run: Run, dataset: Dataset, model: keras.Model,
                    fresh: Callable[[], keras.Model]) -> tuple[Mask, dict[str, Any]]:
  kernels = prunable_kernels(model)
  initial = model.get_weights()

  def scores() -> list[np.ndarray]:
    whole = run.of_all_weights
    model.set_weights(initial)
    _load_scored(whole, model)
    images, labels = _scoring_batch(whole, dataset, dataset)
    return scoring.score_weights(model, whole.rule.score, images, labels, whole.settings.seed,
                                 **whole.settings.options('score_options'))

  mask = read(run.original, model)
  assert mask is not None, 'the original is among the runs before'
  start = model.get_weights()
  original = checks.Original(mask, _values(kernels), lambda: _values(prunable_kernels(fresh())), scores,
                             registry.PATTERNS.get(run.settings.pattern), kernels)
  check = run.settings.check
  mask, weights, proof = checks.change_ticket(check, registry.CHECKS.get(check), original, run.settings.seed)
  mask.check(kernels)
  model.set_weights(start)
  for kernel in kernels:
    kernel.variable.assign(weights[kernel.name])
  return mask, proof


def _values(kernels: list[Kernel]) -> dict[str, np.ndarray]:
  return {kernel.name: np.array(kernel.variable) for kernel in kernels}
