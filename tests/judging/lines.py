"""Lines between trainings as `bin/instability` finds them, for tests that train nothing."""

from tickets_tf.judging.instability import Instability
from tickets_tf.judging.instability import Line
from tickets_tf.judging.instability import Point


def line(share_epochs, *accuracies):
  """Returns a line with these accuracies at equal distances; a loss is 1 less the accuracy."""
  last = len(accuracies) - 1
  return Line(share_epochs, ('first', f'other{share_epochs}'),
              tuple(Point(index / last, accuracy, 1 - accuracy) for index, accuracy in enumerate(accuracies)))


def found(*lowest, tolerance=2.0):
  """Returns lines whose ends are right on 90%; `lowest` has pairs of shared epochs and the accuracy between them."""
  return Instability('first', 1, tolerance, tuple(line(share, 0.9, accuracy, 0.9) for share, accuracy in lowest), 10.0)
