"""Names for scores, allocations, mask updates, checks, models and data sets, and how a user's own are found.

A built-in entry is a `module:attribute` string that is imported when it is first asked for: the names are known
without importing TensorFlow. The same form, `package.module:name`, reaches a user's own function from any flag.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
import difflib
import importlib
import importlib.util
import inspect
import os
import re
import sys
from typing import Any
from typing import TypeVar

from tickets_tf.errors import UsageError
from tickets_tf.own_code import digest

_Entry = TypeVar('_Entry')


class Registry:
  """A table from names to objects of one kind.

  Args:
    kind: what an entry is, for messages, e.g. `'score'`.
    entries: name -> object, or name -> `'module:attribute'` string for entries imported on first use.
    kept: whether what an entry makes is kept between runs, under its name.
  """

  def __init__(self, kind: str, entries: Mapping[str, Any] | None = None, kept: bool = False) -> None:
    self.kind = kind
    self._entries: dict[str, Any] = dict(entries or {})
    self._registered_by: dict[str, str] = {}
    self._kept = kept

  def names(self) -> list[str]:
    """Returns the known names in the order of registration."""
    return list(self._entries)

  def register(self, name: str) -> Callable[[_Entry], _Entry]:
    """Returns a decorator that adds an object under `name`.

    In a notebook or an interpreter it also replaces an earlier one, because a cell is run again when it has changed.
    The runs know the change by the object's code. What is kept under its name cannot change: it is replaced by the same
    code alone.

    Raises:
      UsageError: if the name is taken or contains a colon.
    """
    module = sys._getframe(1).f_globals.get('__name__', '')
    again = self._registered_by.get(name) == module and getattr(sys.modules.get(module), '__file__', None) is None
    if (name in self._entries and not again) or ':' in name:
      raise UsageError(f'{self.kind} {name!r}: the name is ' + ('taken' if name in self._entries else 'not allowed'))

    def add(entry: _Entry) -> _Entry:
      if again and self._kept and digest([module, entry]) != digest(self.own_code(name)):
        raise UsageError(f'{self.kind} {name!r}: the name is taken by other code; expected another name, because a '
                         f'{self.kind} is kept under its name')
      self._entries[name] = entry
      self._registered_by[name] = module
      return entry

    return add

  def check(self, name: str) -> None:
    """Raises UsageError unless `name` is known or has the form `package.module:name`; imports nothing."""
    known = self.names()
    if name in known:
      return
    module, colon, attribute = name.partition(':')
    if colon and all(part.isidentifier() for part in [*module.split('.'), attribute]):
      return
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
    hint = f' (did you mean {near[0]!r}?)' if near else ''
    raise UsageError(f'unknown {self.kind} {name!r}{hint}; known: {", ".join(known)}, or package.module:name')

  def get(self, name: str) -> Any:
    """Returns the entry called `name`, importing it if needed.

    Args:
      name: a known name, or `package.module:attribute`, looked for on the Python path and in the current folder.

    Raises:
      UsageError: if nothing of that name can be had, with the nearest known name or the import's own message.
    """
    self.check(name)
    entry = self._entries.get(name, name)
    return self._load(entry) if isinstance(entry, str) else entry

  def own_code(self, name: str) -> list[object]:
    """Returns what `own_code.digest` needs to know the code of an entry that is not this package's, else nothing."""
    if name in self._registered_by:
      return [self._registered_by[name], self._entries[name]]
    if ':' in name and name not in self._entries:
      _find_from_here(name.partition(':')[0])
      return [name]
    return []

  def _load(self, path: str) -> Any:
    module_name, _, attribute = path.partition(':')
    try:
      _find_from_here(module_name)
      module = importlib.import_module(module_name)
    except ImportError as error:
      raise UsageError(f'{self.kind} {path!r}: {error}') from error
    try:
      return getattr(module, attribute)
    except AttributeError:
      names = ', '.join(name for name in vars(module) if callable(getattr(module, name)) and not name.startswith('_'))
      raise UsageError(f'{self.kind} {path!r}: {module_name} has no {attribute!r}; it has {names}') from None


