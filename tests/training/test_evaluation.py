"""How often a classifier is right, over all examples and by class."""

import numpy as np
import pytest

import tickets_tf  # noqa: F401 - before TensorFlow
from tickets_tf.data import Examples
from tickets_tf.training import evaluation

# The first pixel is the class that is found.
FOUND = np.array([0, 0, 1, 1, 1, 2, 0])
LABELS = np.array([0, 0, 0, 0, 1, 2, 2], np.int32)


def classify(images):
  assert len(images) <= 3
  return np.eye(4)[images[:, 0, 0, 0]]


def test_one_pass_gives_predictions_and_accuracy():
  examples = Examples(FOUND.astype(np.uint8).reshape(-1, 1, 1, 1), LABELS)
  predicted = evaluation.predicted_classes(classify, examples, 3)
  assert np.array_equal(predicted, FOUND)
  assert evaluation.accuracy(classify, examples, 3) == evaluation.share_right(predicted, LABELS) == 4 / 7


def test_a_judgement_says_what_is_right_and_how_large_the_loss_is():
  examples = Examples(FOUND.astype(np.uint8).reshape(-1, 1, 1, 1), LABELS)
  judged = evaluation.judge(classify, examples, 3)
  assert judged.right.tolist() == [True, True, False, False, True, True, False] and judged.right.dtype == np.bool_
  assert judged.accuracy == 4 / 7 and np.array_equal(judged.predicted, FOUND)
  wrong = np.log(3 + np.e)
  assert judged.loss == pytest.approx(wrong - 4 / 7)
  huge = evaluation.judge(lambda images: 1e4 * classify(images), examples, 3)
  assert huge.loss == pytest.approx(1e4 * 3 / 7), 'no exponential overflows'


@pytest.mark.parametrize('output', [np.nan, np.inf])
def test_a_loss_that_is_not_finite_is_none(output):
  examples = Examples(FOUND.astype(np.uint8).reshape(-1, 1, 1, 1), LABELS)
  assert evaluation.judge(lambda images: output * np.ones((len(images), 4)), examples).loss is None


def test_accuracy_by_class():
  by_class = evaluation.class_accuracies(FOUND, LABELS, 4)
  assert by_class == (0.5, 1.0, 0.5, None)
  assert evaluation.balanced_accuracy(by_class) == pytest.approx(2 / 3)
