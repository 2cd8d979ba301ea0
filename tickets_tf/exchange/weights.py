"""Masks, weights and batch norm of a network out of a file of PyTorch, module by module."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from tickets_tf.exchange import items
from tickets_tf.exchange import layouts
from tickets_tf.exchange import matching
from tickets_tf.exchange import names
from tickets_tf.exchange import reading
from tickets_tf.exchange.containers import Container, Mismatch, Stored
from tickets_tf.exchange.layouts import KernelLike

# Weights that PyTorch computes anew from others in every call.
_COMPUTED = re.compile(r'(^|[.])(weight_[guv]|parametrizations[.]weight[.](original[0-9]+|[0-9]+[.](?!mask$)\w+))$')
_TO_BATCH_NORM = (('conv', 'bn'), ('conv', 'norm'), ('conv', 'batch_norm'), ('conv', 'batchnorm'))
_BEHIND = ('_bn', '_norm', '.bn', '.norm', 'bn')
_PLAIN = {'weight': 1, 'bias': 0, 'running_mean': 0, 'running_var': 1}


class ModuleLike(Protocol):
  """What these functions need to know of a module; `tickets_tf.models.modules.Module` is one."""

  @property
  def name(self) -> str:
    """The name of its kernel, or of the normalisation layer."""

  @property
  def kernel(self) -> KernelLike | None:
    """Its kernel; None for normalisation."""

  @property
  def vectors(self) -> Mapping[str, object]:
    """Its arrays of one axis, by PyTorch's names."""

  @property
  def channels(self) -> int:
    """The length of these."""

  @property
  def after(self) -> str:
    """Name of the module whose outputs are normalised, or empty."""


@dataclasses.dataclass(frozen=True)
class Network:
  """What a file says of a network.

  Attributes:
    masks: boolean array of each kernel, of its shape.
    weights: array of each kernel that the file has, removed weights as they are there; None if it has masks alone.
    vectors: (name of a module, PyTorch's name of the array) -> array; empty without weights.
    names: name of a module -> name of the layer in the file, for all that were found.
    lines: a report.
  """
  masks: dict[str, np.ndarray]
  weights: dict[str, np.ndarray] | None
  vectors: dict[tuple[str, str], np.ndarray]
  names: dict[str, str]
  lines: list[str]


def read_network(container: Container, modules: Sequence[ModuleLike], layout: str, told: Mapping[str, str],
                 missing: str, masks_only: bool = False) -> Network:
  """Reads masks and, if the file has them in PyTorch's layout, all weights of a network.

  Args:
    container: what is in the file.
    modules: the network's modules.
    layout: `'keras'`, `'torch'` or `'auto'`.
    told: name of a module -> name of the layer in the file, or of the kernel's array.
    missing: `'fail'`, or `'dense'`: what the file lacks is kept whole and is not among the weights.
    masks_only: leave the weights alone.

  Raises:
    Mismatch: if something is missing or it is not certain what belongs together.
  """
  kernels = [module.kernel for module in modules if module.kernel is not None]
  named = {kernel.name: told[kernel.name] for kernel in kernels if kernel.name in told}
  found = matching.match(container, kernels, layout, named, missing)
  arrays, binary = reading.masks_of(found)
  lines = reading.report(found, arrays, binary, container)
  masks = {kernel.name: np.ones(kernel.shape, bool) for kernel in kernels}
  masks |= {match.kernel.name: array for match, array in zip(found.matches, arrays, strict=True)}
  holders = {match.kernel.name: names.module((match.weights or match.array).name) for match in found.matches}
  stored = {match.kernel.name: match.weights for match in found.matches if match.weights is not None}
  masks_alone = all(binary) and all(match.weights in (None, match.array) for match in found.matches)
  if masks_only:
    return Network(masks, None, {}, holders, lines)
  if found.layout != 'torch' or masks_alone:
    lines.append('no weights are taken: the file has ' + (
        'masks alone' if masks_alone else 'them in another layout than PyTorch\'s'))
    return Network(masks, None, {}, holders, lines)
  if len(stored) < len(found.matches):
    raise Mismatch(f'masks without weights: {", ".join(name for name in holders if name not in stored)}')
  _check_stored(container)
  weights = {match.kernel.name: layouts.to_keras(reading.finite(stored[match.kernel.name]), match.kernel, 'torch')
             .astype(np.float32) for match in found.matches}
  if not any(weights[name][~masks[name]].any() for name in weights) and not all(each.all() for each in arrays):
    lines.append('removed weights are zero in the file: other masks than its own would keep zeros')
  vectors = _Vectors(container, modules, holders, told, missing)
  return Network(masks, weights, vectors.read(), vectors.holders, lines + vectors.lines)


def _check_stored(container: Container) -> None:
  computed = [array for array in container.arrays if _COMPUTED.search(array.name)]
  if computed:
    raise Mismatch(f'weights that are computed from others, as {items.listed(computed)}; make them plain in PyTorch '
                   'first, with torch.nn.utils.parametrize.remove_parametrizations or remove_weight_norm')


