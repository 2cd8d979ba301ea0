"""The metrics of every epoch of a training, and the file that holds them."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable

from tickets_tf import files
from tickets_tf.errors import TicketsError


@dataclasses.dataclass(frozen=True)
class Epoch:
  """The metrics of one finished epoch.

  Attributes:
    epoch: its number, counted from 1.
    learning_rate: the rate of its last step.
    loss: mean cross-entropy of the training batches.
    accuracy: share of the training batches' images that are classified correctly, in [0, 1].
    evaluation_loss: mean cross-entropy of the examples that every epoch is judged on, after the epoch.
    evaluation_accuracy: share of these examples that are classified correctly, in [0, 1].
    seconds: wall-clock time of the epoch, evaluation included.
  """
  epoch: int
  learning_rate: float
  loss: float
  accuracy: float
  evaluation_loss: float
  evaluation_accuracy: float
  seconds: float


def write_epochs(path: pathlib.Path, epochs: Iterable[Epoch]) -> None:
  """Writes epochs to a file, one line of JSON each, whole or not at all.

  Raises:
    TicketsError: if the file cannot be written.
  """
  files.write_text(path, ''.join(json.dumps(dataclasses.asdict(epoch)) + '\n' for epoch in epochs))


def read_epochs(path: pathlib.Path) -> list[Epoch]:
  """Returns the epochs that `write_epochs` wrote to a file; none if there is no file.

  Raises:
    TicketsError: if a line does not hold the metrics of an epoch; the message names file and line.
  """
  if not path.exists():
    return []
  epochs = []
  for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), start=1):
    try:
      epochs.append(Epoch(**json.loads(line)))
    except (TypeError, ValueError) as error:
      names = ', '.join(field.name for field in dataclasses.fields(Epoch))
      raise TicketsError(f'{path}, line {number}: expected a JSON object with {names}; delete the run\'s folder to '
                         f'train again ({error})') from error
  return epochs
