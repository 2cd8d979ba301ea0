"""tickets_tf: find sparse subnetworks (tickets), train them, export them, and check whether their choice beat luck.

The names below are imported when first used, so that `import tickets_tf` costs nothing. They are the stable part of
the package, see README.md.
"""

import importlib
import os
import sys

__version__ = '0.1.0'

# tfmot works on Keras 2 alone, which TensorFlow picks when this is set before its own import.
if 'tensorflow' in sys.modules and os.environ.get('TF_USE_LEGACY_KERAS') != '1':
  raise ImportError('tickets_tf: import tickets_tf before tensorflow, or set TF_USE_LEGACY_KERAS=1 in the environment')
os.environ['TF_USE_LEGACY_KERAS'] = '1'
# 1.6 to 2 times faster training steps on CPUs where TensorFlow does not turn it on by itself.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

_EXPORTS = {
    'Mask': 'pruning.mask',
    'Plan': 'experiment.sanity',
    'Settings': 'runs.settings',
    'Ticket': 'experiment.tickets',
    'allocate': 'pruning.allocation',
    'build_model': 'models',
    'find_ticket': 'experiment.tickets',
    'load_mask': 'pruning.mask',
    'load_ticket': 'export',
    'prunable_kernels': 'models',
    'sanity_check': 'experiment.sanity',
    'score_weights': 'scores',
    'train': 'experiment.train',
}
_REGISTRIES = {
    'register_allocation': ('registry', 'ALLOCATIONS'),
    'register_check': ('registry', 'CHECKS'),
    'register_dataset': ('registry', 'DATASETS'),
    'register_model': ('registry', 'MODELS'),
    'register_pattern': ('registry', 'PATTERNS'),
    'register_rule': ('pruning.rules', 'RULES'),
    'register_score': ('registry', 'SCORES'),
}

__all__ = sorted([*_EXPORTS, *_REGISTRIES])


def __getattr__(name):
  if name in _EXPORTS:
    return getattr(importlib.import_module(f'tickets_tf.{_EXPORTS[name]}'), name)
  if name in _REGISTRIES:
    module, table = _REGISTRIES[name]
    return getattr(importlib.import_module(f'tickets_tf.{module}'), table).register
  try:
    return importlib.import_module(f'tickets_tf.{name}')
  except ModuleNotFoundError as error:
    if error.name != f'tickets_tf.{name}':
      raise
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}') from None


def __dir__():
  return __all__
