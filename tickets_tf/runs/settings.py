"""The settings of one run: a frozen dataclass whose every field is a flag of the same name.

`Settings` is flat for whoever sets it, and made of groups for whoever uses it: a function that needs the data alone
takes `DataSettings`, which all `Settings` are. `Settings.group` gives the values of one group by themselves.
"""

import ast
from collections.abc import Mapping
import dataclasses
import math
from typing import Any
from typing import TypeVar

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules
from tickets_tf.pruning.mask_updates import check_time
from tickets_tf.runs.fields import setting
from tickets_tf.runs.fields import validate

_Group = TypeVar('_Group')


@dataclasses.dataclass(frozen=True)
class TicketSettings:
  """How the ticket is found. Without a rule that removes weights none of it matters."""

  pruner: str = setting('random', 'rule that finds the ticket, or package.module:name of a score function of your own',
                        names=rules.RULES)
  ratio: float = setting(0.95, 'pruning ratio: share of all prunable weights that is removed', low=0.0, below=1.0)
  allocation: str = setting('', 'how kept weights are distributed over layers, also like:RULE or like:MASKFILE; empty: '
                            'as the rule has it',
                            names=registry.ALLOCATIONS)
  pattern: str = setting('unstructured', 'where in a layer kept weights may sit: 1x4: whole blocks of 4 inputs of an '
                         'output; 2:4: at most 2 of every 4', names=registry.PATTERNS)
  scored_at: str = setting('', 'weights that the score sees: init, trained, or those after that many epochs; empty: as '
                           'the rule has it')
  rewound_to: str = setting('', 'weights that the ticket starts from: init, none (those that were scored), or those '
                            'after that many epochs; empty: as the rule has it')
  rewind_epoch: int = setting(1, 'epochs of training that weight_rewinding goes back to', low=1)
  rounds: int = setting(0, 'rounds in which weights are removed, the density falling geometrically; a rule that scores '
                        'trained weights trains in every round; 0: as the rule has it', low=0)
  regrow: bool = setting(False, 'let weights that an earlier round removed come back (FORCE)')
  rates: str = setting('', 'learning rates that the ticket is trained with: all of the schedule, or the last of them '
                       'alone; empty: as the rule has it', choices=('', *rules.RATES))
  mask_updates: str = setting('', 'how the mask changes while the ticket is trained; empty: as the rule has it',
                              names=registry.MASK_UPDATES)
  update_begin: str = setting('0', 'time of the first mask update: epochs, as in 2.5, or steps, as in 100steps')
  update_end: str = setting('', 'latest time of the last mask update; empty: three quarters of the epochs')
  update_every: str = setting('1', 'time from one mask update to the next')
  update_options: str = setting('', 'options of the mask update, as in share=0.2')
  samples_per_class: int = setting(10, 'training images of each class that a score sees', low=1)
  score_options: str = setting('', 'options of the score, as in curvature=hutchinson,samples=20')
  allocation_options: str = setting('', 'options of the allocation, as in linear_keep_ratio=0.2')
  mask: str = setting('', 'file whose mask is used in place of a rule\'s: .npz, .safetensors, Keras weights or the '
                      '.index of a TensorFlow checkpoint')
  mask_layout: str = setting('auto', 'axes of the arrays in the file of --mask; auto: whichever the shapes fit',
                             choices=('auto', 'keras', 'torch'))
  sparse_init: bool = setting(False, 'scale the weights that a ticket starts from by the kept fan-in of each unit, for '
                              'rules that start fresh')
  match: str = setting('weights', 'what the dense network of --pruner=narrow has as many of as the ticket: prunable '
                       'weights, or multiply-accumulates (macs) of a random ticket with smart ratios',
                       choices=('weights', 'macs'))
  check: str = setting('', 'sanity check to apply to the ticket', names=registry.CHECKS)
  on_collapse: str = setting('warn', 'what to do if a mask cuts the network', choices=('warn', 'fail'),
                             identity=False)

  def options(self, name: str) -> dict[str, Any]:
    """Returns the options in the field called `name`, as in `curvature=hutchinson,samples=20`.

    Values are Python literals, or strings if they are none.

    Raises:
      UsageError: if a part is not `name=value`.
    """
    found: dict[str, Any] = {}
    for part in filter(None, getattr(self, name).split(',')):
      option, equals, value = (each.strip() for each in part.partition('='))
      if not equals or not option.isidentifier():
        raise UsageError(f'--{name}={getattr(self, name)}: expected name=value, comma-separated, found {part!r}')
      try:
        found[option] = ast.literal_eval(value)
      except (ValueError, SyntaxError):
        found[option] = value
    return found


