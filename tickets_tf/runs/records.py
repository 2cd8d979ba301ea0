"""A run's record: all that a report needs, as a value and as JSON; the only place that knows the file's keys."""

from collections.abc import Mapping
import dataclasses
import json
import pathlib
from typing import Any
from typing import TypeVar

import msgspec

from tickets_tf import files
from tickets_tf.errors import UsageError
from tickets_tf.pruning.collapse import Collapse
from tickets_tf.pruning.narrowed import Narrowed
from tickets_tf.pruning.rules import Rule
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.mask_history import MaskChange
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import from_dict

# It rises whenever a key changes its name or meaning.
FORMAT = 3

_Value = TypeVar('_Value')


@dataclasses.dataclass(frozen=True)
class Choices:
  """The choices of the rule that found the ticket, see `tickets_tf.pruning.rules.Rule`."""
  score: str
  allocation: str
  scored_at: str
  rewound_to: str
  rounds: int
  rates: str = 'all'
  mask_updates: str = 'fixed'

  @classmethod
  def of(cls, rule: Rule) -> 'Choices':
    """Returns the choices of a rule; a function is told by its module and name."""
    score, allocation = (each if isinstance(each, str) else f'{each.__module__}:{each.__qualname__}'
                         for each in (rule.score, rule.allocation))
    return cls(score, allocation, rule.scored_at, rule.rewound_to, rule.rounds, rule.rates, rule.mask_updates)


@dataclasses.dataclass(frozen=True)
class DatasetSize:
  """The data set, in numbers of images; `image_shape` is (height, width, channels)."""
  name: str
  train: int
  test: int
  validation: int
  classes: int
  image_shape: tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class PatternKept:
  """The pattern that was asked for, and the names of the layers that do not have it."""
  name: str
  broken_by: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Layer:
  """One prunable kernel: all its weights, those that are kept, and multiply-accumulates an image (None: unknown)."""
  name: str
  shape: tuple[int, ...]
  weights: int
  kept: int
  dense_macs: int | None
  sparse_macs: int | None


@dataclasses.dataclass(frozen=True)
class Seconds:
  """What a run spent its time on."""
  data: float
  find: float
  train: float
  export: float


@dataclasses.dataclass(frozen=True)
class Record:
  """What a finished run was and what came of it.

  Attributes:
    settings: the run's settings, in their canonical form.
    digest: `Run.digest`.
    seed: the run's seed.
    order_seed: seed of the order and augmentation of the training images, see `Run.order_seed`: runs with equal ones
      (and equal numbers of images) saw the same order.
    init_seed: seed of the network's initialisation, see `Run.init_seed`.
    rule: the rule's choices.
    needed: names of the runs that came before.
    proof: what a sanity check did, JSON values; empty without one.
    network: the network's name.
    dataset: the data set.
    mask: `Mask.digest`.
    pattern: the pattern of the kept weights.
    layers: the prunable kernels, in network order.
    all_weights: all trainable weights of the network, biases and normalisation included.
    unpruned: name -> size of the matrices that no rule can prune.
    collapse: what of the ticket lies on paths.
    effective_weights: number of trained weights that are not zero and lie on a path of such weights; None if the
      paths of the network cannot be known.
    final_accuracy: test accuracy of the final weights, in [0, 1].
    settled_accuracy: the same with batch-norm statistics estimated afresh by one pass over the training images.
    test_loss: mean cross-entropy of the final weights on the test set; None if it is not finite.
    settled_loss: the same of the weights of `settled_accuracy`.
    balanced_accuracy: mean of `class_accuracy` over the classes that have test images.
    class_accuracy: test accuracy of the final weights within each class, in [0, 1]; None for a class without images.
    best_accuracy: the highest accuracy of an epoch that was evaluated, in [0, 1].
    best_epoch: that epoch, counted from 1.
    best_on: `'test'` or `'validation'`: what the best epoch was chosen on.
    seconds: time spent.
    environment: versions, devices and commit, JSON values.
    notes: what was said of the data: what was skipped, converted or united.
    mask_history: every mask update of the training; empty for a mask that is fixed.
    export: what `bin/export` wrote last, JSON values; None if nothing.
    narrowed: how the width of a small dense network was chosen; None for every other run.
    format: version of the file.
  """
  settings: Settings
  digest: str
  seed: int
  order_seed: int
  init_seed: int
  rule: Choices
  needed: tuple[str, ...]
  proof: dict[str, Any]
  network: str
  dataset: DatasetSize
  mask: str
  pattern: PatternKept
  layers: tuple[Layer, ...]
  all_weights: int
  unpruned: dict[str, int]
  collapse: Collapse
  effective_weights: int | None
  final_accuracy: float
  settled_accuracy: float
  test_loss: float | None
  settled_loss: float | None
  balanced_accuracy: float
  class_accuracy: tuple[float | None, ...]
  best_accuracy: float
  best_epoch: int
  best_on: str
  seconds: Seconds
  environment: dict[str, Any]
  notes: tuple[str, ...]
  mask_history: tuple[MaskChange, ...] = ()
  export: dict[str, Any] | None = None
  narrowed: Narrowed | None = None
  format: int = FORMAT

  @property
  def weights(self) -> int:
    """All prunable weights."""
    return sum(layer.weights for layer in self.layers)

  @property
  def kept(self) -> int:
    """Kept weights."""
    return sum(layer.kept for layer in self.layers)


