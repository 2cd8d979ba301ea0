"""How a ticket is exported."""

import dataclasses
import math

from tickets_tf.errors import UsageError
from tickets_tf.export import choice
from tickets_tf.export import onnx_program
from tickets_tf.export import serving
from tickets_tf.export.tflite import FALLBACK, VARIANTS, Variant, find
from tickets_tf.models import to_keras3


@dataclasses.dataclass(frozen=True)
class Options:
  """How a ticket is exported.

  Attributes:
    tflite: `'best'`: keep the best file within the tolerance, those on the front of size and latency, and the dense
      fallback; `'all'`; or `'none'`.
    tolerance: points of test accuracy that the best file may lose against the SavedModel.
    best: what the best file is the least of: a name in `choice.MEASURES`, or `package.module:name`.
    variants: names in `VARIANTS`, or `package.module:name` of a `tflite.Variant`, to try beside the dense
      fallback; empty: all in the table.
    rounds: pairs of measurements of latency.
    settle: give the network the batch-norm statistics of the record's settled accuracy.
    compact: remove the channels that the mask leaves without weights.
    data_dir: replaces that of the ticket's settings if the data set has moved; empty keeps it.
    onnx: also write ONNX files; needs the packages of the extra `onnx`.
    serving: folder of versions for TensorFlow Serving that gets the SavedModel as its next version; empty: none.
    licence: of the model, as its card tells it; empty: the card says that none is given.
    keras: also write the network as trained, with its masks, for Keras 3.
  """
  tflite: str = 'best'
  tolerance: float = 0.5
  variants: tuple[str, ...] = ()
  rounds: int = 11
  compact: bool = False
  data_dir: str = ''
  settle: bool = False
  best: str = 'size'
  onnx: bool = False
  serving: str = ''
  licence: str = ''
  keras: bool = False

  def __post_init__(self) -> None:
    if not (math.isfinite(self.tolerance) and self.tolerance >= 0):
      raise UsageError(f'--tolerance={self.tolerance}: must be a number of points of test accuracy, at least 0')
    choice.find(self.best)
    if self.onnx:
      onnx_program.check_installed()
    if self.keras:
      to_keras3.keras3()
    if self.serving:
      serving.check(self.serving)
    self.forms()

  def forms(self) -> list[Variant]:
    """Returns the variants to try: the dense fallback, then the package's, then a user's own.

    Raises:
      UsageError: if one of the names is unknown.
    """
    try:
      found = {variant.name: variant for variant in map(find, self.variants)} or VARIANTS
    except UsageError as error:
      raise UsageError(f'--variants={",".join(self.variants)}: {error}') from None
    known = [variant for name, variant in VARIANTS.items() if name in (FALLBACK, *found)]
    return known + [variant for name, variant in found.items() if name not in VARIANTS]
