"""Which images a run's network got right, as packed bits: the files `correct.npy` and `correct_validation.npy`.

The layout is a NumPy file of unsigned bytes, [2, bytes], each row `np.packbits` of one boolean per image in the order
of the data set; bits that are left over at the end are 0. The first row is of the settled weights, by which verdicts
go: the final weights with batch-norm statistics estimated afresh. The second is of the final weights as they are.
"""

import dataclasses
import io
import pathlib

import numpy as np
import numpy.typing as npt

from tickets_tf import files
from tickets_tf.errors import UsageError


@dataclasses.dataclass(frozen=True, eq=False)
class Correct:
  """Which images were given their true class, bool [N] each, in the order of the data set.

  Attributes:
    settled: by the settled weights; their share is `Record.settled_accuracy`.
    final: by the final weights; their share is `Record.final_accuracy`.
  """
  settled: npt.NDArray[np.bool_]
  final: npt.NDArray[np.bool_]


def write(path: pathlib.Path, correct: Correct) -> None:
  """Writes the file, whole or not at all.

  Raises:
    TicketsError: if it cannot be written.
  """
  content = io.BytesIO()  # NumPy does not tell why it cannot write a file.
  np.save(content, np.packbits([correct.settled, correct.final], axis=1), allow_pickle=False)
  with files.replacing(path) as temporary:
    temporary.write_bytes(content.getvalue())


def read(path: pathlib.Path, count: int) -> Correct:
  """Reads what `write` wrote.

  Args:
    path: `RunFolder.correct` or `RunFolder.correct_validation`.
    count: number of images, as in `Record.dataset`.

  Raises:
    UsageError: if the file is missing, damaged, or of another number of images; one line that names it.
  """
  try:
    packed = np.load(path, allow_pickle=False)
  except (OSError, ValueError, EOFError) as error:
    raise UsageError(f'{path}: cannot be read as what a run got right: {" ".join(str(error).split())}') from error
  expected = (2, -(-count // 8))
  if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8 or packed.shape != expected:
    found = f'{packed.dtype} {list(packed.shape)}' if isinstance(packed, np.ndarray) else 'an archive'
    raise UsageError(f'{path}: expected uint8 {list(expected)}, two rows of bits for {count} images; found {found}')
  bits = np.unpackbits(packed, axis=1).astype(np.bool_)
  if bits[:, count:].any():
    raise UsageError(f'{path}: has bits behind those of {count} images: of another number of images, or damaged')
  return Correct(bits[0, :count], bits[1, :count])
