"""Rounds in one graph give the masks of rounds that are scored one by one."""

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tests import small_network
from tickets_tf import registry
from tickets_tf.experiment import tickets
from tickets_tf.pruning import rules
from tickets_tf.scores import data_free, rounds, traceable

L = keras.layers
ROUNDS = 4


def found(monkeypatch, model, score='synflow', ratio=0.9, **choices):
  """(whether the last round was a graph, masks of all rounds) with graphs, and then without."""
  with_graphs, without = (one_by_one(monkeypatch, fewest, model, score, ratio, choices)
                          for fewest in (ROUNDS, ROUNDS + 1))
  return with_graphs, without


def one_by_one(monkeypatch, fewest, model, score, ratio, choices):
  masks, used = [], []
  keep, call = tickets._keep, rounds.Rounds.__call__
  with monkeypatch.context() as patch:
    patch.setattr(rounds, '_FEWEST', fewest)
    patch.setattr(tickets, '_keep', lambda *args: masks.append(keep(*args)) or masks[-1])
    patch.setattr(rounds.Rounds, '__call__', lambda self, *args: (call(self, *args), used.append(self._graph))[0])
    tickets_tf.find_ticket(model, rules.Rule(score, 'global', rounds=ROUNDS), ratio, **choices)
  size = masks[0].size
  assert [mask.kept for mask in masks] == [int(size * (1 - each)) for each in rules.round_ratios(ratio, ROUNDS)]
  return used[-1] is not None, masks


def test_every_kind_of_network_has_the_same_masks(monkeypatch, network):
  for layer in network._flatten_layers():
    layer.trainable = not isinstance(layer, L.BatchNormalization)
  before = network.get_weights()
  (in_graph, masks), (plainly, expected) = found(monkeypatch, network, images=np.zeros((0, 8, 8, 3), np.float32))
  assert in_graph and not plainly and masks == expected
  assert all(map(np.array_equal, before, network.get_weights()))


@pytest.mark.parametrize('choices', [{'regrow': True}, {'pattern': '2:4'}, {'allocation': 'erk'}, {'start': True}])
def test_choices_of_a_ticket_go_with_it(monkeypatch, choices):
  keras.utils.set_random_seed(1)
  model = small_network.plain((8, 8, 3), 5)
  if 'start' in choices:
    choices = {'start': tickets_tf.find_ticket(model, 'random', 0.05, allocation='uniform').mask}
  (in_graph, masks), (plainly, expected) = found(monkeypatch, model, **choices)
  assert in_graph and not plainly and masks == expected


def test_narrow_floats_and_replicas_go_with_it(monkeypatch):
  with tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']).scope():
    keras.utils.set_random_seed(1)
    keras.mixed_precision.set_global_policy('mixed_bfloat16')
    try:
      model = small_network.plain((8, 8, 3), 5)
    finally:
      keras.mixed_precision.set_global_policy('float32')
  (in_graph, masks), (plainly, expected) = found(monkeypatch, model)
  assert in_graph and not plainly and masks == expected


class Eager(L.Layer):
  """A layer that looks at the values."""

  def call(self, inputs):
    return inputs if float(tf.reduce_sum(inputs)) >= 0 else -inputs


def test_what_cannot_be_traced_is_scored_round_by_round(monkeypatch):
  keras.utils.set_random_seed(1)
  layers = [keras.Input((6,)), L.Dense(8, activation='relu'), L.Dense(3)]

  class Own(keras.Model):
    def __init__(self):
      super().__init__()
      self.parts = [*layers[1:], Eager()]

    def call(self, inputs):
      for part in self.parts:
        inputs = part(inputs)
      return inputs

  model = Own()
  model(np.zeros((1, 6), np.float32))
  (in_graph, masks), (_, expected) = found(monkeypatch, model, images=np.zeros((0, 6), np.float32))
  assert not in_graph and masks == expected and len(masks) == ROUNDS


def test_a_graph_that_gives_something_else_is_not_used(monkeypatch):
  calls = []

  @data_free
  @traceable
  def other_in_a_graph(model, images, labels, rng):
    calls.append(tf.executing_eagerly())
    sign = 1.0 if calls[-1] else -1.0
    return [sign * tf.abs(kernel.variable) for kernel in tickets_tf.prunable_kernels(model)]

  model = small_network.plain((8, 8, 3), 5)
  (in_graph, masks), (_, expected) = found(monkeypatch, model, other_in_a_graph)
  assert not in_graph and False in calls and masks == expected


def test_a_score_of_ones_own_runs_in_a_graph(monkeypatch):
  calls = []

  @data_free
  @traceable
  def by_norm(model, images, labels, rng):
    calls.append(tf.executing_eagerly())
    return [tf.abs(kernel.variable) / tf.norm(kernel.variable) for kernel in tickets_tf.prunable_kernels(model)]

  keras.utils.set_random_seed(1)
  model = small_network.plain((8, 8, 3), 5)
  (in_graph, masks), (_, expected) = found(monkeypatch, model, by_norm)
  assert in_graph and masks == expected and calls == [True, True, False] + [True] * ROUNDS


def test_only_what_needs_neither_data_nor_the_ratio_is_traced(monkeypatch, small_batch):
  traced = {name for name in registry.SCORES.names() if getattr(registry.SCORES.get(name), 'traceable', False)}
  assert traced == {'synflow'} and rules.RULES.get('synflow').rounds >= rounds._FEWEST
  model = small_network.plain((8, 8, 3), 10)
  monkeypatch.setattr(rounds, '_FEWEST', ROUNDS)

  @traceable
  def with_data(model, images, labels, rng):
    assert tf.executing_eagerly()
    return [tf.abs(kernel.variable) * float(images[0, 0, 0, 0]) for kernel in tickets_tf.prunable_kernels(model)]

  tickets_tf.find_ticket(model, rules.Rule(with_data, 'global', rounds=ROUNDS), 0.9, *small_batch)
