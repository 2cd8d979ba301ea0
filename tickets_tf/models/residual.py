"""Whether a network has residual connections: sums of several values that come from its input."""

from collections.abc import Callable, Iterator
import contextlib
import functools
from typing import Any
import weakref

from absl import logging
import tensorflow as tf
import tf_keras as keras

_SUMS = (keras.layers.Add, keras.layers.Average, keras.layers.Subtract)
_OWN_TO_KERAS = ('tf_keras.', 'tensorflow_model_optimization.', 'tickets_tf.')
# What was found in the graph of a model with layers of a user's own, which takes time.
_found: 'weakref.WeakKeyDictionary[Any, bool]' = weakref.WeakKeyDictionary()


def has_residual_connections(model: keras.Model) -> bool:
  """Returns whether a network has a sum of several values; a concatenation is no residual connection.

  In layers of a user's own, and in subclassed models, the graph is searched for sums of values of one shape that both
  come from the input; sums inside Keras' layers, such as that of a recurrent cell, are none.

  Args:
    model: a built `tf_keras` model.
  """
  if not isinstance(model, keras.Model):
    return False  # A wrapper asks for the kernels of its layer in its calls, and a search would call it once more.
  layers = list(model._flatten_layers())  # pylint: disable=protected-access
  if any(_adds(layer) for layer in layers):
    return True
  if all(type(layer).__module__.startswith(_OWN_TO_KERAS) for layer in layers):
    return False
  if model not in _found:
    _found[model] = _adds_in_graph(model, layers)
  return _found[model]


def _adds(layer: keras.layers.Layer) -> bool:
  if isinstance(layer, _SUMS):
    return True
  # `x + y` on the tensors of a functional model.
  is_sum = str(getattr(layer, 'symbol', '')).rpartition('.')[2] in ('add', 'add_n', 'subtract')
  return is_sum and any(len(node.keras_inputs) > 1 for node in getattr(layer, 'inbound_nodes', ()))


def _adds_in_graph(model: keras.Model, layers: list[keras.layers.Layer]) -> bool:
  specs = _input_specs(model)
  inside: set[str] = set()  # Names of the operations of Keras' layers.
  sums: list[bool] = []

  def search(inputs: Any) -> Any:
    with contextlib.ExitStack() as stack:
      for layer in filter(_is_of_keras, layers):
        stack.enter_context(_noted(layer, inside))
      outputs = model(inputs, training=False)
    graph = tf.compat.v1.get_default_graph()
    sums.append(_has_sum(graph, {tensor.op.name for tensor in tf.nest.flatten(inputs)}, inside))
    return outputs

  try:
    tf.function(search, autograph=False).get_concrete_function(specs)
  except (ValueError, TypeError, RuntimeError, AttributeError, NotImplementedError, tf.errors.OpError) as error:
    logging.warning('model %s cannot be searched for residual connections and is taken for one without; '
                    '--allocation_options=residual=True says otherwise: %s', model.name, ' '.join(str(error).split()))
    return False
  return any(sums)


def _is_of_keras(layer: keras.layers.Layer) -> bool:
  around = isinstance(layer, (keras.Model, keras.layers.Wrapper))  # They may contain layers of a user's own.
  return type(layer).__module__.startswith('tf_keras.') and not around


def _input_specs(model: keras.Model) -> Any:
  inputs = getattr(model, 'input', None)
  if inputs is None:
    return tf.TensorSpec(getattr(model, '_build_input_shape', None), keras.backend.floatx())
  return tf.nest.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), inputs)


def _has_sum(graph: tf.Graph, inputs: set[str], inside: set[str]) -> bool:
  reached = set(inputs)
  for operation in graph.get_operations():  # In the order in which they were made.
    terms = [tensor for tensor in operation.inputs if tensor.op.name in reached]
    if not terms:
      continue
    reached.add(operation.name)
    if (operation.type in ('Add', 'AddV2', 'AddN') and operation.name not in inside and len(terms) > 1
        and terms[0].shape.as_list() == terms[1].shape.as_list()):
      return True
  return False


@contextlib.contextmanager
def _noted(layer: keras.layers.Layer, inside: set[str]) -> Iterator[None]:
  # Adds the names of the operations of a layer's calls to `inside`.
  own = vars(layer).get('call')
  call: Callable[..., Any] = layer.call

  @functools.wraps(call)
  def noted(*args: Any, **kwargs: Any) -> Any:
    graph = tf.compat.v1.get_default_graph()
    before = len(graph.get_operations())
    returned = call(*args, **kwargs)
    inside.update(operation.name for operation in graph.get_operations()[before:])
    return returned

  vars(layer)['call'] = noted
  try:
    yield
  finally:
    if own is None:
      del vars(layer)['call']
    else:
      vars(layer)['call'] = own
