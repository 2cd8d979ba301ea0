"""Networks that are no chain of convolutions: attention, one-dimensional convolutions, recurrent, composite layers."""

import re

import pytest

import tickets_tf
from tickets_tf.export import bundle
from tickets_tf.export import card
from tickets_tf.runs.run import Run

NETWORKS = '''
import tensorflow as tf
import tf_keras as keras
L = keras.layers


def rows(input_shape):
  inputs = keras.Input(input_shape)
  return inputs, L.Reshape((input_shape[0], input_shape[1] * input_shape[2]))(inputs)


def attention(input_shape, num_classes):
  inputs, x = rows(input_shape)
  x = L.MultiHeadAttention(2, 4)(x, x)
  return keras.Model(inputs, L.Dense(num_classes)(L.GlobalAveragePooling1D()(x)))


def convolution_1d(input_shape, num_classes):
  inputs, x = rows(input_shape)
  x = L.Conv1D(8, 3, padding='causal', activation='relu')(x)
  return keras.Model(inputs, L.Dense(num_classes)(L.GlobalMaxPooling1D()(x)))


def recurrent(input_shape, num_classes):
  inputs, x = rows(input_shape)
  return keras.Model(inputs, L.Dense(num_classes)(L.LSTM(8)(x)))


class Block(L.Layer):
  def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.inner = L.Conv2D(4, 3, padding='same')

  def call(self, x):
    return tf.nn.relu(self.inner(x)) + x


class Subclassed(keras.Model):
  def __init__(self, num_classes):
    super().__init__()
    self.first, self.norm, self.pool, self.head = (L.Conv2D(4, 3), L.BatchNormalization(),
                                                   L.GlobalAveragePooling2D(), L.Dense(num_classes))

  def call(self, x, training=False):
    return self.head(self.pool(self.norm(self.first(x), training=training)))


def subclassed(input_shape, num_classes):
  return Subclassed(num_classes)


class Part(keras.Model):
  def __init__(self, filters):
    super().__init__()
    self.convolution, self.norm = L.Conv2D(filters, 3), L.BatchNormalization()

  def call(self, x, training=False):
    return self.norm(self.convolution(x), training=training)


def models_inside(input_shape, num_classes):
  inputs = keras.Input(input_shape)
  return keras.Model(inputs, L.Dense(num_classes)(L.GlobalAveragePooling2D()(Part(4)(Part(4)(inputs)))))


def embedding(input_shape, num_classes):
  inputs = keras.Input(input_shape)
  x = tf.cast(L.Flatten()(inputs) > 0, tf.int32)
  return keras.Model(inputs, L.Dense(num_classes)(L.SimpleRNN(4)(L.Embedding(2, 3)(x))))


def composite(input_shape, num_classes):
  inputs = keras.Input(input_shape)
  return keras.Model(inputs, L.Dense(num_classes)(L.GlobalAveragePooling2D()(Block()(L.Conv2D(4, 1)(inputs)))))
'''


@pytest.mark.parametrize('name', ['attention', 'convolution_1d', 'recurrent', 'composite', 'subclassed',
                                  'models_inside'])
def test_a_network_of_any_kind_is_exported_and_compacted(name, tmp_path, monkeypatch):
  (tmp_path / 'any_networks.py').write_text(NETWORKS)
  monkeypatch.syspath_prepend(tmp_path)
  settings = tickets_tf.Settings(model=f'any_networks:{name}', train_examples=160, batch_size=32, epochs=1, ratio=0.5,
                                 progress=False, tensorboard=False, export=False, output_dir=str(tmp_path / 'runs'))
  tickets_tf.train(settings, say=lambda line: None)
  options = bundle.Options(tflite='all', variants=('sparse_float32',), rounds=5, compact=name != 'subclassed')
  report = bundle.export_run(Run(settings).folder.path, options=options, say=lambda line: None)
  assert [each.file for each in report.tflite] == ['dense_float32.tflite', 'sparse_float32.tflite']
  assert all(each.accuracy == pytest.approx(report.saved_model.accuracy, abs=0.003) for each in report.tflite)


def test_what_tflite_cannot_hold_is_told_in_lines_and_the_savedmodel_is_left(tmp_path, monkeypatch, capfd):
  (tmp_path / 'any_networks.py').write_text(NETWORKS)
  monkeypatch.syspath_prepend(tmp_path)
  settings = tickets_tf.Settings(model='any_networks:embedding', train_examples=160, batch_size=32, epochs=1, ratio=0.5,
                                 pruner='snip', progress=False, tensorboard=False, output_dir=str(tmp_path / 'runs'))
  tickets_tf.train(settings, say=lambda line: None)
  folder = Run(settings).folder.path
  options = bundle.Options(variants=('sparse_float32',))
  monkeypatch.setenv('TF_CPP_MIN_LOG_LEVEL', '2')  # as commands set it
  report = bundle.export_run(folder, options=options, say=lambda line: None)
  assert 'error: ' not in capfd.readouterr().err, 'the converter prints pages of its own'
  assert report.tflite == () and report.best is None
  assert [each.file for each in report.failed] == ['dense_float32.tflite', 'sparse_float32.tflite']
  assert all(re.match("cannot be converted to TFLite: '[^\n]*$", each.reason) for each in report.failed)
  assert {path.name for path in (folder / 'export').iterdir()} == {'saved_model', 'labels.txt', 'README.md',
                                                                    'export.json'}
  assert card.table(report).splitlines()[0].startswith('dense_float32.tflite: cannot be converted to TFLite')
  assert bundle.export_run(folder, options=bundle.Options(tflite='none'), say=lambda line: None).tflite == ()
