"""Networks in PyTorch: arrays, names and code by NumPy, and what the code computes where PyTorch is installed."""

import ast
import importlib.util
import json
import re
import runpy

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tickets_tf import data
from tickets_tf import exchange
from tickets_tf.errors import UsageError
from tickets_tf.experiment import tickets
from tickets_tf.export import torch_folder
from tickets_tf.export import torch_program
from tickets_tf.models.modules import modules
from tickets_tf.pruning.mask import load_mask

L = keras.layers
SHAPE = (8, 8, 3)
needs_torch = pytest.mark.skipif(importlib.util.find_spec('torch') is None, reason='PyTorch is not installed')


def resnet():
  return tickets_tf.build_model('resnet8', SHAPE, 10, width=4)


def vgg():
  return tickets_tf.build_model('vgg11', SHAPE, 10, width=2)


def odd():
  """Padding that differs between the sides, a flattened map, and a batch norm without a scale."""
  inputs = keras.Input(SHAPE)
  x = L.Conv2D(6, 4, strides=2, padding='same', activation='relu', name='first')(inputs)
  x = L.MaxPooling2D(3, 2, padding='same')(x)
  x = L.SeparableConv2D(5, 3, padding='same', depth_multiplier=2, activation='swish', name='apart')(x)
  x = L.Flatten()(L.BatchNormalization(scale=False, name='norm')(x))
  return keras.Model(inputs, L.Dense(10, name='forward')(L.Dropout(0.5)(L.ReLU()(x))))


def inside():
  """A network that is used twice in another, operators on tensors, and a flattened map in the order of Keras."""
  inner = keras.Sequential([keras.Input((8, 8, 4)), L.Conv2D(4, 3, padding='same', name='class'), L.LeakyReLU()])
  inputs = keras.Input(SHAPE)
  x = L.DepthwiseConv2D(2, padding='same', name='depthwise')(inputs)
  x = L.Conv2D(4, 1, name='point')(L.ReLU(6.0)(x))
  x = inner(inner(x)) + x
  gate = L.Dense(4, activation='sigmoid', name='gate')(L.GlobalAveragePooling2D(keepdims=True)(x))
  x = L.LayerNormalization(name='scale')(L.Concatenate()([x * gate, L.UpSampling2D(2)(L.AveragePooling2D(2)(x))]))
  x = L.BatchNormalization(name='late')(L.Reshape((8 * 8 * 8,))(x))
  return keras.Model(inputs, L.Dense(10, name='last')(x))


def attention():
  """Attention within tokens and across, fixed positions, GELU of both kinds, and a number in a product."""
  inputs = keras.Input(SHAPE)
  tokens = L.Reshape((16, 6), name='tokens')(L.Conv2D(6, 2, (4, 1), padding='same', name='patches')(inputs))
  tokens = tokens + tf.constant(np.random.default_rng(2).normal(size=(1, 16, 6)), tf.float32)
  y = L.LayerNormalization(name='norm')(tokens)
  x = L.Add()([tokens, L.MultiHeadAttention(3, 2, name='self')(y, y)])
  other = tf.nn.gelu(L.Dense(5, 'gelu', name='other')(L.Reshape((8, 24), name='rows')(inputs)), approximate=True) * 3.0
  x = L.MultiHeadAttention(2, 4, value_dim=3, use_bias=False, dropout=0.5, output_shape=7, name='across')(
      x, key=L.Dense(9, name='key')(other), value=other)
  return keras.Model(inputs, L.Dense(10, name='last')(L.GlobalAveragePooling1D()(x)))


@pytest.fixture(scope='module', params=[resnet, vgg, odd, inside, attention], ids=lambda build: build.__name__)
def written(request, tmp_path_factory):
  """(network, mask, folders with masks and without, what was said)."""
  model = request.param()
  rng = np.random.default_rng(4)
  model.set_weights([np.abs(value) + 0.1 if 'variance' in variable.name else rng.normal(size=value.shape) * 0.3
                     for variable, value in zip(model.weights, model.get_weights(), strict=True)])
  ticket = tickets.find_ticket(model, 'random', 0.6, seed=3, allocation='uniform')
  model.set_weights(ticket.weights)
  folder, lines = tmp_path_factory.mktemp('torch'), []
  for name in ('masks', 'folded'):
    torch_folder.write_torch(model, ticket.mask, dataset(), folder / name, 'a ticket', name == 'folded', lines.append)
  return model, ticket.mask, folder, lines


def dataset():
  images = np.random.default_rng(5).integers(0, 256, (20, *SHAPE), np.uint8)
  examples = data.Examples(images, np.arange(20, dtype=np.int32) % 10)
  return data.Dataset('noise', examples, examples, tuple('abcdefghij'), (0.2, 0.3, 0.4), (0.5, 0.6, 0.7), 'none',
                      0)


def test_masks_come_back(written):
  model, mask, folder, _ = written
  kernels = tickets_tf.prunable_kernels(model)
  names = json.loads((folder / 'masks' / 'names.json').read_text())
  if any(entry['flattened'] is None for entry in names.values() if isinstance(entry, dict)):
    return  # Only the map says that this one flattens as Keras does.
  for name in ('masks', 'folded'):
    assert load_mask(folder / name / 'model.safetensors', kernels, 'torch') == mask
  with exchange.opened(folder / 'masks' / 'model.safetensors') as container:
    found = exchange.read_network(container, modules(model), 'torch', {
        name: entry if isinstance(entry, str) else entry['module'] for name, entry in names.items()}, 'fail')
  assert all(np.array_equal(found.weights[kernel.name], kernel.variable.numpy()) for kernel in kernels)