@dataclasses.dataclass(frozen=True)
class PhaseSettings:
  """Which training of the protocol the run is."""

  seed: int = setting(0, 'seed of everything random in the run', low=0)
  order_seed: int = setting(-1, 'seed of the order and augmentation of training images, and of nothing else; -1: that '
                            'of --seed', low=-1)
  init_seed: int = setting(-1, 'seed of the network\'s initialisation, and of nothing else; -1: that of --seed',
                           low=-1)
  weights: str = setting('', 'file of Keras weights of the very network that take the place of its initialisation, as '
                         'bin/exchange writes them: .weights.h5')
  order_epoch: int = setting(-1, 'epoch of the training after which --order_seed holds: the epochs before it, and the '
                             'runs that the ticket comes from, have the order of --seed; -1: it holds in all of them',
                             low=-1)
  stop_epoch: int = setting(0, 'end after that many of the epochs, the schedule being that of all; 0: after all', low=0)
  trained_on: str = setting('', 'train on the data as this check leaves it, as the pre-training of a checked ticket '
                            'does', names=registry.CHECKS)


@dataclasses.dataclass(frozen=True)
class DataSettings:
  """The images."""

  dataset: str = setting('digits', 'data set', names=registry.DATASETS)
  data_dir: str = setting('', 'folder of the data set; of tfds\' downloads for cifar10 and cifar100')
  image_size: int = setting(0, 'height and width in pixels that images are resized to; 0: as they are', low=0)
  train_examples: int = setting(0, 'use a fixed, class-balanced subset of the training set; 0: all of it', low=0)
  validation_split: float = setting(0.0, 'share of the training set held out to choose the best epoch by',
                                    low=0.0, below=1.0)
  augmentation: str = setting('auto', 'random crops and flips of training images; resized_crop: parts of any size, '
                              'of images in files; auto: what suits the data set',
                              choices=('auto', 'none', 'crop', 'crop_flip', 'resized_crop'))
  images_in: str = setting('auto', 'where images are: in memory, or in their files and read for each batch; auto: in '
                           'memory if they fit', choices=('auto', 'memory', 'files'), identity=False)
  image_memory: float = setting(0.0, 'GiB that images may take in memory with --images_in=auto; 0: half of what is '
                                'free', low=0.0, identity=False)


@dataclasses.dataclass(frozen=True)
class NetworkSettings:
  """The network."""

  model: str = setting('resnet20', 'network: resnetN with N = 6n + 2, vgg11, vgg13, vgg16, vgg19, wide_resnetN_K with '
                       'N = 6n + 4; of the ImageNet kind: resnet18, resnet50, mobilenet_v2, vit_tiny',
                       names=registry.MODELS)
  width: int = setting(16, 'filters of the first stage; 0: the network\'s own: 32 for ResNet and MobileNet, 64 for VGG '
                       'and resnet18, 16 for wide ResNets, 192 for vit_tiny', low=0)


@dataclasses.dataclass(frozen=True)
class TrainingSettings:
  """The protocol of training."""

  epochs: int = setting(20, 'epochs of training; 0: none, the weights are judged as they are', low=0)
  batch_size: int = setting(64, 'images per step, over all replicas', low=1)
  learning_rate: float = setting(0.1, 'learning rate at the start', low=0.0)
  milestones: str = setting('0.5,0.75', 'shares of the training after which the learning rate falls, comma-separated')
  decay: float = setting(0.1, 'factor by which the learning rate falls at each milestone', low=0.0)
  momentum: float = setting(0.9, 'momentum of SGD', low=0.0, below=1.0)
  weight_decay: float = setting(1e-4, 'L2 added to the gradient of every trainable parameter', low=0.0)
  evaluate_every: int = setting(1, 'epochs from one evaluation to the next; the last is always evaluated, and the best '
                                'is the best of those evaluated', low=1)

  def milestone_shares(self) -> tuple[float, ...]:
    """Returns the milestones as rising numbers in (0, 1).

    Raises:
      UsageError: if they are anything else.
    """
    try:
      shares = tuple(float(part) for part in self.milestones.split(',') if part.strip())
    except ValueError:
      shares = (math.nan,)
    if not all(0 < share < 1 for share in shares) or list(shares) != sorted(set(shares)):
      raise UsageError(f'--milestones={self.milestones}: expected rising numbers between 0 and 1, as in 0.5,0.75')
    return shares


