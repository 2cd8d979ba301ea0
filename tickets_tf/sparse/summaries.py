"""TensorBoard with the sparsity of every layer."""

import tensorflow_model_optimization as tfmot


def summaries(folder):
  """Returns tfmot's TensorBoard callback: loss, accuracy and learning rate by epoch, and each mask's sparsity.

  Args:
    folder: where the event files go.
  """
  return tfmot.sparsity.keras.PruningSummaries(str(folder), write_graph=False)
