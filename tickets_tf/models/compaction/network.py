"""A network as calls of layers: carries what is known of channels through it, and builds it without some of them.

Two facts about single channels are carried through the network until neither changes anything any more. Forwards: which
channels are constants, because only constants flow into them. A layer that reads a constant absorbs its part into the
bias. Backwards: which channels are read at all. What nothing reads loses its weights. Both set more weights to zero for
the other. Zero padding gives a constant another value at the border. Weights there stay, but those of all constants of
a layer are gathered on one of them.

Then channels that nothing reads are cut out, together with all channels to which sums and channelwise layers tie them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse
import scipy.sparse.csgraph
import tensorflow as tf
import tf_keras as keras

from tickets_tf.models.compaction import kinds
from tickets_tf.models.compaction.call import Bits, Constants, Index, Integers, Weights, channels_of


class Network:
  """A network as calls of layers. Tensors have keys, and channels that can only be removed together have one number.

  Args:
    model: a functional or sequential model.
    weights: gives the weights of a layer.
    round_up: from the number of channels that a layer with kernel needs to the number that it is to have if it can.
  """

  def __init__(self, model: keras.Model, weights: Weights, round_up: Callable[[int], int] = int) -> None:
    self._model, self._round_up = model, round_up
    self._channels = {id(tensor): channels_of(tensor) for tensor in model.inputs}
    by_depth = model._nodes_by_depth  # pylint: disable=protected-access
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
    for node in nodes:
      self._channels.update((id(tensor), channels_of(tensor)) for tensor in tf.nest.flatten(node.outputs))
    self._calls = kinds.calls(nodes, weights)
    self._outputs = [id(tensor) for tensor in model.outputs]

  def settle(self) -> None:
    """Carries constants forwards and reads backwards until nothing changes."""
    while True:
      for call in self._calls:
        call.changed = False
      self._carry_constants()
      self._carry_reads()
      if not any(call.changed for call in self._calls):
        return

  def settle_reads(self) -> None:
    """Carries reads alone backwards until nothing changes: what that leaves out holds whatever the weights become."""
    changed = True
    while changed:
      for call in self._calls:
        call.changed = False
      self._carry_reads()
      changed = any(call.changed for call in self._calls)

  def _carry_constants(self) -> None:
    constants = {id(tensor): Constants.none(self._channels[id(tensor)]) for tensor in self._model.inputs}
    for call in self._calls:
      found = call.constants([constants[key] for key in call.inputs])
      constants.update(zip(call.outputs, found, strict=True))

  def _carry_reads(self) -> dict[int, Bits]:
    """Returns which channels are read, for every tensor that the outputs need."""
    read: dict[int, Bits] = {key: np.ones(self._channels[key], bool) for key in self._outputs}
    for call in reversed(self._calls):
      if any(key in read for key in call.outputs):
        wanted = [read.setdefault(key, np.zeros(self._channels[key], bool)) for key in call.outputs]
        live = call.live_inputs()
        for key, mine in zip(call.inputs, call.reads(wanted), strict=True):
          if key in live:
            read[key] = read[key] | mine if key in read else mine
    return read

  def _kept(self, read: dict[int, Bits]) -> dict[int, Integers]:
    """Returns the indices of the channels that stay, for every tensor in `read`."""
    numbers = self._numbers()
    needed = np.zeros(1 + max(each.max(initial=0) for each in numbers.values()), bool)
    fixed = {id(tensor) for tensor in self._model.inputs}
    fixed.update(key for call in self._calls if call.fixed for key in call.outputs)
    for key, mine in read.items():
      needed[numbers[key] if key in fixed else numbers[key][mine]] = True
    for key in (key for call in self._calls if call.makes_channels for key in call.outputs if key in read):
      wanted = self._round_up(int(np.count_nonzero(needed[numbers[key]])))
      for channel in np.unique(numbers[key][~needed[numbers[key]]]):
        if np.count_nonzero(needed[numbers[key]]) < wanted:
          needed[channel] = True
    for key in read:  # Every tensor keeps at least one channel.
      needed[numbers[key][:0 if needed[numbers[key]].any() else 1]] = True
    return {key: np.flatnonzero(needed[numbers[key]]) for key in read}

  def _numbers(self) -> dict[int, npt.NDArray[np.int32]]:
    """Returns the numbers of the channels of every tensor."""
    numbers: dict[int, Integers] = {}
    first: list[Integers] = [np.zeros(0, int)]
    second: list[Integers] = [np.zeros(0, int)]
    count = 0

    def new(key: int) -> Integers:
      nonlocal count
      count += self._channels[key]
      return np.arange(count - self._channels[key], count)

    numbers.update((id(tensor), new(id(tensor))) for tensor in self._model.inputs)
    for call in self._calls:
      mine, tied = call.trace([numbers[key] for key in call.inputs])
      numbers.update((key, new(key) if mine is None else mine) for key in call.outputs)
      first += [one for one, _ in tied]
      second += [other for _, other in tied]
    ends = np.concatenate(first), np.concatenate(second)
    graph = scipy.sparse.coo_matrix((np.ones(len(ends[0])), ends), shape=(count, count))
    _, groups = scipy.sparse.csgraph.connected_components(graph, directed=False)
    return {key: groups[each] for key, each in numbers.items()}

  def places(self) -> list[tuple[keras.layers.Layer, list[Index]]]:
    """Returns every layer that stays, once, with where in its weights the channels are that stay."""
    read = self._carry_reads()
    kept = self._kept(read)
    nothing: Integers = np.zeros(0, int)
    found = {id(call.layer): (call.layer, call.places([kept.get(key, nothing) for key in call.inputs],
                                                      [kept[key] for key in call.outputs]))
             for call in self._calls if any(key in read for key in call.outputs)}
    return list(found.values())

  def build(self) -> keras.Model:
    """Returns the network without the channels that are not needed."""
    read = self._carry_reads()
    kept = self._kept(read)
    tensors = {id(tensor): keras.Input(tensor.shape[1:], tensor.shape[0], dtype=tensor.dtype, name=name)
               for tensor, name in zip(self._model.inputs, self._model.input_names, strict=True)}
    inputs = dict(tensors)
    copies: dict[Any, Any] = {}
    nothing: Integers = np.zeros(0, int)
    for call in self._calls:
      if any(key in read for key in call.outputs):
        outputs = call.build(tensors, [kept.get(key, nothing) for key in call.inputs],
                             [kept[key] for key in call.outputs], copies)
        tensors.update(zip(call.outputs, outputs, strict=True))
    return keras.Model(tf.nest.map_structure(lambda tensor: inputs[id(tensor)], self._model.input),
                       tf.nest.map_structure(lambda tensor: tensors[id(tensor)], self._model.output),
                       name=self._model.name)