@dataclasses.dataclass(frozen=True)
class MachineSettings:
  """What a run computes on, and with."""

  strategy: str = setting('auto', 'distribution; auto: mirrored if several GPUs are visible, else one device',
                          choices=('auto', 'one_device', 'mirrored', 'multi_worker'))
  replicas: int = setting(0, 'replicas of --strategy=mirrored; 0: one per device; logical devices are made if there '
                          'are too few', low=0)
  sync_batch_norm: bool = setting(False, 'batch norm of the built-in networks takes the statistics of the whole batch, '
                                  'not of the share of each replica')
  threads: int = setting(0, 'CPU threads of one operation; 1 if as many runs as cores go side by side; 0: one per '
                         'core', low=0)
  mixed_precision: str = setting('none', 'compute in 16 bits, keep the weights in 32',
                                 choices=('none', 'bfloat16', 'float16'))
  steps_per_execution: int = setting(1, 'training steps per call into TensorFlow', low=1)
  jit: bool = setting(False, 'compile the training step with XLA')
  compact_training: str = setting('off', 'train without the channels that a fixed mask leaves without purpose: on: '
                                  'always, auto: if that saves at least 15% of the multiply-accumulates; the same '
                                  'training up to rounding', choices=('off', 'auto', 'on'))
  deterministic: bool = setting(True, 'same settings and seed give the same bits; can be slower on GPUs')


@dataclasses.dataclass(frozen=True)
class OutputSettings:
  """What is left and shown; no setting of it changes what a run computes."""

  output_dir: str = setting('runs', 'folder that holds the folders of runs', identity=False)
  export: bool = setting(True, 'leave a SavedModel of the trained ticket', identity=False)
  settle: bool = setting(False, 'give the SavedModel batch-norm statistics estimated afresh from the training images, '
                         'as in settled_accuracy', identity=False)
  checkpoint_seconds: float = setting(10.0, 'least time between two checkpoints of a training', low=0.0, identity=False)
  tensorboard: bool = setting(True, 'write TensorBoard summaries', identity=False)
  progress: bool = setting(True, 'show a progress bar', identity=False)


@dataclasses.dataclass(frozen=True)
class Settings(OutputSettings, MachineSettings, TrainingSettings, NetworkSettings, DataSettings, PhaseSettings,
               TicketSettings):
  """Everything that decides a run. Making one checks it; `--help` says what a field means.

  Raises:
    UsageError: on one line that names the flag, its value and what would be right.
  """

  def __post_init__(self) -> None:
    for field in dataclasses.fields(self):
      validate(field, getattr(self, field.name))
    self.milestone_shares()
    self.options('score_options')
    self.options('allocation_options')
    self.options('update_options')
    for name in ('update_begin', 'update_every', *(['update_end'] if self.update_end else [])):
      check_time(name, getattr(self, name))
    if self.scored_at:
      rules.check_epoch('scored_at', self.scored_at, ('init', 'trained'), self.epochs)
    if self.rewound_to:
      rules.check_epoch('rewound_to', self.rewound_to, ('init', 'none'), self.epochs)
    if self.stop_epoch > self.epochs:
      raise UsageError(f'--stop_epoch={self.stop_epoch}: expected at most --epochs, {self.epochs}')
    if self.order_epoch >= self.epochs:
      raise UsageError(f'--order_epoch={self.order_epoch}: expected less than --epochs, {self.epochs}')
    if self.sync_batch_norm and self.compact_training != 'off':
      raise UsageError(f'--sync_batch_norm: does not go with --compact_training={self.compact_training}; expected off')
    if bool(self.mask) != rules.RULES.takes_a_mask(self.pruner):
      raise UsageError(f'--mask={self.mask}: a mask from a file goes with --pruner=given, found --pruner={self.pruner}'
                       if self.mask else f'--pruner={self.pruner}: expected --mask=FILE')

  def group(self, group: type[_Group]) -> _Group:
    """Returns the values of one group of settings, e.g. `settings.group(DataSettings)`."""
    return group(**{field.name: getattr(self, field.name) for field in dataclasses.fields(group)})  # type: ignore[arg-type]

  def step(self) -> tuple[DataSettings, NetworkSettings, TrainingSettings, MachineSettings]:
    """Returns all that can change a training step; the ticket, the seed and the phase are no part of its graph."""
    return (self.group(DataSettings), self.group(NetworkSettings), self.group(TrainingSettings),
            self.group(MachineSettings))

  def identity(self) -> dict[str, Any]:
    """Returns the settings that differ from their defaults and can change the outcome."""
    return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)
            if field.metadata['identity'] and getattr(self, field.name) != field.default}


def defaults(group: type) -> dict[str, Any]:
  """Returns the default of every setting of a group."""
  return {field.name: field.default for field in dataclasses.fields(group)}


def from_dict(values: Mapping[str, Any]) -> Settings:
  """Returns the settings in a dictionary such as a record holds.

  Raises:
    UsageError: for a name that is not known, or a value that is not allowed.
  """
  unknown = set(values) - set(defaults(Settings))
  if unknown:
    raise UsageError(f'unknown settings: {", ".join(sorted(unknown))}')
  return Settings(**values)