def test_arrays_are_those_of_a_state_dict(written):
  model, mask, folder, _ = written
  arrays = safetensors.numpy.load_file(folder / 'masks' / 'model.safetensors')
  folded = safetensors.numpy.load_file(folder / 'folded' / 'model.safetensors')
  assert {name.replace('_orig', '') for name in arrays if not name.endswith('_mask')} == set(folded)
  names = json.loads((folder / 'masks' / 'names.json').read_text())
  for kernel in tickets_tf.prunable_kernels(model):
    entry = names[kernel.name]
    module, flattened = (entry, None) if isinstance(entry, str) else (entry['module'], entry['flattened'])
    weight = folded[f'{module}.weight']
    assert weight.dtype == np.float32
    if mask[kernel.name].all():
      assert np.array_equal(weight, arrays[f'{module}.weight'])
    else:
      assert np.array_equal(weight, arrays[f'{module}.weight_orig'])
      assert np.array_equal(weight != 0, arrays[f'{module}.weight_mask'] == 1)
    values = kernel.variable.numpy()
    if flattened:
      height, width, channels = flattened
      expected = [[values[(row * width + column) * channels + channel, output] for channel in range(channels)
                   for row in range(height) for column in range(width)] for output in range(values.shape[1])]
    elif kernel.name in ('depthwise', 'apart/0'):
      expected = [[values[:, :, channel, part]] for channel in range(values.shape[2])
                  for part in range(values.shape[3])]
    elif kernel.name.endswith('/attention_output'):
      expected = [values[..., output].ravel() for output in range(values.shape[-1])]
    elif '/' in kernel.name and values.ndim == 3:
      expected = [values[:, head, part] for head in range(values.shape[1]) for part in range(values.shape[2])]
    elif values.ndim == 4:
      expected = [[values[:, :, channel, output] for channel in range(values.shape[2])]
                  for output in range(values.shape[3])]
    else:
      expected = values.T
    assert np.array_equal(weight, np.array(expected, np.float32)), kernel.name


def test_code_makes_the_modules_of_the_arrays(written):
  model, _, folder, _ = written
  text = (folder / 'masks' / 'network.py').read_text()
  ast.parse(text)
  assert text.count("approximate='tanh'") == sum(getattr(layer, 'symbol', '') == 'nn.gelu' for layer in model.layers)
  made = dict(re.findall(r'self\.(\w+) = nn\.(?!Parameter)(.*)', text))
  shapes = {name: values.shape for name, values in
            safetensors.numpy.load_file(folder / 'folded' / 'model.safetensors').items()}
  assert set(made) == {name.rpartition('.')[0] for name in shapes if '.' in name}
  for name, code in made.items():
    kind, first, second = re.match(r'(\w+?)\(?(?:\dd)?\((\d+)(?:, (\d+))?', code).groups()
    groups = int(dict(re.findall(r'(groups)=(\d+)', code)).get('groups', 1))
    shape = shapes[f'{name}.weight']
    assert shape[0] == int(second if kind in ('Conv', 'Linear') else first)
    assert kind.endswith('Norm') or shape[1] == int(first) // groups
    assert (f'{name}.bias' in shapes) == ('bias=False' not in code)
    assert (f'{name}.running_var' in shapes) == (kind == 'BatchNorm')
    assert f'self.{name}(' in text


@needs_torch
def test_logits_are_those_of_the_network(written):
  lines = written[3]
  assert sum(bool(re.fullmatch(r'logits of the module and of the network differ by at most \de-0[5-9] on 20 test '
                               r'images', line)) for line in (re.sub(r'\.\d', '', line) for line in lines)) == 2


@needs_torch
def test_removed_weights_stay_removed_in_training(written):
  import torch
  _, mask, folder, _ = written
  module = runpy.run_path(str(folder / 'masks' / 'network.py'))
  network = module['load']()
  before = {name: values.clone() for name, values in network.named_parameters()}
  optimizer = torch.optim.SGD(network.parameters(), 0.1, weight_decay=0.1)
  images = module['prepare'](torch.randint(0, 256, (4, *SHAPE), dtype=torch.uint8))
  torch.nn.functional.cross_entropy(network.train()(images), torch.arange(4)).backward()
  optimizer.step()
  assert all(not torch.equal(values, before[name]) for name, values in network.named_parameters() if 'weight' in name)
  network(images)
  kept = sum(int((part.weight != 0).sum()) for part in network.modules() if hasattr(part, 'weight_mask'))
  assert 0 < kept <= mask.kept


def test_other_layers_are_named():
  class Doubled(L.Layer):
    def call(self, x):
      return 2 * x

  inputs = keras.Input(SHAPE)
  x = L.Flatten()(inputs)

  def line_of(y):
    with pytest.raises(UsageError) as error:
      torch_program.program(keras.Model(inputs, L.Dense(2)(y)))
    return str(error.value)

  assert "'mine' (Doubled) is not among the layers" in line_of(Doubled(name='mine')(x))
  assert 'is called with arguments of its own' in line_of(tf.clip_by_value(x, 0.0, 1.0))
  y = L.Reshape((8, 24))(inputs)
  masked = L.MultiHeadAttention(1, 2, name='seen')(y, y, use_causal_mask=True)
  assert "'seen' (MultiHeadAttention) is called with use_causal_mask" in line_of(L.Flatten()(masked))
  assert "'gelu' (Activation) has the activation" in line_of(L.Activation(lambda x: x, name='gelu')(x))
  assert "'gru/0' (GRU) is not exchanged with PyTorch" in line_of(L.GRU(3, name='gru')(L.Reshape((8, 24))(inputs)))
