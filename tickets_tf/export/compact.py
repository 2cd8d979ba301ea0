"""Networks without the channels that a mask leaves without purpose, with the same outputs.

Two facts about single channels are carried through the network until neither changes anything any more. Forwards:
which channels are constants, because nothing but constants flows into them; a layer that reads a constant takes its
part as a bias. Backwards: which channels are read at all; what nobody reads loses its weights. Both leave more weights
at zero for the other. Zero padding makes a constant something else at the border: there its weights stay, but those of
all constants of a layer are gathered on one of them.

Then channels that nobody reads are cut out, wherever layers that keep channels apart, and sums, tie them together. The
outputs are the same up to the rounding of float32.
"""

import numpy as np
import scipy.sparse.csgraph
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.export import channels
from tickets_tf.export.step import Constants
from tickets_tf.export.step import channels_of
from tickets_tf.models import multiply_accumulates
from tickets_tf.models import prunable_kernels


def compact(model, mask=None):
  """Returns a smaller network of plain Keras layers that computes the same in inference.

  Convolutions and dense layers, depthwise convolutions, batch norm, elementwise activations, pooling, padding,
  `Flatten`, `Concatenate` and `Add` are understood; any other layer is copied as it is and keeps all its channels. A
  sum loses its terms that are constants. Inputs and outputs keep their shapes; a layer keeps its name, and at least
  one channel.

  Args:
    model: a built functional or sequential `tf_keras` model without wrappers; it is left as it was, and shares no
      variable with the result.
    mask: a `Mask` of its `prunable_kernels`, for a model whose removed weights are not zero yet; None: what is zero.

  Returns:
    A functional `tf_keras` model. `compaction` tells what was removed.

  Raises:
    UsageError: where the mask does not fit, or the model is subclassed.
  """
  if not getattr(model, '_is_graph_network', False):
    raise UsageError(f'model {model.name!r} is subclassed; compaction needs functional or sequential models')
  network = _Network(model, _masked_weights(model, mask))
  network.settle()
  return network.build()


def _masked_weights(model, mask):
  kept = {}
  if mask is not None:
    kernels = prunable_kernels(model)
    mask.check(kernels)
    kept = {id(kernel.variable): mask[kernel.name] for kernel in kernels}
  return lambda layer: [np.where(kept.get(id(variable), True), variable.numpy(), 0) for variable in layer.weights]


def compaction(model, compacted):
  """Tells what `compact` removed.

  Args:
    model: the model that `compact` was given.
    compacted: what it returned.

  Returns:
    A dictionary of JSON values:
      layers: list of dictionaries of the layers with kernels, in network order: `name`, `channels` (of the output) and
        `weights` (of the kernels), each a pair [before, after]; 0 after where the layer is gone.
      weights: [before, after] of all kernels.
      macs: [before, after], multiply-accumulates of one image in all kernels, zeros included; None where the network
        does not know its input size.
  """
  before, after = ({kernel.name: kernel for kernel in prunable_kernels(each)} for each in (model, compacted))
  return {
      'layers': [{'name': name, 'channels': [_channels(kernel), _channels(after[name]) if name in after else 0],
                  'weights': [kernel.size, after[name].size if name in after else 0]}
                 for name, kernel in before.items()],
      'weights': [sum(kernel.size for kernel in kernels.values()) for kernels in (before, after)],
      'macs': [_macs(list(kernels.values())) for kernels in (before, after)],
  }


def _channels(kernel):
  return int(kernel.layer.output_shape[-1])


def _macs(kernels):
  if any(None in kernel.layer.output_shape[1:] for kernel in kernels):
    return None
  return sum(multiply_accumulates(kernels, [kernel.size for kernel in kernels]))


