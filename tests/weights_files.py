"""Reading what `checkpoints.save_weights` wrote, without a network."""

import h5py


def read(path):
  """Returns every array of a weights file by its path in the file."""
  found = {}
  with h5py.File(path) as file:
    file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
  return found
