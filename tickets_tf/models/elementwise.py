"""Which functions of TensorFlow and Keras act on every value alone."""

ACTIVATIONS = frozenset({
    'linear', 'relu', 'relu6', 'elu', 'selu', 'gelu', 'silu', 'swish', 'mish', 'leaky_relu', 'tanh', 'sigmoid',
    'hard_sigmoid', 'softplus', 'softsign', 'exponential'})


def is_elementwise(activation):
  """Returns whether a layer's activation is one of `ACTIVATIONS`; a function of a user's own may be anything."""
  return is_known(activation) and activation.__name__ in ACTIVATIONS


def is_known(activation):
  """Returns whether a function belongs to TensorFlow or Keras."""
  return getattr(activation, '__module__', '').partition('.')[0] in ('tf_keras', 'tensorflow')


def operation(layer):
  """Returns what a layer of a functional model does that stands for a function on tensors: `'add'` for `x + y`.

  Args:
    layer: a Keras layer.

  Returns:
    The last part of the function's name, such as `'add'`, `'relu'` or `'reshape'`; an empty string for other layers.
  """
  return (getattr(layer, 'symbol', None) or '').rpartition('.')[2]
