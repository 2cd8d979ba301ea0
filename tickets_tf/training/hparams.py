"""A run's row in TensorBoard's table of runs, the HParams plugin's."""

import dataclasses
import pathlib
import time
from typing import Any

from tensorboard.plugins.hparams import api
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary
import tensorflow as tf

from tickets_tf import files
from tickets_tf.runs.records import Record
from tickets_tf.runs.settings import Settings

METRICS = ('settled_accuracy', 'final_accuracy', 'best_accuracy')  # fields of `Record`


def write(folder: pathlib.Path, name: str, record: Record) -> None:
  """Writes the row of a run; an earlier one of the same run is replaced.

  The columns are every setting that can change the outcome and the choices that the rule made, and `METRICS`. There is
  no list of columns beside the rows: TensorBoard makes it of the rows that it finds, with the range of each column, and
  puts those first in which rows differ.

  Args:
    folder: the folder of the run's summaries. The row gets a folder of its own in it, because TensorBoard would show
      every scalar of the same folder as a metric, and each layer's sparsity is one.
    name: the run's name. Rows of equal names are one row, so that a copy of a run's folder adds none.
    record: the run's record.

  Raises:
    StorageError: if the system refuses it.
  """
  files.remove_begun(folder)  # TensorBoard would show what a killed run has left.
  folder.mkdir(parents=True, exist_ok=True)
  now = time.time()
  with files.replacing(folder / 'hparams') as temporary:
    writer = tf.summary.create_file_writer(str(temporary))
    with writer.as_default(step=record.settings.stop_epoch or record.settings.epochs):
      api.hparams(_columns(record), trial_id=name,
                  start_time_secs=now - sum(dataclasses.astuple(record.seconds)))
      for metric in METRICS:
        tf.summary.scalar(metric, getattr(record, metric))
      ended = summary.session_end_pb(api_pb2.STATUS_SUCCESS, now)
      tf.summary.experimental.write_raw_pb(ended.SerializeToString())
    writer.close()


def _columns(record: Record) -> dict[str, Any]:
  asked = {field.name: getattr(record.settings, field.name) for field in dataclasses.fields(Settings)
           if field.metadata['identity']}
  columns = {**asked, **dataclasses.asdict(record.rule)}
  # TensorBoard has a box to tick for every word of a column; one without a word could not be told.
  return {name: 'none' if value == '' else value for name, value in columns.items()}
