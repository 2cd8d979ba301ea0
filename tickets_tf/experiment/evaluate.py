"""The accuracy of a finished run, computed once more from what it left."""

from collections.abc import Callable
import pathlib

from tickets_tf import data
from tickets_tf import export
from tickets_tf.runs import records
from tickets_tf.training import evaluation


def evaluate(folder: str | pathlib.Path, say: Callable[[str], None] = print) -> tuple[float, float]:
  """Computes the test accuracy of a finished run from its SavedModel.

  Args:
    folder: the run's folder.
    say: takes lines for the user.

  Returns:
    (accuracy of the SavedModel, that of the record), in [0, 1].

  Raises:
    UsageError: if the folder holds no finished run, or the data cannot be had.
  """
  record = records.read(folder)
  ticket = export.load_ticket(folder)
  used = record.settings
  test = data.load_dataset(used.dataset, used.data_dir or None, used.image_size).test
  found = evaluation.accuracy(ticket.predict, test)
  recorded = record.settled_accuracy if ticket.description.get('settled') else record.final_accuracy
  say(f'{folder}: test accuracy {found:.2%} from the SavedModel, {recorded:.2%} in the record')
  return found, recorded
