"""Training inside a smaller network, without the channels that a mask leaves without purpose (`--compact_training`).

What is trained is the same, see `models.compaction.cutting`. The kept weights of channels that are left out only decay;
the optimizer itself says by how much, in steps without a gradient. Afterwards the whole network has all weights.
"""

from collections.abc import Callable
import dataclasses
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.models.compaction import Cut
from tickets_tf.models.compaction import reason_against
from tickets_tf.pruning.mask import Mask
from tickets_tf.runs.settings import Settings
from tickets_tf.training import loop
from tickets_tf.training.mask_updating import Moving

# `auto` trains in the smaller network if it has at most this share of the multiply-accumulates. Not a time but a count
# decides, so that the same settings and seed give the same bits. See docs/performance.md.
AUTO_SHARE = 0.85

Say = Callable[[str], object]


def train(model: keras.Model, mask: Mask, pipeline: Pipeline, judged: Examples, settings: Settings,
          folder: pathlib.Path, strategy: tf.distribute.Strategy, rates: str = 'all', moving: Moving | None = None,
          say: Say = print) -> loop.Trained:
  """Trains a ticket as `loop.train` does, in a smaller network if the settings ask for it and it is the same training.

  Args:
    model: see `loop.train`; batch-norm statistics of channels that are left out stay as they were.
    mask: see there.
    pipeline: see there.
    judged: see there.
    settings: see there.
    folder: see there; the checkpoints are those of the smaller network.
    strategy: see there.
    rates: see there.
    moving: see there.
    say: takes lines for the user: what is left out, or why nothing is.

  Returns:
    What came of it.

  Raises:
    TicketsError: see there.
  """
  cut = _cut(model, mask, settings, moving, say)
  # The loop uses a network again that was compiled for equal settings; what it does with this one depends on its shape.
  settings = dataclasses.replace(settings, compact_training='off')
  if cut is None:
    return loop.train(model, mask, pipeline, judged, settings, folder, strategy, rates, moving)
  with strategy.scope():
    small, small_mask = cut.build()
  trained = loop.train(small, small_mask, pipeline, judged, settings, folder, strategy, rates)
  steps = (settings.stop_epoch or settings.epochs) * pipeline.steps_per_epoch
  optimizer = loop.make_optimizer(settings, pipeline.steps_per_epoch, rates)
  cut.put_back(small, _without_gradient(cut.left_out(), optimizer, steps, settings.jit))
  return loop.Trained(trained.epochs, mask, trained.history)


def _cut(model: keras.Model, mask: Mask, settings: Settings, moving: Moving | None, say: Say) -> Cut | None:
  if settings.compact_training == 'off':
    return None
  reason = 'the mask changes in training' if moving else reason_against(model)
  if settings.mixed_precision == 'float16':
    reason = 'steps that float16 skips are not known beforehand'
  if reason:
    say(f'--compact_training={settings.compact_training}: nothing is left out: {reason}')
    return None
  cut = Cut(model, mask)
  (channels, stay), (macs, macs_left) = cut.channels, cut.macs
  share = macs_left / macs if macs and macs_left else None
  work = 'unknown' if share is None else f'{share:.1%}'
  found = f'{channels - stay:,} of {channels:,} channels, which lead to no output'
  left = f'{work} of all multiply-accumulates are left'
  if stay == channels:
    say(f'--compact_training={settings.compact_training}: nothing is left out, too few channels lead to no output')
  elif settings.compact_training == 'auto' and (share is None or share > AUTO_SHARE):
    say(f'--compact_training=auto: nothing is left out: without {found}, {left}')
  else:
    say(f'--compact_training={settings.compact_training}: training leaves out {found}: {left}')
    return cut
  return None


def _without_gradient(values: npt.NDArray[Any], optimizer: keras.optimizers.Optimizer, steps: int,
                      jit: bool) -> npt.NDArray[Any]:
  """Returns what training makes of weights that get no gradient."""
  if not values.size:
    return values
  variable = tf.Variable(values)
  optimizer.build([variable])

  def step(done: tf.Tensor) -> tuple[tf.Tensor]:
    optimizer.apply_gradients([(tf.zeros_like(variable), variable)])
    return (done + 1,)

  @tf.function(autograph=False, jit_compile=jit)  # type: ignore[untyped-decorator]
  def all_steps() -> None:
    tf.while_loop(lambda done: done < steps, step, [tf.constant(0)])

  all_steps()
  trained: npt.NDArray[Any] = np.array(variable)
  return trained