class ModelRegistry(Registry):
  """The table of networks, in which a family's name may be followed by a depth, and a factor: `wide_resnet16_8`.

  Args:
    kind: what an entry is, for messages.
    entries: as for any table.
    without_width: names of the built-in families that come in one width alone.
  """

  def __init__(self, kind: str, entries: Mapping[str, Any], without_width: Collection[str] = ()) -> None:
    super().__init__(kind, entries, kept=True)
    self._without_width = frozenset(without_width)

  def split(self, name: str) -> tuple[str, int | None]:
    """Returns (family, depth) of a name; the depth is None if the name has none."""
    match = self._numbered(name)
    return (match[1], int(match[2])) if match else (name, None)

  def factor(self, name: str) -> int | None:
    """Returns the number behind the depth of a name; None if it has none."""
    match = self._numbered(name)
    return int(match[3]) if match and match[3] else None

  def _numbered(self, name: str) -> re.Match[str] | None:
    return None if name in self._entries else re.fullmatch(r'([a-z_]+?)(\d+)(?:_(\d+))?', name)

  def has_width(self, name: str) -> bool:
    """Returns whether a network takes a width; of the built-in ones nothing is imported."""
    family, _ = self.split(name)
    if self.own_code(name):
      return 'width' in inspect.signature(self.get(family)).parameters
    return family not in self._without_width

  def check(self, name: str) -> None:
    """As for any table, of the family's name."""
    super().check(self.split(name)[0])

  def own_code(self, name: str) -> list[object]:
    """As for any table, of the family's name."""
    return super().own_code(self.split(name)[0])


class ScoreRegistry(Registry):
  """The table of scores, which knows of the built-in ones whether they look at data, without importing them.

  Args:
    kind: what an entry is, for messages.
    entries: as for any table.
    without_data: names of the built-in scores that are marked as `tickets_tf.scores.data_free`.
  """

  def __init__(self, kind: str, entries: Mapping[str, Any], without_data: Collection[str] = ()) -> None:
    super().__init__(kind, entries)
    self._with_data = frozenset(entries) - frozenset(without_data)
    self._without_data = frozenset(without_data)

  def looks_at_data(self, score: str | Callable[..., Any]) -> bool:
    """Returns whether a score, a name or a function, is not marked as `tickets_tf.scores.data_free`."""
    if isinstance(score, str):
      if score in self._with_data | self._without_data:
        return score in self._with_data
      score = self.get(score)
    return bool(getattr(score, 'looks_at_data', True))


class AllocationRegistry(Registry):
  """The table of allocations, in which `like:RULE` and `like:MASKFILE` take the layer ratios of another ticket."""

  _PREFIX = 'like:'

  def liked(self, name: str) -> str:
    """Returns the rule or the file whose layer ratios a name asks for; empty for every other name."""
    return name.removeprefix(self._PREFIX) if name.startswith(self._PREFIX) else ''

  def check(self, name: str) -> None:
    """As for any table; what stands behind `like:` is checked by the run, which knows rules and files."""
    if name == self._PREFIX:
      raise UsageError(f'unknown {self.kind} {name!r}: expected like:RULE or like:MASKFILE')
    if not self.liked(name):
      super().check(name)

  def get(self, name: str) -> Any:
    """As for any table; of all names with `like:` the one function that takes given counts."""
    return self._load('tickets_tf.pruning.layer_ratios:like') if self.liked(name) else super().get(name)

  def own_code(self, name: str) -> list[object]:
    """As for any table; the run knows the code of a rule behind `like:`."""
    return [] if self.liked(name) else super().own_code(name)


def _find_from_here(module_name: str) -> None:
  found = importlib.util.find_spec(module_name.partition('.')[0])
  # A folder without __init__.py has no origin: others may have modules under its name, as `examples`, and so may this.
  if (found is None or found.origin is None) and os.getcwd() not in sys.path:
    sys.path.append(os.getcwd())


