"""The settings of one run: a frozen dataclass whose every field is a flag of the same name."""

import dataclasses
import hashlib
import json
import math
import pathlib
import sys

from absl import flags

from tickets_tf import registry
from tickets_tf import rules
from tickets_tf.errors import UsageError


def _field(default, text, *, choices=None, names=None, low=None, below=None, identity=True):
  """One setting: its default, help text, and what it may be.

  Args:
    default: the default value; its type is the field's.
    text: the flag's help.
    choices: tuple of allowed strings.
    names: the `Registry` that knows the allowed names; the default needs none.
    low: smallest allowed number.
    below: number that the value must be under.
    identity: whether the setting can change a run's outcome, and with it the name of its folder.
  """
  metadata = dict(help=text, choices=choices, names=names, low=low, below=below, identity=identity)
  return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
  """Everything that decides a run; `validate` says what a field may be, `--help` what it means."""

  pruner: str = _field('random', 'rule that finds the ticket, or package.module:name of a score function of your own',
                       names=rules.RULES)
  ratio: float = _field(0.95, 'pruning ratio: share of all prunable weights that is removed', low=0.0, below=1.0)
  allocation: str = _field('', 'how kept weights are distributed over layers; empty: as the rule has it',
                           names=registry.ALLOCATIONS)
  on_collapse: str = _field('warn', 'what to do before training where a layer kept nothing, or no path leads from the '
                            'input to the output', choices=('warn', 'fail'), identity=False)
  samples_per_class: int = _field(10, 'training images of each class that a score sees', low=1)
  seed: int = _field(0, 'seed of everything random in the run', low=0)

  dataset: str = _field('digits', 'data set', names=registry.DATASETS)
  data_dir: str = _field('', 'folder of the data set; of tfds\' downloads for cifar10 and cifar100')
  image_size: int = _field(0, 'height and width in pixels that images are resized to; 0: as they are', low=0)
  train_examples: int = _field(0, 'use a fixed, class-balanced subset of the training set; 0: all of it', low=0)
  validation_split: float = _field(0.0, 'share of the training set held out to choose the best epoch by',
                                   low=0.0, below=1.0)
  augmentation: str = _field('auto', 'random crops and flips of training images; auto: what suits the data set',
                             choices=('auto', 'none', 'crop', 'crop_flip'))

  model: str = _field('resnet20', 'network: resnetN with N = 6n + 2, vgg11, vgg13, vgg16, vgg19', names=registry.MODELS)
  width: int = _field(16, 'filters of the first stage; 0: the network\'s own, 32 for ResNet and 64 for VGG', low=0)

  epochs: int = _field(20, 'epochs of training', low=1)
  batch_size: int = _field(64, 'images per step, over all replicas', low=1)
  learning_rate: float = _field(0.1, 'learning rate at the start', low=0.0)
  milestones: str = _field('0.5,0.75', 'shares of the training after which the learning rate falls, comma-separated')
  decay: float = _field(0.1, 'factor by which the learning rate falls at each milestone', low=0.0)
  momentum: float = _field(0.9, 'momentum of SGD', low=0.0, below=1.0)
  weight_decay: float = _field(1e-4, 'L2 added to the gradient of every trainable parameter', low=0.0)

  strategy: str = _field('auto', 'distribution; auto: mirrored where several GPUs are visible, else one device',
                         choices=('auto', 'one_device', 'mirrored', 'multi_worker'))
  replicas: int = _field(0, 'replicas of --strategy=mirrored; 0: one per device; logical devices are made where there '
                         'are too few', low=0)
  mixed_precision: str = _field('none', 'compute in 16 bits, keep the weights in 32',
                                choices=('none', 'bfloat16', 'float16'))
  steps_per_execution: int = _field(1, 'training steps per call into TensorFlow', low=1)
  jit: bool = _field(False, 'compile the training step with XLA')
  deterministic: bool = _field(True, 'same settings and seed give the same bits; can be slower on GPUs')

  output_dir: str = _field('runs', 'folder that holds the folders of runs', identity=False)
  tensorboard: bool = _field(True, 'write TensorBoard summaries', identity=False)
  progress: bool = _field(True, 'show a progress bar', identity=False)

  def __post_init__(self):
    self.validate()

  def validate(self):
    """Raises UsageError, on one line that names the flag, its value and what would be right."""
    for field in dataclasses.fields(self):
      _validate_field(field, getattr(self, field.name))
    self.milestone_shares()

  def milestone_shares(self):
    """Returns the milestones as a tuple of rising floats in (0, 1)."""
    try:
      shares = tuple(float(part) for part in self.milestones.split(',') if part.strip())
    except ValueError:
      shares = (math.nan,)
    if not all(0 < share < 1 for share in shares) or list(shares) != sorted(set(shares)):
      raise UsageError(f'--milestones={self.milestones}: expected rising numbers between 0 and 1, as in 0.5,0.75')
    return shares

  def identity(self):
    """Returns the settings that differ from their defaults and can change the outcome, a dictionary."""
    return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)
            if field.metadata['identity'] and getattr(self, field.name) != field.default}

  def digest(self):
    """Returns eight hexadecimal digits that depend on `identity` alone: a new field renames no old run."""
    return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:8]

  def run_name(self):
    """Returns the name of the run's folder, readable and unique to the settings."""
    pruner = self.pruner.replace(':', '.')
    return f'{self.dataset}-{self.model}-{pruner}-{self.ratio:g}-seed{self.seed}-{self.digest()}'.replace(':', '.')

  def folder(self):
    """Returns the path of the run's folder."""
    return pathlib.Path(self.output_dir).expanduser() / self.run_name()


