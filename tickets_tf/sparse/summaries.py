"""TensorBoard with the sparsity of every layer."""

import os

import tensorflow_model_optimization as tfmot
import tf_keras as keras


def summaries(folder: str | os.PathLike[str]) -> keras.callbacks.Callback:
  """Returns tfmot's TensorBoard callback: loss, accuracy and learning rate by epoch, and each mask's sparsity.

  Args:
    folder: where the event files go.
  """
  return tfmot.sparsity.keras.PruningSummaries(str(folder), write_graph=False)
