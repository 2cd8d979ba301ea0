"""The metrics of an epoch."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Epoch:
  """The metrics of one finished epoch.

  Attributes:
    epoch: its number, counted from 1.
    learning_rate: the rate of its last step.
    loss: mean cross-entropy of the training batches.
    accuracy: share of the training batches' images that are classified correctly, in [0, 1].
    evaluation_loss: mean cross-entropy of the examples that epochs are judged on, after the epoch;
      None if the epoch was not evaluated, see `--evaluate_every`.
    evaluation_accuracy: share of these examples that are classified correctly, in [0, 1]; None as before.
    seconds: wall-clock time of the epoch, evaluation included.
  """
  epoch: int
  learning_rate: float
  loss: float
  accuracy: float
  evaluation_loss: float | None
  evaluation_accuracy: float | None
  seconds: float
