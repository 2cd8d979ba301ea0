"""The folder of an export: the only place that knows the names of the files in it."""

import dataclasses
import pathlib

from tickets_tf.export.classifier import LABELS


@dataclasses.dataclass(frozen=True)
class ExportFolder:
  """The files of one export, beside its TFLite files.

  Attributes:
    path: the folder; it need not exist.
  """
  path: pathlib.Path

  @property
  def saved_model(self) -> pathlib.Path:
    """The SavedModel, a folder."""
    return self.path / 'saved_model'

  @property
  def labels(self) -> pathlib.Path:
    """The class names, one a line."""
    return self.path / LABELS

  @property
  def card(self) -> pathlib.Path:
    """The model card."""
    return self.path / 'README.md'

  @property
  def keras(self) -> pathlib.Path:
    """The network for Keras 3."""
    return self.path / 'ticket.keras'

  @property
  def keras_weights(self) -> pathlib.Path:
    """Its weights alone."""
    return self.path / 'ticket.weights.h5'

  @property
  def keras_masks(self) -> pathlib.Path:
    """Its masks, by the paths of their weights in Keras 3."""
    return self.path / 'ticket.masks.npz'

  @property
  def of_keras(self) -> tuple[pathlib.Path, ...]:
    """The files for Keras 3."""
    return self.keras, self.keras_weights, self.keras_masks

  @property
  def report(self) -> pathlib.Path:
    """The `ExportReport`. A folder that has this file may be replaced."""
    return self.path / 'export.json'