def to_json(record: Record) -> dict[str, Any]:
  """Returns a record as JSON values, the format first; what there is none of is left out."""
  values = msgspec.to_builtins(record)
  for name in ('mask_history', 'export', 'narrowed'):
    if not getattr(record, name):
      values.pop(name, None)  # msgspec leaves out a default that it did not read.
  return {'format': values.pop('format'), **values}


def write(folder: str | pathlib.Path, record: Record) -> None:
  """Writes a record into a run's folder, whole or not at all."""
  write_json(RunFolder(pathlib.Path(folder)).record, to_json(record))


def read(folder: str | pathlib.Path) -> Record:
  """Reads the record of a finished run.

  Args:
    folder: the run's folder.

  Raises:
    UsageError: if the folder holds no record, or one that is damaged, incomplete or of a newer format; one line that
      names the file and what is missing or wrong.
  """
  path = RunFolder(pathlib.Path(folder)).record
  if not path.is_file():
    raise UsageError(f'{folder}: holds no {path.name}: not the folder of a finished run')
  try:
    return _from_json(read_json(path))
  except UsageError as error:
    message = str(error).removeprefix(f'{path}: ')
    raise UsageError(f'{path}: {message}; without this file the run is done again') from error


def _from_json(values: Mapping[str, Any]) -> Record:
  required = [field.name for field in dataclasses.fields(Record) if field.default is dataclasses.MISSING]
  missing = [name for name in ('format', *required) if name not in values]
  if missing and isinstance(values.get('format'), int) and values['format'] < FORMAT:
    raise UsageError(f'format {values["format"]}, from an earlier version, lacks {", ".join(missing)}')
  if missing:
    raise UsageError(f'lacks {", ".join(missing)}')
  if not isinstance(values['format'], int) or values['format'] > FORMAT:
    raise UsageError(f'format {values["format"]} is newer than this program\'s, {FORMAT}')
  if not isinstance(values['settings'], dict):
    raise UsageError('settings: expected a JSON object')
  settings = from_dict(values['settings'])
  try:
    return msgspec.convert({**values, 'settings': dataclasses.asdict(settings)}, Record)
  except msgspec.ValidationError as error:
    raise UsageError(f'is no record: {error}') from error


def write_json(path: pathlib.Path, value: object) -> None:
  """Writes a JSON file that people can read, whole or not at all."""
  files.write_text(path, json.dumps(value, indent=2, allow_nan=False) + '\n')


def read_value(path: pathlib.Path, kind: type[_Value], version: int, what: str) -> _Value:
  """Reads a JSON file as a value that has its format in it.

  Args:
    path: the file.
    kind: a dataclass.
    version: the format that this program reads.
    what: what the file holds, for messages.

  Raises:
    UsageError: if it cannot be read, is of another format or holds something else; one line that names the file.
  """
  values = read_json(path)
  if values.get('format') != version:
    raise UsageError(f'{path}: format {values.get("format")}: expected {version}, the one of this program')
  try:
    return msgspec.convert(values, kind)
  except msgspec.ValidationError as error:
    raise UsageError(f'{path}: does not hold {what}: {error}') from error


def read_json(path: pathlib.Path) -> dict[str, Any]:
  """Reads a JSON object; raises UsageError that names the file if it is none."""
  try:
    value = json.loads(files.read_text(path))
  except (OSError, ValueError) as error:
    raise UsageError(f'{path}: cannot be read: {error}') from error
  if not isinstance(value, dict):
    raise UsageError(f'{path}: expected a JSON object')
  return value
