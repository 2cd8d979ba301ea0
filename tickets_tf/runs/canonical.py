"""The one canonical form of settings, and what they name."""

import dataclasses
import os
from typing import Any

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules
from tickets_tf.runs import likeness
from tickets_tf.runs.settings import NetworkSettings
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import TicketSettings
from tickets_tf.runs.settings import defaults

THREADS_VARIABLE = 'TF_NUM_INTRAOP_THREADS'
# If Rule and Settings have a choice of the same name, empty or 0 in Settings stands for the rule's.
_CHOICES = ('allocation', 'scored_at', 'rewound_to', 'rounds', 'rates', 'mask_updates')
# What times and sets up mask updates, as it is for all masks that are fixed.
NO_UPDATES = {name: defaults(TicketSettings)[name]
              for name in ('update_begin', 'update_end', 'update_every', 'update_options')}


def of(settings: Settings) -> Settings:
  """Returns settings in the form that all settings of equal work have.

  Raises:
    UsageError: if the rule or the check cannot be found, or they do not go together.
  """
  settings = dataclasses.replace(settings, **_own_width(settings), **_threads_of_environment(settings),
                                 **_seeds_apart(settings))
  row = rules.resolve(settings.pruner)
  if not row.prunes:
    if settings.check:
      raise UsageError(f'--check={settings.check}: --pruner={settings.pruner} removes nothing that could be checked')
    if row.narrows and not registry.MODELS.has_width(settings.model):
      raise UsageError(f'--pruner={settings.pruner}: {settings.model} takes no width; expected another --model')
    size = {'ratio': settings.ratio, 'match': settings.match} if row.narrows else {'ratio': 0.0}
    return dataclasses.replace(settings, **{**defaults(TicketSettings), 'pruner': settings.pruner, **size},
                               compact_training='off')  # No channel is without purpose.
  changes = {name: type(getattr(settings, name))() for name in _CHOICES
             if getattr(settings, name) == getattr(row, name)} | {'match': 'weights'}
  if 'epoch' not in (row.rewound_to, settings.rewound_to) or settings.rewound_to:
    changes['rewind_epoch'] = 1
  if row.given:
    changes['ratio'] = 0.0
    for name, plain in (('pattern', 'unstructured'), ('allocation', '')):
      if getattr(settings, name) != plain:
        raise UsageError(f'--{name}={getattr(settings, name)}: the mask of --mask is given, and nothing of it is '
                         'chosen')
  if settings.check:
    check_of(settings)
  if settings.sparse_init and not rule_of(settings).starts_fresh:
    raise UsageError(f'--sparse_init: --pruner={settings.pruner} does not start from a sparse network of fresh '
                     'weights; expected a rule that does, as with --rewound_to=init')
  like, _ = likeness.liked(settings.allocation or row.allocation)
  if rule_of(settings).update.moves:
    _check_updates(settings)
  elif not (like and rules.RULES.get(like).update.moves):
    changes |= NO_UPDATES
  if settings.trained_on and registry.CHECKS.get(settings.trained_on).seam != 'data':
    raise UsageError(f'--trained_on={settings.trained_on}: expected a check that changes the data')
  return dataclasses.replace(settings, **changes)


def _own_width(settings: Settings) -> dict[str, Any]:
  # A network that takes no width has none that could name another run.
  if registry.MODELS.has_width(settings.model):
    return {}
  if settings.width not in (0, defaults(NetworkSettings)['width']):
    raise UsageError(f'--width={settings.width}: {settings.model} takes no width; leave the flag out')
  return {'width': 0}


def _threads_of_environment(settings: Settings) -> dict[str, Any]:
  # TensorFlow takes this variable if nothing else is asked for, and sums depend on the number of threads.
  asked = os.environ.get(THREADS_VARIABLE, '')
  if settings.threads or not asked:
    return {}
  if not asked.isdecimal():
    raise UsageError(f'{THREADS_VARIABLE}={asked}: expected a number of threads')
  return {'threads': int(asked)}


def _check_updates(settings: Settings) -> None:
  """Raises UsageError if something that was asked for forbids that the mask changes in training."""
  rule = rule_of(settings)
  update, name = rule.update, rule.mask_updates
  update.check_options(f'update_options={settings.update_options}', settings.options('update_options'))
  if rule.given:
    raise UsageError(f'--mask_updates={name}: the mask of --mask is given and stays')
  if rule.rounds > 1:
    raise UsageError(f'--rounds={rule.rounds}: the mask changes in rounds of its own (--mask_updates={name}); expected '
                     '--rounds=1')
  if update.grows and settings.pattern != 'unstructured':
    raise UsageError(f'--pattern={settings.pattern}: weights that come back (--mask_updates={name}) keep no pattern')
  if settings.check:
    raise UsageError(f'--check={settings.check}: a check changes one thing of a ticket before it is trained, and '
                     f'--mask_updates={name} chooses the mask in the training; compare it with luck and with '
                     f'--allocation=like:{settings.pruner}')


def _seeds_apart(settings: Settings) -> dict[str, Any]:
  # A seed that is that of the run is none of its own, and an order that begins at no epoch is the run's own.
  changes: dict[str, Any] = {name: -1 for name in ('order_seed', 'init_seed')
                             if getattr(settings, name) == settings.seed}
  if settings.order_seed < 0 and settings.order_epoch >= 0:
    raise UsageError(f'--order_epoch={settings.order_epoch}: goes with --order_seed')
  if 'order_seed' in changes or settings.order_epoch >= (settings.stop_epoch or settings.epochs):
    changes |= {'order_seed': -1, 'order_epoch': -1}
  return changes


def rule_of(settings: Settings) -> rules.Rule:
  """Returns the rule with the choices of the settings; its `rewound_to` is never `'epoch'`."""
  rule = rules.resolve(settings.pruner, allocation=settings.allocation, scored_at=settings.scored_at,
                       rewound_to=settings.rewound_to, rounds=settings.rounds, rates=settings.rates,
                       mask_updates=settings.mask_updates)
  if rule.rewound_to != 'epoch':
    return rule
  rules.check_epoch('rewind_epoch', str(settings.rewind_epoch), (), settings.epochs)
  return dataclasses.replace(rule, rewound_to=str(settings.rewind_epoch))


def check_of(settings: Settings) -> Any:
  """Returns the `Check` that the settings ask for; raises UsageError if it cannot be found or has nothing to act on."""
  check = registry.CHECKS.get(settings.check)
  if getattr(check, 'seam', None) not in ('data', 'ticket'):
    raise UsageError(f'--check={settings.check}: expected a tickets_tf.checks.Check at the seam data or ticket')
  if rule_of(settings).given and (check.of_scores or check.pattern):
    raise UsageError(f'--check={settings.check}: it needs scores, and a mask from a file has none')
  if rule_of(settings).given and check.seam == 'data':
    raise UsageError(f'--check={settings.check}: it changes the data that a rule sees; the mask of --mask is given')
  return check
