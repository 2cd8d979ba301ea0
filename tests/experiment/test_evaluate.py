"""The accuracy of a finished run once more, on the images that it was judged on."""

import types

import numpy as np
import pytest

import tickets_tf
from tests import example_records
from tickets_tf.data import Examples
from tickets_tf.experiment import evaluate
from tickets_tf.runs import records
from tickets_tf.runs.run import Run


@pytest.fixture
def finished(tmp_path, monkeypatch):
  """(folder of a run whose ticket is right on 3 of 4 test images, what was asked of the data sets)."""
  run = Run(tickets_tf.Settings(dataset='digits', data_dir='somewhere', image_size=16, train_examples=100))
  records.write(tmp_path, example_records.record(run, final_accuracy=0.5, settled_accuracy=0.25))
  test = Examples(np.zeros((4, 16, 16, 1), np.uint8), np.array([0, 0, 0, 1], np.int32))
  asked = []

  def load_dataset(*args, **kwargs):
    asked.append((args, kwargs))
    return types.SimpleNamespace(test=test)

  ticket = types.SimpleNamespace(predict=lambda images: np.tile([2.0, 1.0], (len(images), 1)), description={})
  monkeypatch.setattr(evaluate.data, 'load_dataset', load_dataset)
  monkeypatch.setattr(evaluate.export, 'load_ticket', lambda folder: ticket)
  return tmp_path, asked, ticket


def test_both_accuracies_are_told(finished):
  folder, asked, _ = finished
  said = []
  assert evaluate.evaluate(folder, said.append) == (0.75, 0.5)
  assert said == [f'{folder}: test accuracy 75.00% from the SavedModel, 50.00% in the record']
  assert asked == [(('digits', 'somewhere', 16), {})], 'images of the size that it was trained on'


def test_a_settled_ticket_is_compared_with_the_settled_accuracy(finished):
  folder, _, ticket = finished
  ticket.description['settled'] = True
  assert evaluate.evaluate(folder, lambda line: None) == (0.75, 0.25)