class _Network:
  """A network as steps.

  Args:
    model: a functional or sequential model.
    weights: function from layer to its weights, NumPy arrays.
  """

  def __init__(self, model, weights):
    self._model = model
    self._tensors = {id(tensor): channels_of(tensor) for tensor in model.inputs}
    by_depth = model._nodes_by_depth  # pylint: disable=protected-access
    nodes = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth] if not node.is_input]
    for node in nodes:
      self._tensors.update((id(tensor), channels_of(tensor)) for tensor in tf.nest.flatten(node.outputs))
    self._steps = channels.steps(nodes, weights)
    self._outputs = [id(tensor) for tensor in model.outputs]

  def settle(self):
    """Carries constants forwards and reads backwards until nothing changes."""
    while True:
      for step in self._steps:
        step.changed = False
      self._carry_constants()
      self._carry_reads()
      if not any(step.changed for step in self._steps):
        return

  def _carry_constants(self):
    constants = {id(tensor): Constants.none(self._tensors[id(tensor)]) for tensor in self._model.inputs}
    for step in self._steps:
      constants.update(zip(step.outputs, step.constants([constants[key] for key in step.inputs])))

  def _carry_reads(self):
    """Returns which channels are read, of every tensor that the outputs need."""
    read = {key: np.ones(self._tensors[key], bool) for key in self._outputs}
    for step in reversed(self._steps):
      if any(key in read for key in step.outputs):
        wanted = [read.setdefault(key, np.zeros(self._tensors[key], bool)) for key in step.outputs]
        live = step.live_inputs()
        for key, mine in zip(step.inputs, step.reads(wanted)):
          if key in live:
            read[key] = read[key] | mine if key in read else mine
    return read

  def _kept(self, read):
    """Returns the indices of the channels that stay, of every tensor in `read`."""
    numbers = self._numbers()
    needed = np.zeros(1 + max(each.max(initial=0) for each in numbers.values()), bool)
    fixed = {id(tensor) for tensor in self._model.inputs}
    fixed.update(key for step in self._steps if step.fixed for key in step.outputs)
    for key, mine in read.items():
      needed[numbers[key] if key in fixed else numbers[key][mine]] = True
    for key in read:  # No tensor is left without a channel.
      needed[numbers[key][:0 if needed[numbers[key]].any() else 1]] = True
    return {key: np.flatnonzero(needed[numbers[key]]) for key in read}

  def _numbers(self):
    """Returns the number of every channel of every tensor; channels of one number go together."""
    numbers, pairs, count = {}, [], 0

    def new(key):
      nonlocal count
      count += self._tensors[key]
      return np.arange(count - self._tensors[key], count)

    numbers.update((id(tensor), new(id(tensor))) for tensor in self._model.inputs)
    for step in self._steps:
      mine, tied = step.trace([numbers[key] for key in step.inputs])
      numbers.update((key, new(key) if mine is None else mine) for key in step.outputs)
      pairs += tied
    first, second = (np.concatenate([np.zeros(0, int), *each]) for each in (zip(*pairs) if pairs else ((), ())))
    graph = scipy.sparse.coo_matrix((np.ones(len(first)), (first, second)), shape=(count, count))
    _, groups = scipy.sparse.csgraph.connected_components(graph, directed=False)
    return {key: groups[each] for key, each in numbers.items()}

  def build(self):
    """Returns the network without the channels that are not needed."""
    read = self._carry_reads()
    kept = self._kept(read)
    tensors = {id(tensor): keras.Input(tensor.shape[1:], tensor.shape[0], dtype=tensor.dtype, name=name)
               for tensor, name in zip(self._model.inputs, self._model.input_names)}
    inputs = dict(tensors)
    copies = {}
    for step in self._steps:
      if any(key in read for key in step.outputs):
        tensors.update(zip(step.outputs, step.build(
            tensors, [kept.get(key) for key in step.inputs], [kept[key] for key in step.outputs], copies)))
    return keras.Model(tf.nest.map_structure(lambda tensor: inputs[id(tensor)], self._model.input),
                       tf.nest.map_structure(lambda tensor: tensors[id(tensor)], self._model.output),
                       name=self._model.name)
