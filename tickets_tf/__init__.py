"""tickets_tf: find sparse subnetworks (tickets), train them, export them, and check whether their choice beat luck.

The names in `__all__` are the stable part of the package, see README.md. They are imported when first used, so that
`import tickets_tf` costs nothing.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING
from typing import Any

__version__ = '0.1.0'

# tfmot works on Keras 2 alone, which TensorFlow picks if this is set before its own import.
if 'tensorflow' in sys.modules and os.environ.get('TF_USE_LEGACY_KERAS') != '1':
  raise ImportError('tickets_tf: import tickets_tf before tensorflow, or set TF_USE_LEGACY_KERAS=1 in the environment')
os.environ['TF_USE_LEGACY_KERAS'] = '1'
# 1.6 to 2 times faster training steps on CPUs on which TensorFlow does not turn it on by itself.
os.environ.setdefault('TF_ENABLE_ONEDNN_OPTS', '1')
# TensorFlow would otherwise prepare every convolution's gradient by its kernel anew in each step.
os.environ.setdefault('TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE', '0')
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

if TYPE_CHECKING:
  # For type checkers, which follow no lazy import; the tables below say the same to Python, and a test that they agree.
  from tickets_tf.checks import Check
  from tickets_tf.data import Dataset
  from tickets_tf.data import Examples
  from tickets_tf.errors import TicketsError
  from tickets_tf.errors import UsageError
  from tickets_tf.experiment.sanity_check import sanity_check
  from tickets_tf.experiment.tickets import Ticket
  from tickets_tf.experiment.tickets import find_ticket
  from tickets_tf.experiment.train import train
  from tickets_tf.export import load_ticket
  from tickets_tf.judging.plan import Plan
  from tickets_tf.judging.verdicts import Verdicts
  from tickets_tf.models import build_model
  from tickets_tf.models import prunable_kernels
  from tickets_tf.models.keras3 import from_keras3
  from tickets_tf.pruning.allocation import allocate
  from tickets_tf.pruning.kernels import Kernel
  from tickets_tf.pruning.mask import Mask
  from tickets_tf.pruning.mask import load_mask
  from tickets_tf.pruning.mask_updates import MaskUpdate
  from tickets_tf.pruning.patterns import Pattern
  from tickets_tf.pruning.rules import RULES
  from tickets_tf.pruning.rules import Rule
  from tickets_tf.registry import ALLOCATIONS
  from tickets_tf.registry import CHECKS
  from tickets_tf.registry import DATASETS
  from tickets_tf.registry import MASK_UPDATES
  from tickets_tf.registry import MODELS
  from tickets_tf.registry import PATTERNS
  from tickets_tf.registry import SCORES
  from tickets_tf.runs.records import Record
  from tickets_tf.runs.run import Run
  from tickets_tf.runs.settings import Settings
  from tickets_tf.scores import score_weights

  register_allocation = ALLOCATIONS.register
  register_check = CHECKS.register
  register_dataset = DATASETS.register
  register_mask_update = MASK_UPDATES.register
  register_model = MODELS.register
  register_pattern = PATTERNS.register
  register_rule = RULES.register
  register_score = SCORES.register

_MODULES = {
    'Check': 'checks',
    'Dataset': 'data',
    'Examples': 'data',
    'Kernel': 'pruning.kernels',
    'Mask': 'pruning.mask',
    'MaskUpdate': 'pruning.mask_updates',
    'Pattern': 'pruning.patterns',
    'Plan': 'judging.plan',
    'Record': 'runs.records',
    'Rule': 'pruning.rules',
    'Run': 'runs.run',
    'Settings': 'runs.settings',
    'Ticket': 'experiment.tickets',
    'TicketsError': 'errors',
    'UsageError': 'errors',
    'Verdicts': 'judging.verdicts',
    'allocate': 'pruning.allocation',
    'build_model': 'models',
    'find_ticket': 'experiment.tickets',
    'from_keras3': 'models.keras3',
    'load_mask': 'pruning.mask',
    'load_ticket': 'export',
    'prunable_kernels': 'models',
    'sanity_check': 'experiment.sanity_check',
    'score_weights': 'scores',
    'train': 'experiment.train',
}
_TABLES = {
    'register_allocation': ('registry', 'ALLOCATIONS'),
    'register_check': ('registry', 'CHECKS'),
    'register_dataset': ('registry', 'DATASETS'),
    'register_mask_update': ('registry', 'MASK_UPDATES'),
    'register_model': ('registry', 'MODELS'),
    'register_pattern': ('registry', 'PATTERNS'),
    'register_rule': ('pruning.rules', 'RULES'),
    'register_score': ('registry', 'SCORES'),
}

__all__ = [
    'Check',
    'Dataset',
    'Examples',
    'Kernel',
    'Mask',
    'MaskUpdate',
    'Pattern',
    'Plan',
    'Record',
    'Rule',
    'Run',
    'Settings',
    'Ticket',
    'TicketsError',
    'UsageError',
    'Verdicts',
    'allocate',
    'build_model',
    'find_ticket',
    'from_keras3',
    'load_mask',
    'load_ticket',
    'prunable_kernels',
    'register_allocation',
    'register_check',
    'register_dataset',
    'register_mask_update',
    'register_model',
    'register_pattern',
    'register_rule',
    'register_score',
    'sanity_check',
    'score_weights',
    'train',
]


def __getattr__(name: str) -> Any:
  if name in _MODULES:
    return getattr(importlib.import_module(f'tickets_tf.{_MODULES[name]}'), name)
  if name in _TABLES:
    module, table = _TABLES[name]
    return getattr(importlib.import_module(f'tickets_tf.{module}'), table).register
  try:
    return importlib.import_module(f'tickets_tf.{name}')
  except ModuleNotFoundError as error:
    if error.name != f'tickets_tf.{name}':
      raise
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}') from None


def __dir__() -> list[str]:
  return __all__
