"""A run as a value: its one canonical form, its name, its files, and the runs that come before it."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from typing import Any

from tickets_tf import own_code
from tickets_tf import seeds
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules
from tickets_tf.runs import canonical
from tickets_tf.runs import likeness
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.settings import Settings


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
    object.__setattr__(self, 'settings', canonical.of(self.settings))

  def replace(self, **changes: Any) -> 'Run':
    """Returns the run of other settings."""
    return Run(dataclasses.replace(self.settings, **changes))

  @functools.cached_property
  def rule(self) -> rules.Rule:
    """The rule with the choices of the settings; its `rewound_to` is never `'epoch'`."""
    return canonical.rule_of(self.settings)

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
      return int(self.rule.narrows)  # It is compared with tickets, and sees the order that they see.
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
    return bool(self.settings.check) and canonical.check_of(self.settings).seam != 'data'

  @property
  def original(self) -> 'Run':
    """The run that a check is compared with: the same but for the check."""
    return self.replace(check='')

  @property
  def searched(self) -> 'Run | None':
    """The run whose search a check asks for: the original's with another pattern, in every round."""
    pattern = canonical.check_of(self.settings).pattern if self.is_checked_ticket else ''
    return self.replace(check='', pattern=pattern) if pattern else None

  @property
  def chosen_from(self) -> 'Run | None':
    """The run whose mask the ticket is chosen from: that of the rounds of training before the last; None: all weights.

    A checked ticket is chosen from what its original is chosen from.
    """
    return self.original.scored if self.rule.rounds > 1 else None

  def before(self) -> tuple['Run', ...]:
    """Returns all runs that this one reads from, in order, none twice; what these need is theirs to say.

    Of those that `needs_ticket_of` names, the ticket is needed; all others must be trained.
    """
    if not self.is_checked_ticket:
      found = [self.scored, self.rewound]
    elif self.searched:
      found = [self.original, *self.searched.before()]
    else:
      found = [self.original, self.original.scored if canonical.check_of(self.settings).of_scores else self.chosen_from]
    return tuple(dict.fromkeys(run for run in (*found, self.like) if run))

  @property
  def epochs_in_all(self) -> int:
    """Epochs of all trainings that the trained ticket takes: its own, the dense network's, those of earlier rounds.

    A training that another one begins with counts once.
    """
    longest: dict[Run, int] = {}
    for run in self._trainings():
      whole = run.replace(stop_epoch=0)
      longest[whole] = max(longest.get(whole, 0), run.settings.stop_epoch or run.settings.epochs)
    return sum(longest.values())

  def _trainings(self) -> 'set[Run]':
    found = {self}
    for other in self.before():
      found |= other._trainings() - ({other} if self.needs_ticket_of(other) else set())
    return found

  def needs_ticket_of(self, other: 'Run') -> bool:
    """Returns whether one of the runs `before` is needed as a ticket alone, untrained.

    That is the `original` of a checked ticket, and the run that this one is `like` if its mask is fixed.
    """
    if self.is_checked_ticket and other == self.original:
      return True
    return other == self.like and not other.rule.update.moves

  @property
  def like(self) -> 'Run | None':
    """The run whose layer ratios the ticket takes, if its allocation is `like:RULE`: the same but for the rule."""
    rule = '' if self.is_checked_ticket else likeness.liked(self.rule.allocation)[0]
    return self.replace(pruner=rule, allocation='', allocation_options='', pattern='unstructured', scored_at='',
                        rewound_to='', rounds=0, regrow=False, sparse_init=False, score_options='', trained_on='',
                        stop_epoch=0, mask_updates='', rates='') if rule else None

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
  if settings.weights:
    found.update(_content(settings.weights, f'--weights={settings.weights}'))
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
