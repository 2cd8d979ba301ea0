"""How much of a ticket is connected, as a value that a record holds."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Collapse:
  """How much of a ticket lies on paths from the network's inputs to its outputs.

  All but the first are None if the paths of the network cannot be known, see `tickets_tf.models.effective_mask`.
  `dataclasses.asdict` gives the form that a record holds.

  Attributes:
    empty_layers: names of the kernels that kept nothing.
    connected: whether there is any path from an input to an output.
    unreachable_units: for every kernel, how many of its outputs (channels of a convolution, units of a dense layer) lie
      on no path from an input to an output.
    effective_kept: number of kept weights on such a path.
    effective_sparsity: share of all prunable weights that are on no such path, the removed ones included; in [0, 1].
    opaque_layers: names of the layers of an unknown kind; each of their outputs was taken to depend on all inputs.
  """
  empty_layers: list[str]
  connected: bool | None
  unreachable_units: dict[str, int] | None
  effective_kept: int | None
  effective_sparsity: float | None
  opaque_layers: list[str] | None
