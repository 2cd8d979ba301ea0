"""A run as a value: its one canonical form, its name, its files, and the runs that come before it."""

import dataclasses
import functools
import hashlib
import inspect
import json
import os
import pathlib
from typing import Any

from tickets_tf import own_code
from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules
from tickets_tf.runs import likeness
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.settings import NetworkSettings
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import TicketSettings
from tickets_tf.runs.settings import defaults

THREADS_VARIABLE = 'TF_NUM_INTRAOP_THREADS'
# If Rule and Settings have a choice of the same name, empty or 0 in Settings stands for the rule's.
_CHOICES = ('allocation', 'scored_at', 'rewound_to', 'rounds')


@dataclasses.dataclass(frozen=True)
class Run:
  """One run. Settings are put into their canonical form when it is made, so that equal work gives equal runs.

  Choices that the rule makes anyway are left to it. If nothing is removed, all that concerns removing is at its
  default.

  Args:
    settings: any `Settings`.

  Attributes:
    settings: their canonical form.

  Raises:
    UsageError: if the rule or the check cannot be found, or they do not go together.
  """
  settings: Settings

  def __post_init__(self) -> None:
    object.__setattr__(self, 'settings', _canonical(self.settings))

  def replace(self, **changes: Any) -> 'Run':
    """Returns the run of other settings."""
    return Run(dataclasses.replace(self.settings, **changes))

  @functools.cached_property
  def rule(self) -> rules.Rule:
    """The rule with the choices of the settings; its `rewound_to` is never `'epoch'`."""
    return _rule(self.settings)

  @functools.cached_property
  def digest(self) -> str:
    """Eight hexadecimal digits of `Settings.identity`, and of the mask and the code that the settings name.

    A mask from a file and a user's own code count by what is in their files, so that another mask of the same name, or
    a score that was changed, is another run. A new setting renames no old run.
    """
    return digest(self.settings)

  @property
  def name(self) -> str:
    """The name of the folder, readable and unique to the run."""
    of = self.settings
    check = f'-{of.check}' if of.check else ''
    seeds_apart = ''.join(f'-{kind}{seed}' for kind, seed in (('order', of.order_seed), ('init', of.init_seed))
                          if seed >= 0)
    name = f'{of.dataset}-{of.model}-{of.pruner}-{of.ratio:g}{check}-seed{of.seed}{seeds_apart}-{self.digest}'
    return name.replace(':', '.')

  @property
  def folder(self) -> RunFolder:
    """The folder, which need not exist."""
    return RunFolder(pathlib.Path(self.settings.output_dir).expanduser() / self.name)

  @property
  def phase(self) -> int:
    """Which training this is of those that lead to a ticket: 0 for the dense network, r for a ticket after r rounds.

    Rounds count if there is a training between them. A checked ticket is trained in the phase of its original.
    """
    if not self.rule.prunes:
      return 0
    return 1 if self.rule.scored_at in ('init', '0') else self.rule.rounds

  @property
  def order_seed(self) -> int:
    """Seed of the order and augmentation of the training images, in the epochs in which `--order_seed` holds."""
    of = self.settings
    return seeds.of_phase(of.seed if of.order_seed < 0 else of.order_seed, self.phase)

  @property
  def first_order_seed(self) -> int:
    """The same in the epochs before `order_epoch`."""
    return seeds.of_phase(self.settings.seed, self.phase) if self.settings.order_epoch >= 0 else self.order_seed

  @property
  def init_seed(self) -> int:
    """Seed of the network's initialisation."""
    return self.settings.seed if self.settings.init_seed < 0 else self.settings.init_seed

  @property
  def data_check(self) -> str:
    """Name of the check that changes the data which the rule sees, or the empty string."""
    return '' if self.is_checked_ticket else self.settings.check

  @functools.cached_property
  def is_checked_ticket(self) -> bool:
    """Whether a check changes the ticket that another run, `original`, has found."""
    return bool(self.settings.check) and _check(self.settings).seam != 'data'

  @property
  def original(self) -> 'Run':
    """The run that a check is compared with: the same but for the check."""
    return self.replace(check='')

  @property
  def searched(self) -> 'Run | None':
    """The run whose search a check asks for: the original's with another pattern, in every round."""
    pattern = _check(self.settings).pattern if self.is_checked_ticket else ''
    return self.replace(check='', pattern=pattern) if pattern else None

  @property
  def chosen_from(self) -> 'Run | None':
    """The run whose mask the ticket is chosen from: that of the rounds of training before the last; None: all weights.

    A checked ticket is chosen from what its original is chosen from.
    """
    return self.original.scored if self.rule.rounds > 1 else None

  def before(self) -> tuple['Run', ...]:
    """Returns all runs that this one reads from, in order, none twice; what these need is theirs to say.

    Of the `original` of a checked ticket, and of the run that this one is `like`, the ticket is needed; all others must
    be trained.
    """
    if not self.is_checked_ticket:
      found = [self.scored, self.rewound]
    elif self.searched:
      found = [self.original, *self.searched.before()]
    else:
      found = [self.original, self.original.scored if _check(self.settings).of_scores else self.chosen_from]
    return tuple(dict.fromkeys(run for run in (*found, self.like) if run))

  @property
  def like(self) -> 'Run | None':
    """The run whose layer ratios the ticket takes, if its allocation is `like:RULE`: the same but for the rule."""
    rule = '' if self.is_checked_ticket else likeness.liked(self.rule.allocation)[0]
    return self.replace(pruner=rule, allocation='', allocation_options='', pattern='unstructured', scored_at='',
                        rewound_to='', rounds=0, regrow=False, score_options='', trained_on='',
                        stop_epoch=0) if rule else None

  @property
  def like_file(self) -> str:
    """The file whose mask has the layer ratios of the ticket, if its allocation is `like:MASKFILE`; else empty."""
    return likeness.liked(self.rule.allocation)[1]

  @property
  def scored(self) -> 'Run | None':
    """The run whose trained weights the score sees; None if it sees those of the initialisation.

    In round r of R it is the run of the ticket that the rounds before left: the same rule with r - 1 rounds at the
    ratio of that round. So rounds share their runs, whatever the last ratio is.
    """
    rule = self.rule
    if not rule.prunes or rule.scored_at in ('init', '0'):
      return None
    if rule.rounds == 1:
      return self._dense(rule.scored_at)
    # Rounded: settings that differ in the last bit would be two runs.
    ratio = round(rules.round_ratios(self.settings.ratio, rule.rounds)[-2], 12)
    return self.replace(ratio=ratio, rounds=rule.rounds - 1, check=self.data_check, trained_on=self.data_check,
                        stop_epoch=self._stop_epoch(rule.scored_at), **self._order_before())

  @property
  def rewound(self) -> 'Run | None':
    """The run whose trained weights the ticket starts from; None if it starts from those scored or initialised."""
    rule = self.rule
    return self._dense(rule.rewound_to) if rule.prunes and rule.rewound_to not in ('init', '0', 'none') else None

  def _dense(self, epoch: str) -> 'Run':
    return self.replace(pruner='dense', check='', mask='', trained_on=self.data_check,
                        stop_epoch=self._stop_epoch(epoch), **self._order_before())

  def _order_before(self) -> dict[str, Any]:
    # What trained before: it has the order of --seed if --order_seed holds from an epoch of this training on.
    return {'order_seed': -1, 'order_epoch': -1} if self.settings.order_epoch >= 0 else {}

  def _stop_epoch(self, epoch: str) -> int:
    # The last epoch's weights are those of the whole training, which other rules need as well.
    return 0 if epoch == 'trained' or int(epoch) == self.settings.epochs else int(epoch)


