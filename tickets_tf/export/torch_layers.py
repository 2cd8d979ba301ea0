"""PyTorch code for Keras layers: what is made of a layer once, and what each of its calls computes.

In PyTorch's tensors the channels come first: [N, height, width, channels] of Keras is [N, channels, height, width].
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import tf_keras as keras

from tickets_tf.export.torch_call import (Call, Code, activated, check_channels_last, numbers, on_last_axis, operator,
                                          refused)

_L = keras.layers


def _same(call: Call, sizes: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[tuple[int, int]]:
  """Returns what TensorFlow's SAME adds before and behind each axis of space.

  The output has ceil(n / stride) places; an odd number of added places has the larger half behind.
  """
  added = []
  for size, stride, dilation, length in zip(sizes, strides, dilations, call.shapes[0][1:-1], strict=True):
    reach = (size - 1) * dilation + 1
    if length is None and stride > 1:
      raise refused(call.layer, 'pads images of any size')
    total = reach - 1 if length is None else max((math.ceil(length / stride) - 1) * stride + reach - length, 0)
    added.append((total // 2, total - total // 2))
  return added


def _padded(x: str, added: Sequence[tuple[int, int]], value: str = '') -> str:
  # PyTorch counts the axes from the last.
  flat = tuple(part for pair in reversed(added) for part in pair)
  return f'F.pad({x}, {flat}{value})' if any(flat) else x


def _conv(call: Call, name: str, inputs: int, outputs: int, groups: int, bias: bool, kernel: Sequence[int]) -> Code:
  """Returns a convolution, with the padding inside it if it is the same on both sides."""
  layer = call.layer
  check_channels_last(layer)
  strides, dilations = layer.strides, layer.dilation_rate
  added = [(0, 0)] * len(kernel)
  if layer.padding == 'same':
    added = _same(call, kernel, strides, dilations)
  elif layer.padding == 'causal':
    added = [((kernel[0] - 1) * dilations[0], 0)]
  even = all(before == behind for before, behind in added)
  options = [('stride', strides, 1), ('padding', [before for before, _ in added], 0), ('dilation', dilations, 1)]
  words = [f'{word}={numbers(values)}' for word, values, plain in options
           if any(value != plain for value in values) and (word != 'padding' or even)]
  words += [f'groups={groups}'] * (groups > 1) + ['bias=False'] * (not bias)
  made = ', '.join([f'nn.Conv{len(kernel)}d({inputs}, {outputs}, {numbers(kernel)}', *words]) + ')'
  return Code(f'{name}({call.x if even else _padded(call.x, added)})', (made,))


def _plain_conv(call: Call) -> Code:
  layer = call.layer
  code = _conv(call, call.names[0], call.shapes[0][-1] or 0, layer.filters, layer.groups, layer.use_bias,
               layer.kernel_size)
  return dataclasses.replace(code, expression=activated(layer, code.expression))


def _depthwise(call: Call) -> Code:
  layer, channels = call.layer, call.shapes[0][-1] or 0
  code = _conv(call, call.names[0], channels, channels * layer.depth_multiplier, channels, layer.use_bias,
               layer.kernel_size)
  return dataclasses.replace(code, expression=activated(layer, code.expression))


def _separable(call: Call) -> Code:
  layer, channels = call.layer, call.shapes[0][-1] or 0
  between = channels * layer.depth_multiplier
  first = _conv(call, call.names[0], channels, between, channels, False, layer.kernel_size)
  ones = (1,) * len(layer.kernel_size)
  bias = '' if layer.use_bias else ', bias=False'
  second = f'nn.Conv{len(ones)}d({between}, {layer.filters}, 1{bias})'
  return Code(activated(layer, f'{call.names[1]}({first.expression})'), (*first.modules, second))


def _dense(call: Call) -> Code:
  layer = call.layer
  made = f'nn.Linear({call.shapes[0][-1]}, {layer.units}{"" if layer.use_bias else ", bias=False"})'
  return Code(activated(layer, on_last_axis(call.x, call.rank, f'{call.names[0]}({{}})')), (made,))


def _batch_norm(call: Call) -> Code:
  layer = call.layer
  if list(layer.axis) != [call.rank - 1]:
    raise refused(layer, f'normalises axis {list(layer.axis)}')
  made = (f'nn.BatchNorm{max(call.rank - 2, 1)}d({call.shapes[0][-1]}, eps={float(layer.epsilon)!r}, '
          f'momentum={1 - layer.momentum:.6g})')
  return Code(f'{call.names[0]}({call.x})', (made,))


def _layer_norm(call: Call) -> Code:
  layer = call.layer
  if [axis % call.rank for axis in layer.axis] != [call.rank - 1]:
    raise refused(layer, f'normalises axes {list(layer.axis)}')
  made = f'nn.LayerNorm({call.shapes[0][-1]}, eps={float(layer.epsilon)!r})'
  return Code(on_last_axis(call.x, call.rank, f'{call.names[0]}({{}})'), (made,))


def _zero_padding(call: Call) -> Code:
  check_channels_last(call.layer)
  padding = call.layer.padding
  return Code(_padded(call.x, [padding] if isinstance(padding[0], int) else padding))


def _pool(call: Call) -> Code:
  layer = call.layer
  check_channels_last(layer)
  kind = 'Max' if type(layer) in (_L.MaxPooling1D, _L.MaxPooling2D, _L.MaxPooling3D) else 'Avg'
  sizes, strides = (value if isinstance(value, tuple) else (value,) for value in (layer.pool_size, layer.strides))
  added = [(0, 0)] * len(sizes)
  if layer.padding == 'same':
    added = _same(call, sizes, strides, (1,) * len(sizes))
    if kind == 'Avg' and any(map(any, added)):
      raise refused(layer, 'averages over less at the borders')
  x = _padded(call.x, added, ', value=-torch.inf')
  return Code(f'F.{kind.lower()}_pool{len(sizes)}d({x}, {numbers(sizes)}, {numbers(strides)})')


def _global_pool(call: Call) -> Code:
  layer = call.layer
  check_channels_last(layer)
  reduce = 'amax' if 'Max' in type(layer).__name__ else 'mean'
  axes = tuple(range(2, call.rank))
  return Code(f'{call.x}.{reduce}({axes}{", keepdim=True" if layer.keepdims else ""})')


def _relu(call: Call) -> Code:
  layer = call.layer
  if layer.threshold or (layer.negative_slope and layer.max_value is not None):
    raise refused(layer, 'has a threshold, or a slope and a largest value')
  if layer.negative_slope:
    return Code(f'F.leaky_relu({call.x}, {float(layer.negative_slope):g})')
  if layer.max_value is None:
    return Code(f'F.relu({call.x})')
  return Code(f'torch.clamp({call.x}, 0, {float(layer.max_value):g})')


def _softmax(call: Call) -> Code:
  if call.layer.axis not in (-1, call.rank - 1):
    raise refused(call.layer, f'has axis={call.layer.axis}')
  return Code(f'F.softmax({call.x}, 1)')


def _dropout(call: Call) -> Code:
  if getattr(call.layer, 'noise_shape', None):
    raise refused(call.layer, 'has a noise_shape')
  whole = {_L.SpatialDropout1D: '1d', _L.SpatialDropout2D: '2d', _L.SpatialDropout3D: '3d'}.get(type(call.layer), '')
  return Code(f'F.dropout{whole}({call.x}, {call.layer.rate:g}, self.training)')


def _joined(template: str) -> Callable[[Call], Code]:
  # An operator between all inputs; those of other shapes are spread otherwise in Keras, where channels come last.
  def code(call: Call) -> Code:
    if len({len(shape) for shape in call.shapes}) > 1:
      raise refused(call.layer, 'joins inputs of several ranks')
    joined = call.inputs[0]
    for other in [*call.inputs[1:], *([call.constant_name] if call.constant is not None else [])]:
      joined = template.format(joined, other)
    return Code(f'({joined}) / {len(call.inputs)}' if type(call.layer) is _L.Average else joined)
  return code


def _concatenate(call: Call) -> Code:
  axis = call.layer.axis % call.rank
  return Code(f'torch.cat([{", ".join(call.inputs)}], {1 if axis == call.rank - 1 else axis + 1})')


def _flatten(call: Call) -> Code:
  check_channels_last(call.layer)
  first = call.channels_first or call.rank < 3
  return Code(f'torch.flatten({call.x if first else f"{call.x}.movedim(1, -1)"}, 1)')


def _reshape(call: Call) -> Code:
  layer = call.layer
  shape = layer.output_shape
  if len(shape) == 2:
    return _flatten(call)
  if None in shape[1:]:
    raise refused(layer, 'has an open shape')
  inner = call.x if call.rank < 3 else f'{call.x}.movedim(1, -1)'
  return Code(f'{inner}.reshape(-1, {", ".join(map(str, shape[1:]))}).movedim(-1, 1)')


def _permute(call: Call) -> Code:
  return Code(on_last_axis(call.x, call.rank, f'{{}}.permute(0, {", ".join(map(str, call.layer.dims))})'))


def _rescaling(call: Call) -> Code:
  scale, offset = call.layer.scale, call.layer.offset
  if not all(isinstance(value, (int, float)) for value in (scale, offset)):
    raise refused(call.layer, 'has a scale of its own for each channel')
  return Code(f'{call.x} * {scale!r} + {offset!r}')


def _upsampling(call: Call) -> Code:
  layer = call.layer
  check_channels_last(layer)
  if layer.interpolation != 'nearest':
    raise refused(layer, f'has interpolation={layer.interpolation}')
  return Code(f'F.interpolate({call.x}, scale_factor={tuple(map(float, layer.size))})')


def _gelu(call: Call) -> Code:
  return Code(f'F.gelu({call.x}{", approximate=" + repr("tanh") if call.constant else ""})')


def _attention(call: Call) -> Code:
  """Returns attention between four linear layers, whose outputs and inputs are those of all heads together."""
  layer = call.layer
  if {len(shape) for shape in call.shapes} != {3} or len(layer.output_shape) != 3:
    raise refused(layer, 'attends over several axes')
  tokens = [f'{name}({x}.movedim(1, -1))' for name, x in
            zip(call.names, (call.inputs[0], call.inputs[2], call.inputs[1]), strict=False)]
  config = layer.get_config()
  heads, rate = config['num_heads'], config['dropout']
  dropout = f', {rate:g} if self.training else 0.0' if rate else ''
  sizes = [(call.shapes[0][-1], heads * config['key_dim']), (call.shapes[2][-1], heads * config['key_dim']),
           (call.shapes[1][-1], heads * config['value_dim']), (heads * config['value_dim'], layer.output_shape[-1])]
  bias = '' if config['use_bias'] else ', bias=False'
  return Code(f'{call.names[3]}(attention({", ".join(tokens)}, {heads}{dropout})).movedim(-1, 1)',
              tuple(f'nn.Linear({inputs}, {outputs}{bias})' for inputs, outputs in sizes))


# Operators on the tensors of a functional network, as in `x + y`; by the last part of their symbol.
_OPERATORS: dict[str, Callable[[Call], Code]] = {
    'add': _joined('{} + {}'), 'subtract': _joined('{} - {}'), 'multiply': _joined('{} * {}'),
    'gelu': _gelu, 'relu': lambda call: Code(f'F.relu({call.x})'), 'relu6': lambda call: Code(f'F.relu6({call.x})'),
    'tanh': lambda call: Code(f'torch.tanh({call.x})'), 'sigmoid': lambda call: Code(f'torch.sigmoid({call.x})')}


def translate(call: Call) -> Code:
  """Returns what becomes of a call.

  Raises:
    UsageError: if it is not known what the layer is in PyTorch; the message names it.
  """
  symbol = operator(call.layer)
  code = CODES.get(type(call.layer)) or _OPERATORS.get(symbol)
  if code is None:
    raise refused(call.layer, f'is {symbol}' if symbol else 'is not among the layers that are known here')
  return code(call)


# By the very class: what derives from one of these may compute something else.
CODES: dict[type, Callable[[Call], Code]] = {
    **dict.fromkeys((_L.Conv1D, _L.Conv2D, _L.Conv3D), _plain_conv),
    _L.DepthwiseConv2D: _depthwise, _L.SeparableConv2D: _separable, _L.Dense: _dense,
    _L.BatchNormalization: _batch_norm, _L.LayerNormalization: _layer_norm,
    **dict.fromkeys((_L.ZeroPadding1D, _L.ZeroPadding2D, _L.ZeroPadding3D), _zero_padding),
    **dict.fromkeys((_L.MaxPooling1D, _L.MaxPooling2D, _L.MaxPooling3D, _L.AveragePooling1D, _L.AveragePooling2D,
                     _L.AveragePooling3D), _pool),
    **dict.fromkeys((_L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D, _L.GlobalAveragePooling3D,
                     _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D, _L.GlobalMaxPooling3D), _global_pool),
    _L.Activation: lambda call: Code(activated(call.layer, call.x)),
    _L.ReLU: _relu,
    _L.LeakyReLU: lambda call: Code(f'F.leaky_relu({call.x}, {float(call.layer.alpha):g})'),
    _L.ELU: lambda call: Code(f'F.elu({call.x}, {float(call.layer.alpha):g})'),
    _L.Softmax: _softmax,
    **dict.fromkeys((_L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.SpatialDropout3D), _dropout),
    **dict.fromkeys((_L.Add, _L.Average), _joined('{} + {}')), _L.Subtract: _joined('{} - {}'),
    _L.Multiply: _joined('{} * {}'), _L.Maximum: _joined('torch.maximum({}, {})'),
    _L.Minimum: _joined('torch.minimum({}, {})'), _L.Concatenate: _concatenate,
    _L.Flatten: _flatten, _L.Reshape: _reshape, _L.Permute: _permute, _L.Rescaling: _rescaling,
    _L.UpSampling2D: _upsampling, _L.MultiHeadAttention: _attention,
}