class _Vectors:
  """The arrays of one axis: biases, and the arrays of normalisation layers."""

  def __init__(self, container: Container, modules: Sequence[ModuleLike], holders: Mapping[str, str],
               told: Mapping[str, str], missing: str) -> None:
    self.holders = dict(holders)
    self.lines: list[str] = []
    self._modules = modules
    self._missing = missing
    self._told = told
    self._lacking: list[str] = []
    self._arrays: dict[str, dict[str, Stored]] = {}
    for array in container.arrays:
      if len(array.shape) == 1:
        holder, _, role = array.name.rpartition('.')
        self._arrays.setdefault(holder, {})[role] = array

  def read(self) -> dict[tuple[str, str], np.ndarray]:
    """Returns the arrays of all modules; raises Mismatch."""
    norms = [module for module in self._modules if module.kernel is None]
    for module in norms:
      holder = self._told_or_named(module) or self._beside(module)
      if holder:
        self.holders[module.name] = holder
    self._last_of_a_shape(norms)
    taken = list(self.holders.values())
    twice = sorted({holder for holder in taken if taken.count(holder) > 1})
    if twice:
      raise Mismatch(f'{", ".join(twice)} would be several layers; say which in --names')
    found = {(module.name, role): values for module in self._modules for role, values in self._of(module)}
    if self._lacking:
      more = len(self._lacking) - items.SHOWN
      lacking = ', '.join(self._lacking[:items.SHOWN]) + f' and {more} more' * (more > 0)
      if self._missing == 'fail':
        raise Mismatch(f'the file lacks {lacking}; say in --names what they are called, or give --missing=dense to '
                       'leave them at their initialisation')
      self.lines.append(f'left at their initialisation: {lacking}')
    unused = [array for holder, arrays in self._arrays.items() if holder not in taken for array in arrays.values()]
    self.lines.append(f'{len(found)} biases and arrays of batch norm taken'
                      + f'; not used: {items.listed(unused)}' * bool(unused))
    return found

  def _of(self, module: ModuleLike) -> Iterator[tuple[str, np.ndarray]]:
    """Yields (name, values) of a module's arrays."""
    stored = self._arrays.get(self.holders.get(module.name, ''), {})
    if not stored and module.vectors:
      self._lacking.append(f'all of {module.name}' if module.kernel is None else f'{module.name}.bias')
      return
    for role in module.vectors:
      values = self._values(stored, role)
      if values is None:
        self._lacking.append(f'{module.name}.{role}')
      elif values.shape != (module.channels,):
        raise Mismatch(f'{stored[role].name} {values.shape} is no {role} of {module.name}, which has {module.channels} '
                       'channels')
      else:
        yield role, values.astype(np.float32)
    for role in stored.keys() - module.vectors.keys():
      values = self._values(stored, role)
      if role in _PLAIN and values is not None and (values != _PLAIN[role]).any():
        raise Mismatch(f'{stored[role].name} is used by PyTorch, and the network\'s {module.name} has no {role}')

  def _values(self, stored: Mapping[str, Stored], role: str) -> np.ndarray | None:
    if f'{role}_orig' in stored and f'{role}_mask' in stored:
      kept = reading.finite(stored[f'{role}_mask']) != 0
      return np.where(kept, reading.finite(stored[f'{role}_orig']), 0)
    return reading.finite(stored[role]) if role in stored else None

  def _fits(self, holder: str, module: ModuleLike) -> bool:
    arrays = self._arrays.get(holder, {})
    needed = [role for role in module.vectors if role.startswith('running')] or list(module.vectors)
    return holder not in self.holders.values() and all(
        role in arrays and arrays[role].shape == (module.channels,) for role in needed)

  def _told_or_named(self, module: ModuleLike) -> str:
    text = self._told.get(module.name, '')
    if text and not self._fits(text, module):
      raise Mismatch(f'the name map says {text!r} for {module.name}, and the file has no such arrays of '
                     f'{module.channels} channels there')
    key = names.key(module.name)
    named = [holder for holder in self._arrays
             if key in names.parse(f'{holder}.weight').keys and self._fits(holder, module)]
    return text or (named[0] if len(named) == 1 else '')

  def _beside(self, module: ModuleLike) -> str:
    """Returns the holder whose name says that it follows the module's convolution, if there is exactly one."""
    before = self.holders.get(module.after)
    found = {holder for holder in _followers(before) if self._fits(holder, module)} if before is not None else set()
    return found.pop() if len(found) == 1 else ''

  def _last_of_a_shape(self, norms: Sequence[ModuleLike]) -> None:
    for module in norms:
      left = [other for other in norms if other.name not in self.holders and other.channels == module.channels
              and other.vectors.keys() == module.vectors.keys()]
      fitting = [holder for holder in self._arrays if self._fits(holder, module)
                 and any(role.startswith('running') for role in self._arrays[holder])]
      if left == [module] and len(fitting) == 1:
        self.holders[module.name] = fitting[0]


def _followers(holder: str) -> Iterator[str]:
  around, dot, last = holder.rpartition('.')
  for word, other in _TO_BATCH_NORM:
    if word in last:
      start, _, end = last.rpartition(word)
      yield f'{around}{dot}{start}{other}{end}'
  if last.isdecimal():
    yield f'{around}{dot}{int(last) + 1}'
  yield from (holder + suffix for suffix in _BEHIND)