def _validate_field(field, value):
  rule = field.metadata
  expected = type(field.default)
  flag = f'--{field.name}={value}'
  if expected is float and isinstance(value, int) and not isinstance(value, bool):
    value = float(value)
  if not isinstance(value, expected) or isinstance(value, bool) != (expected is bool):
    raise UsageError(f'{flag}: expected {expected.__name__}, got {type(value).__name__}')
  if expected is float and not math.isfinite(value):
    raise UsageError(f'{flag}: expected a finite number')
  if rule['choices'] and value not in rule['choices']:
    raise UsageError(f'{flag}: expected one of {", ".join(rule["choices"])}')
  if rule['names'] and value != field.default:
    try:
      rule['names'].check(value)
    except UsageError as error:
      raise UsageError(f'--{field.name}: {error}') from None
  if rule['low'] is not None and value < rule['low'] or rule['below'] is not None and value >= rule['below']:
    limits = [f'at least {rule["low"]:g}' if rule['low'] is not None else '',
              f'below {rule["below"]:g}' if rule['below'] is not None else '']
    raise UsageError(f'{flag}: expected a number {" and ".join(filter(None, limits))}')


_DEFINE = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}


def define_flags():
  """Makes every field a flag of the program that runs, shown by its `--help`."""
  for field in dataclasses.fields(Settings):
    text = field.metadata['help']
    known = field.metadata['choices'] or (field.metadata['names'].names() if field.metadata['names'] else ())
    _DEFINE[type(field.default)](field.name, field.default, f'{text} ({", ".join(known)})' if known else text)
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[field.name])


def from_flags():
  """Returns the `Settings` that the parsed flags ask for; raises UsageError for those that cannot be."""
  return Settings(**{field.name: getattr(flags.FLAGS, field.name) for field in dataclasses.fields(Settings)})


def from_dict(values):
  """Returns the `Settings` of a dictionary such as a record holds; names that are not known are an error."""
  unknown = set(values) - {field.name for field in dataclasses.fields(Settings)}
  if unknown:
    raise UsageError(f'unknown settings: {", ".join(sorted(unknown))}')
  return Settings(**values)
