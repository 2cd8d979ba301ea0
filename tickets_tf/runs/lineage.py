"""Which runs a run needs first, and which settings name the same run. Values only: nothing is computed here."""

import dataclasses

from tickets_tf import registry
from tickets_tf.pruning import rules
from tickets_tf.errors import UsageError

# Where Rule and Settings have a choice of the same name, empty or 0 in Settings stands for the rule's.
_CHOICES = ('allocation', 'scored_at', 'rewound_to', 'rounds')


def canonical(settings):
  """Returns the one form of all settings that name the same run, so that it is made once and shared.

  Choices that the rule makes anyway are left to it; where nothing is removed, what concerns removing is at its default.

  Args:
    settings: a run's `Settings`.

  Raises:
    UsageError: where the rule or the check cannot be found, or they do not go together.
  """
  row = rules.resolve(settings.pruner)
  if not row.prunes:
    if settings.check:
      raise UsageError(f'--check={settings.check}: --pruner={settings.pruner} removes nothing that could be checked')
    defaults = {field.name: field.default for field in dataclasses.fields(settings) if field.metadata['pruning']}
    return dataclasses.replace(settings, ratio=0.0, **defaults)
  changes = {name: type(getattr(settings, name))() for name in _CHOICES
             if getattr(settings, name) == getattr(row, name)}
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
  if settings.trained_on and registry.CHECKS.get(settings.trained_on).seam != 'data':
    raise UsageError(f'--trained_on={settings.trained_on}: expected a check that changes the data')
  return dataclasses.replace(settings, **changes)


def check_of(settings):
  """Returns the `Check` that the settings ask for.

  Raises:
    UsageError: where it cannot be found, or has nothing to act on.
  """
  check = registry.CHECKS.get(settings.check)
  if getattr(check, 'seam', None) not in ('data', 'ticket'):
    raise UsageError(f'--check={settings.check}: expected a tickets_tf.checks.Check at the seam data or ticket')
  if settings.rule().given and check.of_scores:
    raise UsageError(f'--check={settings.check}: it needs scores, and a mask from a file has none')
  if settings.rule().given and check.seam == 'data':
    raise UsageError(f'--check={settings.check}: it changes the data that a rule sees; the mask of --mask is given')
  return check


def original(settings):
  """Returns the settings of the ticket that a check is compared with: the same but for the check."""
  return dataclasses.replace(settings, check='')


def data_check(settings):
  """Returns the name of the check that changes the data which the rule sees, or the empty string."""
  return settings.check if settings.check and check_of(settings).seam == 'data' else ''


def scored_run(settings):
  """Returns the settings of the run whose weights the score sees, or None where it sees those of the initialisation.

  In round r of R it is the run of the ticket that the rounds before left: the same rule with r - 1 rounds at the
  ratio of that round. So rounds share their runs, whatever the last ratio is.

  Args:
    settings: a run's `Settings` without a check of the mask or the weights.
  """
  rule = settings.rule()
  if rule.scored_at in ('init', '0'):
    return None
  if rule.rounds == 1:
    return _dense(settings, rule.scored_at)
  # Rounded: settings that differ in the last bit would be two runs.
  ratio = round(rules.round_ratios(settings.ratio, rule.rounds)[-2], 12)
  return canonical(dataclasses.replace(settings, ratio=ratio, rounds=rule.rounds - 1, check=data_check(settings),
                                       trained_on=data_check(settings),
                                       stop_epoch=_stop_epoch(settings, rule.scored_at)))


def rewound_run(settings):
  """Returns the settings of the run whose weights the ticket starts from, or None.

  None: those that were scored, or those of the initialisation.

  Args:
    settings: a run's `Settings` without a check of the mask or the weights.
  """
  rewound_to = settings.rule().rewound_to
  return None if rewound_to in ('init', '0', 'none') else _dense(settings, rewound_to)


def needed(settings):
  """Returns the settings of the runs that have to be trained before a run's ticket can be found, without repetition."""
  if settings.check and not data_check(settings):
    settings = original(settings)
  runs = [scored_run(settings), rewound_run(settings)] if settings.rule().prunes else []
  return list(dict.fromkeys(run for run in runs if run))


def _dense(settings, epoch):
  seen = data_check(settings)
  return canonical(dataclasses.replace(settings, pruner='dense', check='', mask='', trained_on=seen,
                                       stop_epoch=_stop_epoch(settings, epoch)))


def _stop_epoch(settings, epoch):
  # The last epoch's weights are those of the whole training, which other rules need as well.
  return 0 if epoch == 'trained' or int(epoch) == settings.epochs else int(epoch)
