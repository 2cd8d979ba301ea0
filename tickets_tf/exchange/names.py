"""What the name of an array in a file, or of a kernel, says about the layer and its place in the network."""

import dataclasses
import re

# Prefixes of torch's DataParallel and compile, and of checkpoints that hold more than a network.
_AROUND = ('module', '_orig_mod', 'model', 'state_dict')
# Of a layer's name; a number alone counts the wrappers.
_WRAPPER = re.compile(r'^(prune_low_magnitude|ticket_wrapper)_(?![0-9]+$)')
_PARAMETER = re.compile(r'(^|[./_])(weight_mask|kernel_mask|mask|weight_orig|weights?|kernel)$')
# Of torch.nn.utils.parametrize, with the masks of torch.ao.pruning.
_PARAMETRISED = re.compile(r'(^|[.])parametrizations[.]weight[.]([0-9]+[.]mask|original)$')
# Keras' newer files number layers by class, in the order of the network, and do not name them.
_NUMBERED = re.compile(r'/vars/[0-9]+$')
_AUTOMATIC = re.compile(r'((depthwise_|separable_)?conv[123]d(_transpose)?|(einsum_)?dense|locally_connected[12]d)'
                        r'(_[0-9]+)?')
# The last one is that of Keras' own ResNets.
_SHORTCUT = re.compile(r'downsample|shortcut|skip|block[0-9]+_0_conv$')


@dataclasses.dataclass(frozen=True)
class Name:
  """The parts of a name.

  Attributes:
    keys: names under which the layer may be known, all with the same separator.
    place: (word with # for numbers, numbers) of each part of the name, from the outermost to the innermost.
    mask: whether the name says that the array is a mask.
    shortcut: whether the name says that the layer is on a residual connection.
    automatic: whether Keras made the name by counting layers; it may differ from session to session.
  """
  keys: frozenset[str]
  place: tuple[tuple[str, tuple[int, ...]], ...]
  mask: bool
  shortcut: bool
  automatic: bool


def parse(text: str) -> Name:
  """Returns the `Name` of an array or kernel called `text`."""
  text = text.removesuffix(':0')
  numbered = _NUMBERED.search(text)
  parameter = numbered or _parameter(text)
  pieces = [piece for piece in re.split('[./]', text[:parameter.start()] if parameter else text) if piece]
  while len(pieces) > 1 and pieces[0] in _AROUND:
    pieces.pop(0)
  pieces = [_WRAPPER.sub('', piece) for piece in pieces]
  if '/' in text and not numbered and pieces[:1] == pieces[-1:]:  # Keras repeats the layer's name before its weights.
    pieces = pieces[:1]
  return Name(
      keys=frozenset() if numbered else frozenset(map(key, (text, '.'.join(pieces)))),
      place=_place(pieces),
      mask=parameter is not None and parameter.group().endswith('mask'),
      shortcut=any(_SHORTCUT.search(piece) for piece in pieces),
      automatic=not numbered and bool(pieces) and bool(_AUTOMATIC.fullmatch(pieces[-1])))


def module(text: str) -> str:
  """Returns the name of the layer that the array called `text` belongs to, with all that is around it."""
  parameter = _parameter(text)
  return text[:parameter.start()] if parameter else text


def key(text: str) -> str:
  """Returns a name with one separator between its parts, as in `Name.keys`."""
  return '.'.join(part for part in re.split('[./_]+', text) if part)


def says_mask(text: str) -> bool:
  """Returns whether a word of a name is `mask` or `masks`: `conv1.weight_mask`, `mask/conv1`, `soft_masks.3`."""
  return any(re.fullmatch('masks?[0-9]*', word) for word in re.split('[./_:]+', text.lower()))


def before(one: Name, other: Name) -> bool | None:
  """Returns whether the layer called `one` comes before the layer called `other`, or None if the names do not tell.

  Numbers tell: `layer1.0.conv2` comes before `layer1.1.conv1`. Words do not, since layers are not in alphabetical
  order: `stem` and `layer1`, `conv2` and `downsample`.
  """
  # One name may have more parts than the other.
  for (word, numbers), (other_word, other_numbers) in zip(one.place, other.place, strict=False):
    if word != other_word:
      return None
    if numbers != other_numbers:
      return numbers < other_numbers
  return None


def _parameter(text: str) -> re.Match[str] | None:
  return _PARAMETRISED.search(text) or _PARAMETER.search(text)


def _place(pieces: list[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
  place: list[tuple[str, tuple[int, ...]]] = []
  for word in re.split('[./_]+', '.'.join(pieces)):
    numbers = tuple(map(int, re.findall('[0-9]+', word)))
    if place and re.fullmatch('[0-9]+', word):
      place[-1] = (place[-1][0], place[-1][1] + numbers)
    else:
      place.append((re.sub('[0-9]+', '#', word), numbers))
  return tuple(place)
