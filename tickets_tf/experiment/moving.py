"""How the mask of a run changes while its ticket is trained."""

import numpy as np
import tf_keras as keras

from tickets_tf import scores as scoring
from tickets_tf import seeds
from tickets_tf import training
from tickets_tf.data import Pipeline
from tickets_tf.errors import UsageError
from tickets_tf.experiment import tickets
from tickets_tf.pruning import mask_updates
from tickets_tf.pruning.mask import Mask
from tickets_tf.pruning.mask_updates import Moment
from tickets_tf.pruning.mask_updates import Timing
from tickets_tf.runs.run import Run


def timing_of(run: Run, pipeline: Pipeline) -> Timing | None:
  """Returns the steps of a run's mask updates; None if its mask is fixed.

  Raises:
    UsageError: if there is no room for them in the training, or one would fall into a call of several steps.
  """
  settings, steps = run.settings, pipeline.steps_per_epoch
  if not run.rule.update.moves:
    return None
  timing = mask_updates.timing(settings.update_begin, settings.update_end, settings.update_every, settings.epochs,
                               steps)
  inside = [step for step in range(timing.begin, timing.end + 1, timing.every)
            if step % steps % settings.steps_per_execution]
  if inside:
    raise UsageError(f'--steps_per_execution={settings.steps_per_execution}: the mask changes before step '
                     f'{inside[0] % steps} of an epoch; expected a number that divides it')
  return timing


def moving(run: Run, pipeline: Pipeline) -> training.Moving | None:
  """Returns how the mask of a run changes in training; None if it is fixed; errors as `timing_of`.

  Args:
    run: the run.
    pipeline: the batches that it trains on.
  """
  timing = timing_of(run, pipeline)
  if timing is None:
    return None
  rule, settings = run.rule, run.settings

  def change(step: int, ratio: float, network: keras.Model, mask: Mask, images: np.ndarray,
             labels: np.ndarray) -> Mask:
    # Every update has random numbers of its own, so that a resumed run draws those of the step that it is at.
    seed = seeds.integer(settings.seed, f'mask update {step}')
    moment = Moment(
        mask, ratio, timing.passed(step),
        ticket=lambda ratio: tickets.find_ticket(
            network, rule, ratio, images, labels, seed, pattern=settings.pattern, start=mask,
            allocation_options=settings.options('allocation_options'), **settings.options('score_options')).mask,
        scores=lambda score: scoring.score_weights(network, score, images, labels, seed),
        rng=seeds.generator(seed, 'mask update'))
    assert rule.update.change is not None, 'the mask moves'
    return rule.update.change(moment, **settings.options('update_options'))

  return training.Moving(timing, rule.update.first_ratio(settings.ratio), settings.ratio, change)
