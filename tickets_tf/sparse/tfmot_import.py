"""Imports tfmot, which looks for a class of Keras 2 in Keras 3 and does without it if that cannot be imported.

Keras 3 comes with TensorFlow and takes a quarter of the time in which a program starts, to no end.
"""

import sys

if 'keras' in sys.modules:
  import tensorflow_model_optimization
else:
  sys.modules['keras'] = None  # type: ignore[assignment]  # Whoever imports it now gets an ImportError.
  try:
    import tensorflow_model_optimization  # noqa: F401
  finally:
    del sys.modules['keras']
