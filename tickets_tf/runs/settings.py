"""The settings of one run: a frozen dataclass whose every field is a flag of the same name."""

import ast
import dataclasses
import hashlib
import json
import math
import pathlib

from tickets_tf import registry
from tickets_tf.pruning import rules
from tickets_tf.errors import UsageError


def _field(default, text, *, choices=None, names=None, low=None, below=None, identity=True, pruning=False):
  """One setting: its default, help text, and what it may be.

  Args:
    default: the default value; its type is the field's.
    text: the flag's help.
    choices: tuple of allowed strings.
    names: the `Registry` that knows the allowed names; the default needs none.
    low: smallest allowed number.
    below: number that the value must be under.
    identity: whether the setting can change a run's outcome, and with it the name of its folder.
    pruning: whether the setting matters only where weights are removed.
  """
  metadata = dict(help=text, choices=choices, names=names, low=low, below=below, identity=identity, pruning=pruning)
  return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Settings:
  """Everything that decides a run; `validate` says what a field may be, `--help` what it means."""

  pruner: str = _field('random', 'rule that finds the ticket, or package.module:name of a score function of your own',
                       names=rules.RULES)
  ratio: float = _field(0.95, 'pruning ratio: share of all prunable weights that is removed', low=0.0, below=1.0)
  allocation: str = _field('', 'how kept weights are distributed over layers; empty: as the rule has it',
                           names=registry.ALLOCATIONS, pruning=True)
  pattern: str = _field('unstructured', 'where in a layer kept weights may sit: 1x4: whole blocks of 4 inputs of an '
                        'output; 2:4: at most 2 of every 4', names=registry.PATTERNS, pruning=True)
  scored_at: str = _field('', 'weights that the score sees: init, trained, or those after that many epochs; empty: as '
                          'the rule has it', pruning=True)
  rewound_to: str = _field('', 'weights that the ticket starts from: init, none (those that were scored), or those '
                           'after that many epochs; empty: as the rule has it', pruning=True)
  rewind_epoch: int = _field(1, 'epochs of training that weight_rewinding goes back to', low=1, pruning=True)
  rounds: int = _field(0, 'rounds in which weights are removed, the density falling geometrically; a rule that scores '
                       'trained weights trains in every round; 0: as the rule has it', low=0, pruning=True)
  regrow: bool = _field(False, 'let weights that an earlier round removed come back (FORCE)', pruning=True)
  samples_per_class: int = _field(10, 'training images of each class that a score sees', low=1, pruning=True)
  score_options: str = _field('', 'options of the score, as in curvature=hutchinson,samples=20', pruning=True)
  allocation_options: str = _field('', 'options of the allocation, as in linear_keep_ratio=0.2', pruning=True)
  mask: str = _field('', 'file whose mask is used in place of a rule\'s: .npz, .safetensors or Keras weights',
                     pruning=True)
  mask_layout: str = _field('auto', 'axes of the arrays in the file of --mask; auto: whichever the shapes fit',
                            choices=('auto', 'keras', 'torch'), pruning=True)
  check: str = _field('', 'sanity check to apply to the ticket', names=registry.CHECKS, pruning=True)
  on_collapse: str = _field('warn', 'what to do where a mask cuts the network', choices=('warn', 'fail'),
                            identity=False, pruning=True)
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
  stop_epoch: int = _field(0, 'end after that many of the epochs, the schedule being that of all; 0: after all', low=0)
  trained_on: str = _field('', 'train on the data as this check leaves it, as the pre-training of a checked ticket '
                           'does', names=registry.CHECKS)
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
  threads: int = _field(0, 'CPU threads of one operation; 1 where as many runs as cores go side by side; 0: one per '
                        'core', low=0)
  mixed_precision: str = _field('none', 'compute in 16 bits, keep the weights in 32',
                                choices=('none', 'bfloat16', 'float16'))
  steps_per_execution: int = _field(1, 'training steps per call into TensorFlow', low=1)
  jit: bool = _field(False, 'compile the training step with XLA')
  deterministic: bool = _field(True, 'same settings and seed give the same bits; can be slower on GPUs')

  output_dir: str = _field('runs', 'folder that holds the folders of runs', identity=False)
  export: bool = _field(True, 'leave a SavedModel of the trained ticket', identity=False)
  checkpoint_seconds: float = _field(10.0, 'least time between two checkpoints of a training', low=0.0, identity=False)
  tensorboard: bool = _field(True, 'write TensorBoard summaries', identity=False)
  progress: bool = _field(True, 'show a progress bar', identity=False)

  def __post_init__(self):
    self.validate()

  def validate(self):
    """Raises UsageError, on one line that names the flag, its value and what would be right."""
    for field in dataclasses.fields(self):
      _validate_field(field, getattr(self, field.name))
    self.milestone_shares()
    self.options('score_options')
    self.options('allocation_options')
    if self.scored_at:
      rules.check_epoch('scored_at', self.scored_at, ('init', 'trained'), self.epochs)
    if self.rewound_to:
      rules.check_epoch('rewound_to', self.rewound_to, ('init', 'none'), self.epochs)
    if self.stop_epoch > self.epochs:
      raise UsageError(f'--stop_epoch={self.stop_epoch}: expected at most --epochs, {self.epochs}')
    if bool(self.mask) != (self.pruner == 'given'):
      raise UsageError(f'--mask={self.mask}: a mask from a file goes with --pruner=given, found --pruner={self.pruner}'
                       if self.mask else '--pruner=given: expected --mask=FILE')

  def rule(self):
    """Returns the `Rule` of the settings; `rewound_to` holds no `'epoch'` any more.

    Raises:
      UsageError: where the rule cannot be found, or goes back further than the epochs.
    """
    rule = rules.resolve(self.pruner, allocation=self.allocation, scored_at=self.scored_at, rewound_to=self.rewound_to,
                         rounds=self.rounds)
    if rule.rewound_to != 'epoch':
      return rule
    rules.check_epoch('rewind_epoch', str(self.rewind_epoch), (), self.epochs)
    return dataclasses.replace(rule, rewound_to=str(self.rewind_epoch))

  def options(self, name):
    """Returns the options in the field called `name`, as in `curvature=hutchinson,samples=20`, as a dictionary.

    Values are Python literals, or strings where they are none.
    """
    found = {}
    for part in filter(None, getattr(self, name).split(',')):
      option, equals, value = (each.strip() for each in part.partition('='))
      if not equals or not option.isidentifier():
        raise UsageError(f'--{name}={getattr(self, name)}: expected name=value, comma-separated, found {part!r}')
      try:
        found[option] = ast.literal_eval(value)
      except (ValueError, SyntaxError):
        found[option] = value
    return found

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
    """Returns eight hexadecimal digits that depend on `identity` alone: a new field renames no old run.

    A mask from a file and code of one's own count by what is in their files, so that another mask of the same name,
    or a score that was changed, is another run.
    """
    digest = hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode())
    if self.mask:
      digest.update(_contents('mask', self.mask))
    for field in dataclasses.fields(self):
      names, value = field.metadata['names'], getattr(self, field.name)
      if names and ':' in value and value not in names.names():
        digest.update(registry.source(value))
    return digest.hexdigest()[:8]

  def run_name(self):
    """Returns the name of the run's folder, readable and unique to the settings."""
    pruner = self.pruner.replace(':', '.')
    check = f'-{self.check}' if self.check else ''
    name = f'{self.dataset}-{self.model}-{pruner}-{self.ratio:g}{check}-seed{self.seed}-{self.digest()}'
    return name.replace(':', '.')

  def folder(self):
    """Returns the path of the run's folder."""
    return pathlib.Path(self.output_dir).expanduser() / self.run_name()


def _contents(flag, path):
  try:
    return pathlib.Path(path).expanduser().read_bytes()
  except OSError as error:
    raise UsageError(f'--{flag}={path}: cannot be read: {error.strerror}') from error


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


def from_dict(values):
  """Returns the `Settings` of a dictionary such as a record holds; names that are not known are an error."""
  unknown = set(values) - {field.name for field in dataclasses.fields(Settings)}
  if unknown:
    raise UsageError(f'unknown settings: {", ".join(sorted(unknown))}')
  return Settings(**values)
