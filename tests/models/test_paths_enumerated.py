"""Paths against an enumeration of every connection, and against taking out weight by weight."""

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tickets_tf.models import collapse
from tickets_tf.models import effective_mask
from tickets_tf.pruning.mask import Mask

L = keras.layers


# Networks written once and built twice: as Keras layers, and as a list of connections between single values.


class Live:
  """Builds with Keras."""

  def __init__(self, masks=None):
    del masks
    self.inputs = keras.Input((5, 4, 2))

  def conv(self, x, name, filters, size, stride=1, padding='same'):
    return L.ReLU()(L.BatchNormalization()(L.Conv2D(filters, size, stride, padding, name=name)(x)))

  def dense(self, x, name, units):
    return L.Dense(units, name=name)(x)

  def add(self, *terms):
    return L.Add()(terms)

  def concatenate(self, *parts):
    return L.Concatenate()(parts)

  def max_pool(self, x, padding):
    return L.MaxPooling2D(2, padding=padding)(x)

  def mean(self, x):
    return L.GlobalAveragePooling2D()(x)

  def flatten(self, x):
    return L.Flatten()(x)


class Drawn:
  """Lists every connection (from, to, (kernel, index) or None); tensors are arrays of the values' numbers."""

  def __init__(self, masks):
    self.masks, self.edges, self.count = masks, [], 0
    self.inputs = self.new(5, 4, 2)

  def new(self, *shape):
    self.count += np.prod(shape)
    return np.arange(self.count - np.prod(shape), self.count).reshape(shape)

  def join(self, sources, targets):
    self.edges += [(source, target, None) for source, target in zip(np.ravel(sources), np.ravel(targets), strict=True)]

  def windows(self, height, width, size, stride, padding):
    """Yields (row, column) of an output, offset in the window, and place in the input, as TensorFlow pads."""
    outputs, before = [], []
    for length in (height, width):
      out = -(-length // stride) if padding == 'same' else (length - size) // stride + 1
      outputs.append(out)
      before.append(max((out - 1) * stride + size - length, 0) // 2 if padding == 'same' else 0)
    self.out = tuple(outputs)
    return [((row, column), offset, (y, x)) for row, column in np.ndindex(*outputs)
            for offset in np.ndindex(size, size)
            for y, x in [(row * stride - before[0] + offset[0], column * stride - before[1] + offset[1])]
            if 0 <= y < height and 0 <= x < width]

  def conv(self, x, name, filters, size, stride=1, padding='same'):
    windows = self.windows(*x.shape[:2], size, stride, padding)
    outputs = self.new(*self.out, filters)
    for place, offset, source in windows:
      for i, o in np.argwhere(self.masks[name][offset]):
        self.edges.append((x[source][i], outputs[place][o], (name, (*offset, i, o))))
    return outputs

  def dense(self, x, name, units):
    outputs = self.new(units)
    self.edges += [(x[i], outputs[o], (name, (i, o))) for i, o in np.argwhere(self.masks[name])]
    return outputs

  def add(self, *terms):
    outputs = self.new(*terms[0].shape)
    for term in terms:
      self.join(term, outputs)
    return outputs

  def concatenate(self, *parts):
    return np.concatenate(parts, axis=-1)

  def max_pool(self, x, padding):
    windows = self.windows(*x.shape[:2], 2, 2, padding)
    outputs = self.new(*self.out, x.shape[-1])
    for place, _, source in windows:
      self.join(x[source], outputs[place])
    return outputs

  def mean(self, x):
    outputs = self.new(x.shape[-1])
    for place in np.ndindex(x.shape[:2]):
      self.join(x[place], outputs)
    return outputs

  def flatten(self, x):
    return x.ravel()

  def on_paths(self, outputs):
    """Returns the masks of the weights that are on a path."""
    def reached(start, edges):
      found = set(start)
      while more := {target for source, target in edges if source in found} - found:
        found |= more
      return found

    forward = reached(self.inputs.ravel(), [(source, target) for source, target, _ in self.edges])
    backward = reached(outputs.ravel(), [(target, source) for source, target, _ in self.edges])
    kept = {name: np.zeros_like(array) for name, array in self.masks.items()}
    for source, target, weight in self.edges:
      if weight and source in forward and target in backward:
        kept[weight[0]][weight[1]] = True
    return kept


def residual(net):
  x = net.conv(net.inputs, 'first', 3, 3)
  x = net.add(net.conv(net.conv(x, 'one', 3, 3), 'two', 3, 3), x)
  x = net.add(net.conv(net.conv(x, 'three', 4, 3, 2), 'four', 4, 3), net.conv(x, 'shortcut', 4, 1, 2))
  return net.dense(net.mean(x), 'last', 3)


def pooled(net):
  x = net.max_pool(net.conv(net.inputs, 'first', 4, 3), 'same')
  x = net.max_pool(net.conv(x, 'second', 3, 2), 'valid')
  return net.dense(net.dense(net.flatten(net.conv(x, 'third', 3, 3)), 'hidden', 4), 'last', 2)


def joined(net):
  one, two = net.conv(net.inputs, 'one', 2, 3, padding='valid'), net.conv(net.inputs, 'two', 3, 3, padding='valid')
  x = net.conv(net.concatenate(one, two, one), 'mixing', 3, 2, 2, 'valid')
  return net.dense(net.flatten(x), 'last', 3)


def built(recipe):
  net = Live()
  return keras.Model(net.inputs, recipe(net))


@pytest.mark.parametrize('density', [0.06, 0.12, 0.3])
@pytest.mark.parametrize('recipe', [residual, pooled, joined], ids=lambda recipe: recipe.__name__)
def test_every_connection_enumerated(recipe, density, random_mask):
  model, dropped = built(recipe), 0
  for seed in range(8):
    mask = random_mask(model, density, seed)
    drawn = Drawn(mask)
    expected = Mask(drawn.on_paths(recipe(drawn)))
    assert effective_mask(model, mask) == expected
    assert collapse(model, mask).connected == (expected.kept > 0)
    dropped += mask.kept - expected.kept
  assert dropped, 'nothing was off the paths'


# Layers beyond those: a network without a weight below zero, where taking out a weight on a path changes an output.


def grouped():
  inputs = keras.Input((4, 5, 4))
  x = L.Conv2D(4, 3, 2, 'same', groups=2)(inputs)
  x = L.DepthwiseConv2D(3, padding='same', depth_multiplier=2)(L.ReLU()(L.BatchNormalization()(x)))
  return keras.Model(inputs, L.Dense(3)(L.Flatten()(L.SeparableConv2D(3, 2, activation='relu')(x))))


def stretched():
  inputs = keras.Input((3, 4, 2))
  x = L.Conv2DTranspose(3, 3, 2, 'same', activation=tf.nn.relu)(L.ZeroPadding2D(1)(inputs))
  x = L.UpSampling2D(2, interpolation='bilinear')(L.Cropping2D(2)(x))
  x = L.AveragePooling2D(2, padding='same')(L.Conv2D(2, 3, dilation_rate=2)(x))
  return keras.Model(inputs, L.Dense(2)(L.Permute((2, 1))(L.Reshape((-1, 2))(x))))


def sequence():
  inputs = keras.Input((6, 3))
  x = L.Conv1D(4, 2, padding='causal', activation='relu')(inputs)
  x = L.EinsumDense('abc,cde->abde', (6, 2, 2))(L.Dense(3)(x))
  return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(L.Reshape((6, 4))(x))))


