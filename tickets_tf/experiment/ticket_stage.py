"""The stage of a run that finds its ticket: what is kept, and the weights that training starts from."""

from collections.abc import Callable
import dataclasses
import functools
import inspect
import json
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
from tickets_tf.models import live_positions
from tickets_tf.models import prunable_kernels
from tickets_tf.models import sparse_init
from tickets_tf.models import unpruned_weights
from tickets_tf.pruning import allocation as allocations
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import TicketSettings
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
    mask, proof = _checked_ticket(run, dataset, model, fresh, say)
  else:
    mask, proof = _original_ticket(run, dataset, model, say)
  if run.settings.sparse_init:
    _scale(model, mask, say)
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
  if not rule.prunes or rule.update.starts_dense:
    mask = Mask.dense(prunable_kernels(model))
  elif rule.given:
    mask = load_mask(pathlib.Path(settings.mask).expanduser(), prunable_kernels(model), settings.mask_layout, say)
  else:
    # If training comes before scoring, the earlier rounds are runs of their own.
    rounds = 1 if kept_before else rule.rounds
    images, labels = _scoring_batch(run, dataset, seen, rule.rounds if kept_before else 1, say)
    batches = functools.partial(_scoring_batch, run, dataset, seen) if rounds > 1 else None
    mask = tickets.find_ticket(model, dataclasses.replace(rule, rounds=rounds), settings.ratio, images, labels,
                               settings.seed, pattern=settings.pattern, start=kept_before, regrow=settings.regrow,
                               allocation_options=_allocation_options(run, prunable_kernels(model), say),
                               batches=batches, **settings.options('score_options')).mask
  if run.rewound:
    checkpoints.load_weights(model, run.rewound.folder.final)
  elif rule.rewound_to in ('init', '0'):
    model.set_weights(initial)
  return mask, proof


def _allocation_options(run: Run, kernels: list[Kernel], say: Callable[[str], None]) -> dict[str, Any]:
  """Returns the options of the allocation, with the counts of the ticket whose layer ratios it takes, if any."""
  options = run.settings.options('allocation_options')
  if run.like:
    liked = load_mask(run.like.folder.final_mask, kernels)
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
  return load_mask(run.scored.folder.final_mask)


def _scoring_batch(run: Run, dataset: Dataset, seen: Dataset, number: int,
                   say: Callable[[str], None] | None = None) -> tuple[np.ndarray, np.ndarray]:
  """Returns the images and labels that a round's scores see; every round has its own, counted from 1."""
  if not scoring.looks_at_data(run.rule.score):
    return np.zeros((0, *dataset.image_shape), np.float32), np.zeros(0, np.int32)
  # If a check leaves every image in its place, the score sees those that the original sees: one thing changes.
  balanced = dataset.train if len(seen.train) == len(dataset.train) else seen.train
  indices = data.scoring_batches(balanced, dataset.num_classes, run.settings.samples_per_class, run.settings.seed,
                                 dataset.class_names, say, number)
  return data.scoring_images(seen.train, indices, dataset.mean, dataset.std)


def _checked_ticket(run: Run, dataset: Dataset, model: keras.Model, fresh: Callable[[], keras.Model],
                    say: Callable[[str], None]) -> tuple[Mask, dict[str, Any]]:
  original = original_of(run, dataset, model, fresh, say)
  check = run.settings.check
  mask, weights, proof = checks.change_ticket(check, registry.CHECKS.get(check), original, run.settings.seed)
  mask.check(prunable_kernels(model))
  values = {**original.weights, **original.others, **weights}
  model.set_weights([values[name] for name in _names(model)])
  return mask, proof


def original_of(run: Run, dataset: Dataset, model: keras.Model, fresh: Callable[[], keras.Model],
                say: Callable[[str], None]) -> checks.Original:
  """Returns the ticket that a run's check changes. The runs `before` it are done.

  Args:
    run: the run of a checked ticket.
    dataset: its data set.
    model: the network at its initialisation, which is used for all that the check asks for.
    fresh: function that returns another network of that structure, drawn from the layers' initialisers.
    say: takes lines for the user.
  """
  kernels, initial = prunable_kernels(model), model.get_weights()
  names = [kernel.name for kernel in kernels]

  def scores() -> list[np.ndarray]:
    model.set_weights(initial)
    kept_before = _load_scored(run.original, model)
    images, labels = _scoring_batch(run, dataset, dataset, run.rule.rounds if kept_before else 1)
    return scoring.score_weights(model, run.rule.score, images, labels, run.settings.seed, kept_before,
                                 run.settings.regrow, run.settings.ratio, **run.settings.options('score_options'))

  def searched() -> tuple[Mask, checks.Weights]:
    assert run.searched is not None, 'it is asked for only if there is one'
    model.set_weights(initial)
    found, _ = _original_ticket(run.searched, dataset, model, say)
    return found, _values(model)

  def fresh_values(of_kernels: bool) -> checks.Weights:
    drawn = _values(fresh())
    return {name: value for name, value in drawn.items() if (name in names) == of_kernels}

  mask = read(run.original, model)
  assert mask is not None, 'the original is among the runs before'
  if run.settings.sparse_init:
    model.set_weights(initial)  # What a check leaves of them is scaled by its own mask.
  start = _values(model)
  return checks.Original(
      mask=mask,
      weights={name: start[name] for name in names},
      fresh=lambda: fresh_values(True),
      scores=scores,
      pattern=registry.PATTERNS.get(run.settings.pattern),
      kernels=kernels,
      candidates=_candidates(run, mask),
      others={name: value for name, value in start.items() if name not in names},
      fresh_others=lambda: fresh_values(False),
      searched=searched if run.searched else None,
      live=lambda kept: live_positions(model, kept),
      rule=_identity(run, mask))


def _candidates(run: Run, mask: Mask) -> Mask | None:
  """Returns the weights that an original was chosen from; None: all of them."""
  if run.chosen_from is None:
    return None
  before = load_mask(run.chosen_from.folder.final_mask)
  # Weights that came back are in the original alone: what the rounds before removed is zero.
  return Mask((name, keep | mask[name]) for name, keep in before.items())


def _identity(run: Run, mask: Mask) -> str:
  """Returns what tells the rule of a ticket from others: how it is found, and not on which data or after how long."""
  if run.rule.given:
    return mask.digest()
  identity = run.original.settings.identity()
  return json.dumps({field.name: identity[field.name] for field in dataclasses.fields(TicketSettings)
                     if field.name in identity}, sort_keys=True)


def _scale(model: keras.Model, mask: Mask, say: Callable[[str], None]) -> None:
  """Scales the weights of each unit by its kept inputs, see `sparse_init.unit_scales`."""
  kernels = prunable_kernels(model)
  scales = np.concatenate([scale.ravel() for scale in sparse_init.unit_scales(kernels, mask).values()])
  say(f'--sparse_init: the weights of {np.count_nonzero(scales != 1):,} of {scales.size:,} units are scaled, by up to '
      f'{scales.max():.3g}')
  model.set_weights(list(sparse_init.scaled(kernels, _values(model), mask).values()))


def _names(model: keras.Model) -> list[str]:
  """Returns a name for each of `model.weights`; kernels have their own."""
  kernels = {kernel.variable.ref(): kernel.name for kernel in prunable_kernels(model)}
  # Numbered, because two layers may have variables of one name.
  return [kernels.get(variable.ref(), f'{number:03d} {variable.name}') for number, variable in enumerate(model.weights)]


def _values(model: keras.Model) -> dict[str, np.ndarray]:
  return dict(zip(_names(model), model.get_weights(), strict=True))
