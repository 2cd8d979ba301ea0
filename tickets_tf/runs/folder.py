"""The folder of a run: the only place that knows the names of the files in it."""

import dataclasses
import pathlib


@dataclasses.dataclass(frozen=True)
class RunFolder:
  """The files of one run, each written whole or not at all.

  Attributes:
    path: the folder; it need not exist.
  """
  path: pathlib.Path

  def __str__(self) -> str:
    return str(self.path)

  @property
  def settings(self) -> pathlib.Path:
    """What was asked for."""
    return self.path / 'settings.json'

  @property
  def environment(self) -> pathlib.Path:
    """What the run was begun on."""
    return self.path / 'environment.json'

  @property
  def start(self) -> pathlib.Path:
    """The weights that training starts from, removed ones not yet zero."""
    return self.path / 'start.weights.h5'

  @property
  def proof(self) -> pathlib.Path:
    """What a sanity check did."""
    return self.path / 'proof.json'

  @property
  def mask(self) -> pathlib.Path:
    """What is kept at the start of training; of the files of a ticket the last to be written."""
    return self.path / 'mask.npz'

  @property
  def trained_mask(self) -> pathlib.Path:
    """What is kept after a training that has changed the mask; of other runs there is none."""
    return self.path / 'trained_mask.npz'

  @property
  def final_mask(self) -> pathlib.Path:
    """What is kept after the training."""
    return self.trained_mask if self.trained_mask.exists() else self.mask

  @property
  def mask_history(self) -> pathlib.Path:
    """Every mask update of a training, a line of JSON each."""
    return self.path / 'mask_history.jsonl'

  @property
  def metrics(self) -> pathlib.Path:
    """Every epoch, a line of JSON each."""
    return self.path / 'metrics.jsonl'

  @property
  def checkpoints(self) -> pathlib.Path:
    """The folder of what a killed training resumes from; it is deleted at the end."""
    return self.path / 'checkpoints'

  @property
  def tensorboard(self) -> pathlib.Path:
    """The folder of TensorBoard's summaries."""
    return self.path / 'tensorboard'

  @property
  def final(self) -> pathlib.Path:
    """The trained weights."""
    return self.path / 'final.weights.h5'

  @property
  def settled(self) -> pathlib.Path:
    """The batch-norm statistics of the settled accuracy."""
    return self.path / 'settled.npz'

  @property
  def correct(self) -> pathlib.Path:
    """Which test images it got right, see `tickets_tf.runs.correct`."""
    return self.path / 'correct.npy'

  @property
  def correct_validation(self) -> pathlib.Path:
    """The same of the validation images, if there are any."""
    return self.path / 'correct_validation.npy'

  @property
  def saved_model(self) -> pathlib.Path:
    """The trained ticket as a SavedModel, a folder."""
    return self.path / 'ticket'

  @property
  def export(self) -> pathlib.Path:
    """The folder that an export goes to if none is named."""
    return self.path / 'export'

  @property
  def record(self) -> pathlib.Path:
    """The record; of all files the last to be written."""
    return self.path / 'record.json'

  @property
  def lock(self) -> pathlib.Path:
    """Held by the process that works here."""
    return self.path / '.lock'

  def has_ticket(self) -> bool:
    """Returns whether the ticket has been found."""
    return all(path.exists() for path in (self.start, self.proof, self.mask))

  def is_trained(self) -> bool:
    """Returns whether the run is done, and its weights and mask are there to go on from.

    Records from another machine come without weights.
    """
    return all(path.exists() for path in (self.mask, self.final, self.record))

  def is_done(self) -> bool:
    """Returns whether the run is done."""
    return self.record.exists()