def operators():
  inputs = keras.Input((4, 4, 2))
  x, y = L.Conv2D(3, 3, padding='same')(inputs), L.Conv2D(3, 1)(inputs)
  x = tf.nn.relu(tf.concat([x + y, y[:, :, :, :1]], -1))
  return keras.Model(inputs, L.Dense(2)(tf.reduce_mean(L.Conv2D(3, 3)(x), [1, 2])))


def nested():
  inner = keras.Sequential([keras.Input((4, 3)), L.Dense(3, name='inner'), L.ReLU(), L.Dense(3, name='outer')])
  inputs = [keras.Input((4, 3)), keras.Input((4, 3))]
  shared = L.Dense(3, name='shared')
  x = L.Add()([inner(shared(inputs[0])), shared(shared(inputs[1]))])
  return keras.Model(inputs, [L.Dense(2, name='left')(L.Flatten()(x)), L.Dense(2, name='right')(inner(x))])


@pytest.mark.parametrize('density', [0.07, 0.14])
@pytest.mark.parametrize('build', [grouped, stretched, sequence, operators, nested], ids=lambda build: build.__name__)
def test_every_weight_taken_out(build, density, random_mask):
  model, dropped = build(), 0
  kernels = tickets_tf.prunable_kernels(model)
  ones = [tf.ones((1, *each.shape[1:])) for each in model.inputs]
  outputs = tf.function(lambda: model(ones if len(ones) > 1 else ones[0], training=False))
  rng = np.random.default_rng(1)
  for seed in range(3):
    mask = random_mask(model, density, seed)
    for kernel in kernels:
      kernel.variable.assign(rng.uniform(0.5, 1.5, kernel.shape) * mask[kernel.name])
    before, expected = tf.nest.map_structure(np.array, outputs()), []
    for kernel in kernels:
      values, changes = kernel.variable.numpy(), np.zeros(kernel.shape, bool)
      for index in np.argwhere(mask[kernel.name]):
        without = values.copy()
        without[tuple(index)] = 0
        kernel.variable.assign(without)
        after = tf.nest.map_structure(np.array, outputs())
        changes[tuple(index)] = not all(map(np.array_equal, tf.nest.flatten(before), tf.nest.flatten(after)))
      kernel.variable.assign(values)
      expected.append(changes)
    assert effective_mask(model, mask) == Mask(zip(mask.names, expected, strict=True))
    assert collapse(model, mask).opaque_layers == []
    dropped += mask.kept - sum(changes.sum() for changes in expected)
  assert dropped, 'nothing was off the paths'
