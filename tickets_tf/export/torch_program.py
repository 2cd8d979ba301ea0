"""A Keras network as the lines of a PyTorch module, and its weights in PyTorch's order."""

import collections
import dataclasses
import itertools
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.exchange import Told, layouts
from tickets_tf.export import torch_arguments
from tickets_tf.export import torch_call
from tickets_tf.export import torch_layers
from tickets_tf.models.modules import Module, modules

_FLATTENING = (keras.layers.Flatten, keras.layers.Reshape)
# Layers that leave every value in its place, between a flattened map and the dense layer that reads it.
_IN_PLACE = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU,
             keras.layers.Dropout)
# Attributes of nn.Module, which a module inside must not hide.
_TAKEN = frozenset(re.findall(r'\w+', '''add_module apply bfloat16 buffers call_super_init children compile cpu cuda
double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu
load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters
register_backward_hook register_buffer register_forward_hook register_forward_pre_hook register_full_backward_hook
register_full_backward_pre_hook register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ self set_extra_state
set_submodule share_memory state_dict to to_empty train training type xpu zero_grad
T_destination'''))


@dataclasses.dataclass(frozen=True)
class Program:
  """A network in PyTorch.

  Attributes:
    modules: (attribute, code) of every module with weights.
    steps: (variable, expression) of every line of `forward`, whose argument is `x`.
    result: the variable of the outputs.
    attributes: name of a `Module` -> its attribute.
    constants: attribute -> values of every constant in a sum or product, float32, in PyTorch's order.
    chw: kernels whose inputs are a flattened map: (height, width, channels). They are in PyTorch's order, channel by
      channel; those that are left out have their inputs in the order of Keras.
  """
  modules: list[tuple[str, str]]
  steps: list[tuple[str, str]]
  result: str
  attributes: dict[str, str]
  constants: dict[str, npt.NDArray[np.float32]]
  chw: dict[str, tuple[int, int, int]]

  def name_map(self, model: keras.Model) -> dict[str, Told]:
    """Returns the PyTorch module of every module of a network, as a name map says it."""
    return {module.name: self._told(module) for module in modules(model)}

  def _told(self, module: Module) -> Told:
    attribute, flattened = self.attributes[module.name], self.chw.get(module.name)
    reads_map = module.kernel is not None and module.kernel.flattened is not None
    return Told(attribute, reads_map, flattened)

  def arrays(self, model: keras.Model, mask: Mapping[str, npt.NDArray[np.bool_]],
             fold_masks: bool = False) -> dict[str, npt.NDArray[Any]]:
    """Returns the network's state dict: name -> values in PyTorch's order.

    Args:
      model: the network of the program.
      mask: kept weights of each kernel; layers that keep all of them have no mask in PyTorch.
      fold_masks: leave the masks out; the zeros of the weights tell.
    """
    found: dict[str, npt.NDArray[Any]] = dict(self.constants)
    for module in modules(model):
      attribute = self.attributes[module.name]
      if module.kernel is not None:
        kept = mask[module.name]
        weight = self._in_order(module, np.where(kept, module.kernel.variable.numpy(), 0).astype(np.float32))
        masked = not fold_masks and not kept.all()
        found[f'{attribute}.weight{"_orig" * masked}'] = weight
        if masked:
          found[f'{attribute}.weight_mask'] = self._in_order(module, kept).astype(np.float32)
      found |= {f'{attribute}.{role}': values for role, values in _vectors(module).items()}
    return found

  def _in_order(self, module: Module, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if module.name in self.chw:
      return layouts.to_torch_flattened(values, self.chw[module.name])
    if module.kernel is not None and module.kernel.split:
      return layouts.to_torch(module.kernel.arranged(values))
    # What is one channel's own comes behind the channels: (channels x multiplier, 1, height, width).
    depthwise = module.kernel is not None and module.kernel.depthwise
    return layouts.to_torch(values.reshape(*values.shape[:-2], 1, -1) if depthwise else values)


@dataclasses.dataclass(frozen=True, eq=False)
class _Step:
  """One call of a layer; values are numbered."""
  layer: Any
  inputs: tuple[int, ...]
  output: int
  shapes: tuple[torch_call.Shape, ...]
  constant: npt.NDArray[Any] | None


def program(model: keras.Model) -> Program:
  """Returns a network in PyTorch.

  Args:
    model: a functional or sequential network of one input and one output, without wrappers.

  Raises:
    UsageError: if it is no such network, or it is not known what a layer is in PyTorch; the message names it.
  """
  if not getattr(model, '_is_graph_network', False):
    raise UsageError(f'--to=torch: the network {model.name!r} is subclassed, so that its layers have no known order')
  if len(model.inputs) != 1 or len(model.outputs) != 1:
    raise UsageError(f'--to=torch: the network {model.name!r} has {len(model.inputs)} inputs and '
                     f'{len(model.outputs)} outputs; one of each is written')
  steps, result = _steps(model)
  found = modules(model)
  # No layer has a name with a space. Single numbers stand in the code.
  arrays = [f'constant {step.output}' for step in steps if step.constant is not None and step.constant.ndim]
  attributes = _attributes([*(module.name for module in found), *arrays])
  of_layer: dict[int, list[str]] = {}
  for module in found:
    of_layer.setdefault(id(module.owner), []).append(attributes[module.name])
  flattening, chw = _in_torch_order(steps, found)
  names = _variables(steps, result)
  made: dict[str, str] = {}
  lines: list[tuple[str, str]] = []
  constants: dict[str, npt.NDArray[np.float32]] = {}
  for step in steps:
    own = of_layer.get(id(step.layer), [])
    constant = attributes.get(f'constant {step.output}')
    code = torch_layers.translate(torch_call.Call(
        step.layer, [f'self.{name}' for name in own], [names[value] for value in step.inputs], step.shapes,
        step.output in flattening, step.constant, f'self.{constant}' if constant else str(step.constant)))
    if constant and step.constant is not None:
      constants[constant] = torch_arguments.in_torch_order(step.layer, step.constant, len(step.shapes[0]))
      made[constant] = f'nn.Parameter(torch.zeros({constants[constant].shape}), requires_grad=False)'
    made.update(zip(own, code.modules, strict=True))
    if code.expression != names[step.output]:
      lines.append((names[step.output], code.expression))
  return Program(list(made.items()), lines, names[result], attributes, constants, chw)


def _steps(model: keras.Model) -> tuple[list[_Step], int]:
  """Returns the calls of all layers in order, those inside nested networks in place; and the value of the output."""
  steps: list[_Step] = []

  def walk(network: keras.Model, given: Sequence[int]) -> list[int]:
    values = {id(tensor): value for tensor, value in zip(network.inputs, given, strict=True)}
    for depth in sorted(network._nodes_by_depth, reverse=True):  # pylint: disable=protected-access
      for node in network._nodes_by_depth[depth]:  # pylint: disable=protected-access
        if node.is_input:
          continue
        given_here = torch_arguments.arguments(node)
        inputs = tuple(values[id(tensor)] for tensor in given_here.tensors)
        outputs = tf.nest.flatten(node.outputs)
        if getattr(node.layer, '_is_graph_network', False):
          results = walk(node.layer, inputs)
        else:
          results = [len(steps) + 1]
          shapes = tuple(tuple(tensor.shape) for tensor in given_here.tensors)
          steps.append(_Step(node.layer, inputs, results[0], shapes, given_here.constant))
        if len(outputs) != len(results):
          raise torch_call.refused(node.layer, f'has {len(outputs)} outputs')
        values.update(zip(map(id, outputs), results, strict=True))
    return [values[id(tensor)] for tensor in network.outputs]

  result, = walk(model, [0])
  return steps, result


def _attributes(names: Iterable[str]) -> dict[str, str]:
  """Returns an attribute for each name: the name itself if Python and nn.Module allow it."""
  given: dict[str, str] = {}
  for name in names:
    attribute = re.sub(r'\W', '_', name, flags=re.ASCII)
    if attribute[0].isdecimal() or attribute.startswith('_'):
      attribute = f'layer_{attribute}'
    while keyword.iskeyword(attribute) or attribute in _TAKEN or attribute in given.values():
      attribute += '_'
    given[name] = attribute
  return given


def _in_torch_order(steps: Sequence[_Step],
                    found: Sequence[Module]) -> tuple[set[int], dict[str, tuple[int, int, int]]]:
  """Finds the maps that can be flattened as PyTorch does it: those that only dense layers read.

  Returns:
    (values that are flattened so; `Program.chw`).
  """
  calls = collections.Counter(id(step.layer) for step in steps)
  dense = {id(module.layer): module for module in found if module.kernel and module.kernel.flattened}
  values: set[int] = set()
  chw: dict[str, tuple[int, int, int]] = {}
  for step in steps:
    if type(step.layer) not in _FLATTENING or len(step.shapes[0]) != 4:
      continue
    readers = _readers(step.output, steps)
    if readers and all(id(each.layer) in dense and calls[id(each.layer)] == 1 for each in readers):
      values.add(step.output)
      chw |= {module.name: module.kernel.flattened for module in (dense[id(each.layer)] for each in readers)
              if module.kernel and module.kernel.flattened}
  return values, chw


def _readers(value: int, steps: Sequence[_Step]) -> list[_Step]:
  """Returns the calls that read a value, directly or behind layers that leave everything in its place."""
  found: list[_Step] = []
  for step in steps:
    if value in step.inputs:
      found += _readers(step.output, steps) or [step] if type(step.layer) in _IN_PLACE else [step]
  return found


def _variables(steps: Sequence[_Step], result: int) -> dict[int, str]:
  """Returns a variable for each value; one is used again as soon as nobody reads its value any more."""
  last = {value: number for number, step in enumerate(steps) for value in step.inputs}
  names = {0: 'x'}
  live = {0}
  for number, step in enumerate(steps):
    live = {value for value in live if last.get(value, -1) > number or value == result}
    held = {names[value] for value in live}
    names[step.output] = next(name for name in _letters() if name not in held)
    live.add(step.output)
  return names


def _letters() -> Iterator[str]:
  yield from 'xyz'
  yield from (f'x{number}' for number in itertools.count(1))


def _vectors(module: Module) -> dict[str, npt.NDArray[Any]]:
  found = {role: variable.numpy().astype(np.float32).reshape(-1) for role, variable in module.vectors.items()}
  if module.kernel is not None:
    return found
  # PyTorch's layers have both, or neither.
  plain = {'weight': np.ones, 'bias': np.zeros}
  found |= {role: make(module.channels, np.float32) for role, make in plain.items() if role not in found}
  return found | ({'num_batches_tracked': np.zeros((), np.int64)} if 'running_mean' in found else {})