def digest(settings: Settings) -> str:
  """Returns eight hexadecimal digits of settings as they stand, see `Run.digest`."""
  found = hashlib.sha256(json.dumps(settings.identity(), sort_keys=True).encode())
  if settings.mask:
    found.update(_content(settings.mask, f'--mask={settings.mask}'))
  rule, file = likeness.liked(rules.resolve(settings.pruner, allocation=settings.allocation).allocation)
  if file:
    found.update(_content(file, f'--allocation=like:{file}'))
  if rule:
    found.update(own_code.digest(rules.RULES.own_code(rule)))
  found.update(own_code.digest(code for field in dataclasses.fields(settings)
                               if field.metadata['names'] and getattr(settings, field.name)
                               for code in field.metadata['names'].own_code(getattr(settings, field.name))))
  return found.hexdigest()[:8]


def _content(path: str, flag: str) -> bytes:
  try:
    return pathlib.Path(path).expanduser().read_bytes()
  except OSError as error:
    raise UsageError(f'{flag}: cannot be read: {error.strerror}') from error


def _canonical(settings: Settings) -> Settings:
  settings = dataclasses.replace(settings, **_own_width(settings), **_threads_of_environment(settings),
                                 **_seeds_apart(settings))
  row = rules.resolve(settings.pruner)
  if not row.prunes:
    if settings.check:
      raise UsageError(f'--check={settings.check}: --pruner={settings.pruner} removes nothing that could be checked')
    return dataclasses.replace(settings, **{**defaults(TicketSettings), 'pruner': settings.pruner, 'ratio': 0.0})
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
    _check(settings)
  likeness.liked(settings.allocation or row.allocation)
  if settings.trained_on and registry.CHECKS.get(settings.trained_on).seam != 'data':
    raise UsageError(f'--trained_on={settings.trained_on}: expected a check that changes the data')
  return dataclasses.replace(settings, **changes)


