"""Any file of a ticket as something that predicts."""

import pathlib

from tickets_tf.errors import UsageError
from tickets_tf.export.saved_model import LoadedTicket
from tickets_tf.export.saved_model import is_ticket

_INSIDE = ('', 'ticket', 'saved_model')  # the SavedModel, or that of a run, or of an export


def load_ticket(path):
  """Loads a trained ticket.

  Args:
    path: a run's folder, the folder of an export, a SavedModel in one of them, or a .tflite file.

  Returns:
    A `Classifier`: `load_ticket('runs/...').predict(images)`.

  Raises:
    UsageError: where there is no ticket, or a TFLite file is damaged.
    TicketsError: where it cannot be loaded.
  """
  path = pathlib.Path(path)
  if path.is_file():
    # Here, since hosts that only train have no TFLite runtime.
    from tickets_tf.export.lite import LiteTicket
    return LiteTicket(path)
  for inside in _INSIDE:
    if is_ticket(path / inside):
      return LoadedTicket(path / inside)
  raise UsageError(f'{path}: holds no ticket; give the folder of a finished run or of an export, a SavedModel in one, '
                   'or a .tflite file')