SCORES = ScoreRegistry('score', {
    'random': 'tickets_tf.scores.random:random',
    'magnitude': 'tickets_tf.scores.magnitude:magnitude',
    'snip': 'tickets_tf.scores.snip:snip',
    'grasp': 'tickets_tf.scores.grasp:grasp',
    'obd': 'tickets_tf.scores.obd:obd',
    'synflow': 'tickets_tf.scores.synflow:synflow',
    'cts': 'tickets_tf.scores.cts:cts',
    'gradient': 'tickets_tf.scores.gradient:gradient',
}, without_data=('random', 'magnitude', 'synflow'))
ALLOCATIONS = AllocationRegistry('allocation', {
    'global': 'tickets_tf.pruning.allocation:global_threshold',
    'global_convolutions': 'tickets_tf.pruning.allocation:global_convolutions',
    'smart': 'tickets_tf.pruning.layer_ratios:smart',
    'linear': 'tickets_tf.pruning.layer_ratios:linear',
    'cubic': 'tickets_tf.pruning.layer_ratios:cubic',
    'ascending': 'tickets_tf.pruning.layer_ratios:ascending',
    'uniform': 'tickets_tf.pruning.layer_ratios:uniform',
    'per_layer': 'tickets_tf.pruning.layer_ratios:per_layer',
    'er': 'tickets_tf.pruning.layer_ratios:er',
    'erk': 'tickets_tf.pruning.layer_ratios:erk',
    'balanced': 'tickets_tf.pruning.layer_ratios:balanced',
    'pyramidal': 'tickets_tf.pruning.layer_ratios:pyramidal',
})
PATTERNS = Registry('pattern', {
    'unstructured': 'tickets_tf.pruning.patterns:UNSTRUCTURED',
    '1x4': 'tickets_tf.pruning.patterns:BLOCKS_OF_FOUR',
    '2:4': 'tickets_tf.pruning.patterns:TWO_OF_FOUR',
})
MASK_UPDATES = Registry('mask update', {
    'fixed': 'tickets_tf.pruning.mask_updates:FIXED',
    'gradual': 'tickets_tf.pruning.mask_updates:GRADUAL',
    'set': 'tickets_tf.pruning.mask_updates:SET',
    'rigl': 'tickets_tf.pruning.mask_updates:RIGL',
})
CHECKS = Registry('check', {
    'random_labels': 'tickets_tf.checks.data:RANDOM_LABELS',
    'random_pixels': 'tickets_tf.checks.data:RANDOM_PIXELS',
    'half_dataset': 'tickets_tf.checks.data:HALF_DATASET',
    'rearrange': 'tickets_tf.checks.positions:REARRANGE',
    'shuffle_weights': 'tickets_tf.checks.values:SHUFFLE_WEIGHTS',
    'reinitialise': 'tickets_tf.checks.values:REINITIALISE',
    'invert': 'tickets_tf.checks.positions:INVERT',
    'corrupted_data': 'tickets_tf.checks.data:RANDOM_PIXELS',
    'rearrange_filters': 'tickets_tf.checks.positions:REARRANGE_FILTERS',
    'rearrange_globally': 'tickets_tf.checks.positions:REARRANGE_GLOBALLY',
    'rearrange_effective': 'tickets_tf.checks.effective:REARRANGE_EFFECTIVE',
    'reinitialise_all': 'tickets_tf.checks.values:REINITIALISE_ALL',
    'signs': 'tickets_tf.checks.values:SIGNS',
    'magnitudes': 'tickets_tf.checks.values:MAGNITUDES',
    'pattern_1x4': 'tickets_tf.checks.positions:PATTERN_1X4',
    'pattern_2_4': 'tickets_tf.checks.positions:PATTERN_2_4',
})
MODELS = ModelRegistry('model', {
    'resnet': 'tickets_tf.models.resnet:resnet',
    'vgg': 'tickets_tf.models.vgg:vgg',
    'wide_resnet': 'tickets_tf.models.wide_resnet:wide_resnet',
    'resnet18': 'tickets_tf.models.imagenet_resnet:resnet18',
    'resnet50': 'tickets_tf.models.imagenet_resnet:resnet50',
    'mobilenet_v2': 'tickets_tf.models.mobilenet:mobilenet_v2',
    'vit_tiny': 'tickets_tf.models.vit:vit_tiny',
}, without_width=('resnet50',))
DATASETS = Registry('data set', {
    'digits': 'tickets_tf.data.digits:load',
    'cifar10': 'tickets_tf.data.tfds_sets:load_cifar10',
    'cifar100': 'tickets_tf.data.tfds_sets:load_cifar100',
    'tiny_imagenet': 'tickets_tf.data.tiny_imagenet:load',
    'imagenet2012': 'tickets_tf.data.imagenet:load',
    'folder': 'tickets_tf.data.folder:load',
}, kept=True)