def _own_width(settings: Settings) -> dict[str, Any]:
  # A network of a user's own need not take a width; one that does not has no width that could name another run.
  if not registry.MODELS.own_code(settings.model):
    return {}
  if 'width' in inspect.signature(registry.MODELS.get(registry.MODELS.split(settings.model)[0])).parameters:
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


def _seeds_apart(settings: Settings) -> dict[str, Any]:
  # A seed that is that of the run is none of its own, and an order that begins at no epoch is the run's own.
  changes: dict[str, Any] = {name: -1 for name in ('order_seed', 'init_seed')
                             if getattr(settings, name) == settings.seed}
  if settings.order_seed < 0 and settings.order_epoch >= 0:
    raise UsageError(f'--order_epoch={settings.order_epoch}: goes with --order_seed')
  if 'order_seed' in changes or settings.order_epoch >= (settings.stop_epoch or settings.epochs):
    changes |= {'order_seed': -1, 'order_epoch': -1}
  return changes


def _rule(settings: Settings) -> rules.Rule:
  rule = rules.resolve(settings.pruner, allocation=settings.allocation, scored_at=settings.scored_at,
                       rewound_to=settings.rewound_to, rounds=settings.rounds)
  if rule.rewound_to != 'epoch':
    return rule
  rules.check_epoch('rewind_epoch', str(settings.rewind_epoch), (), settings.epochs)
  return dataclasses.replace(rule, rewound_to=str(settings.rewind_epoch))


def _check(settings: Settings) -> Any:
  """Returns the `Check` that the settings ask for; raises UsageError if it cannot be found or has nothing to act on."""
  check = registry.CHECKS.get(settings.check)
  if getattr(check, 'seam', None) not in ('data', 'ticket'):
    raise UsageError(f'--check={settings.check}: expected a tickets_tf.checks.Check at the seam data or ticket')
  if _rule(settings).given and (check.of_scores or check.pattern):
    raise UsageError(f'--check={settings.check}: it needs scores, and a mask from a file has none')
  if _rule(settings).given and check.seam == 'data':
    raise UsageError(f'--check={settings.check}: it changes the data that a rule sees; the mask of --mask is given')
  return check
