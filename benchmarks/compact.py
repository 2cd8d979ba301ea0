"""What leaving out channels that lead to no output saves of a training step."""

from collections.abc import Iterator
import dataclasses
import time

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from benchmarks import ratios
from benchmarks import step
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf.experiment import tickets
from tickets_tf.models.compaction import Cut
from tickets_tf.pruning.mask import Mask
from tickets_tf.runs.settings import Settings

_IMAGE, _CLASSES = (32, 32, 3), 10


@dataclasses.dataclass(frozen=True)
class Saving:
  """What leaving out channels saves of the training of one ticket.

  Attributes:
    rule: the rule that found it.
    ratio: its pruning ratio.
    connected: whether a path leads from the input to the output.
    channels: share of the channels that lead to an output.
    macs: share of the multiply-accumulates that they need.
    speed: time of a step of the whole network over that of the smaller one, pair by pair; empty if nothing is left out.
    work: the same in processor time, in which other programs on the machine count less.
  """
  rule: str
  ratio: float
  connected: bool
  channels: float
  macs: float
  speed: list[float]
  work: list[float]

  def row(self, network: str) -> str:
    """Returns the row of a table."""
    times = [ratios.text(found) if found else 'none left out' for found in (self.speed, self.work)]
    return ' | '.join([f'| {network}', self.rule, f'{self.ratio:g}', f'{self.channels:.1%}', f'{self.macs:.1%}',
                       *(times if self.connected else 2 * ['cut from its output'])]) + ' |'


def savings(settings: Settings, rules: list[str], pruning_ratios: list[float], rounds: int,
            steps: int) -> Iterator[Saving]:
  """Finds tickets of a fresh network on made-up images, and trains each whole and without what leads nowhere, in turn.

  Args:
    settings: what gives network, batch size and optimizer.
    rules: rules that need no trained weights.
    pruning_ratios: ratios of the tickets of each.
    rounds: pairs of measurements.
    steps: training steps per measurement.

  Yields:
    One `Saving` for every rule and ratio.
  """
  images, labels = _images(settings.batch_size)
  for rule in rules:
    for ratio in pruning_ratios:
      keras.utils.set_random_seed(settings.seed)
      model = models.build_model(settings.model, _IMAGE, _CLASSES, width=settings.width)
      mask = tickets.find_ticket(model, rule, ratio, *_images(10 * _CLASSES), settings.seed).mask
      cut = Cut(model, mask)
      connected = bool(models.collapse(model, mask).connected)
      timed = connected and cut.channels[0] > cut.channels[1]
      speed, work = _speed(model, mask, cut, settings, images, labels, rounds, steps) if timed else ([], [])
      macs, left = cut.macs
      assert macs is not None and left is not None, 'networks of Keras layers on images of one size'
      yield Saving(rule, ratio, connected, cut.channels[1] / cut.channels[0], left / macs, speed,
                   work)


def _speed(model: keras.Model, mask: Mask, cut: Cut, settings: Settings, images: npt.NDArray[np.float32],
           labels: npt.NDArray[np.int32], rounds: int,
           steps: int) -> tuple[list[float], list[float]]:
  small, small_mask = cut.build()
  both = [sparse.wrap(model, mask), sparse.wrap(small, small_mask)]
  for each in both:
    step.compile_for(each, settings)
    each.train_on_batch(images, labels)  # traces the graph
  pairs = [[_seconds(each, images, labels, steps) for each in both] for _ in range(rounds)]
  return ([whole[0] / smaller[0] for whole, smaller in pairs], [whole[1] / smaller[1] for whole, smaller in pairs])


def _seconds(model: keras.Model, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32],
             steps: int) -> tuple[float, float]:
  before = time.process_time()
  return step.seconds_of(model, images, labels, steps), time.process_time() - before


def _images(count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
  # Each class has a coarse picture of its own, under coarse and fine noise: neighbours are alike, as in photos.
  rng = np.random.default_rng(0)
  labels = np.arange(count, dtype=np.int32) % _CLASSES
  coarse = rng.normal(size=(_CLASSES, 4, 4, 3))[labels] + rng.normal(size=(count, 4, 4, 3))
  images = np.kron(coarse, np.ones((1, 8, 8, 1))) + 0.3 * rng.normal(size=(count, *_IMAGE))
  return ((images - images.mean()) / images.std()).astype(np.float32), labels
