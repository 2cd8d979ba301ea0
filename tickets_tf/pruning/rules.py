"""Pruning rules: each is one row of choices, see section 'A ticket is five choices' of docs/architecture.md."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask_updates import MaskUpdate

RATES = ('all', 'last')


@dataclasses.dataclass(frozen=True)
class Rule:
  """How a ticket is found.

  Attributes:
    score: a name in `registry.SCORES`, `package.module:name`, or a function.
    allocation: a name in `registry.ALLOCATIONS`, `package.module:name`, or a function.
    scored_at: the weights that the score sees: `'init'`, `'trained'`, or an epoch's number as a string.
    rewound_to: the weights that the ticket starts from: `'init'`, `'none'` (those that were scored), an epoch's number
      as a string, or `'epoch'` (that of `--rewind_epoch`).
    rounds: rounds in which the weights are removed; the density falls geometrically, see `round_ratios`.
    rates: the learning rates that the ticket is trained with: `'all'` of the schedule from its start, or the `'last'`.
    mask_updates: how the mask changes in training: a name in `registry.MASK_UPDATES`, or `package.module:name`.
    prunes: False for a rule that keeps every weight, whatever the ratio.
    narrows: whether its network is one of fewer filters, as large as a ticket, and dense.
    given: whether the mask comes from a file and nothing is scored.
    source: where the rule comes from.
  """
  score: str | Callable[..., Any] = 'random'
  allocation: str | Callable[..., Any] = 'global'
  scored_at: str = 'init'
  rewound_to: str = 'init'
  rounds: int = 1
  rates: str = 'all'
  mask_updates: str = 'fixed'
  prunes: bool = True
  narrows: bool = False
  given: bool = False
  source: str = ''

  @property
  def starts_fresh(self) -> bool:
    """Whether training starts from a sparse network with the weights of its initialisation."""
    return self.prunes and self.rewound_to in ('init', '0') and not self.update.starts_dense

  @property
  def update(self) -> MaskUpdate:
    """How the mask changes in training; raises UsageError if nothing of the name can be had."""
    found = registry.MASK_UPDATES.get(self.mask_updates)
    if not isinstance(found, MaskUpdate):
      raise UsageError(f'mask update {self.mask_updates!r}: expected a MaskUpdate, found {type(found).__name__}')
    return found


class RuleRegistry(registry.Registry):
  """The table of rules, in which the name of a score is a rule too: global allocation, scored at initialisation."""

  def __init__(self, kind: str, entries: Mapping[str, Rule]) -> None:
    super().__init__(kind, entries)

  def names(self) -> list[str]:
    """Returns the names of the rules, and of the scores that have no rule of their name."""
    rules = super().names()
    return rules + [name for name in registry.SCORES.names() if name not in rules]

  def get(self, name: str) -> Rule:
    """Returns the rule called `name`: a row of the table, or a score as a rule.

    Args:
      name: a known name of a rule or score, or `package.module:name` of a `Rule` or score function.

    Raises:
      UsageError: if nothing of that name can be had.
    """
    self.check(name)
    entry = super().get(name) if name in self._entries or ':' in name else None
    if isinstance(entry, Rule):
      return entry
    if name in self._entries:
      raise UsageError(f'{self.kind} {name!r}: expected a tickets_tf.Rule, found {type(entry).__name__}')
    return Rule(score=name, source="a score of the user's own")

  def takes_a_mask(self, name: str) -> bool:
    """Returns whether a row of the table leaves the mask to a file; imports nothing."""
    entry = self._entries.get(name)
    return isinstance(entry, Rule) and entry.given

  def of_a_mask(self) -> str:
    """Returns the name of the first row that leaves the mask to a file."""
    return next(name for name in self._entries if self.takes_a_mask(name))

  def own_code(self, name: str) -> list[object]:
    """As for any table, with the score and the allocation of the rule."""
    rule = self.get(name)
    found = super().own_code(name)
    for table, part in ((registry.SCORES, rule.score), (registry.ALLOCATIONS, rule.allocation),
                        (registry.MASK_UPDATES, rule.mask_updates)):
      found += table.own_code(part) if isinstance(part, str) else [part]
    return found


RULES: RuleRegistry = RuleRegistry('pruner', {
    'random': Rule('random', 'smart', source='random tickets, Su et al. 2020'),
    'magnitude': Rule('magnitude', 'global'),
    'snip': Rule('snip', 'global', source='Lee et al. 2019'),
    'grasp': Rule('grasp', 'global', source='Wang et al. 2020'),
    'synflow': Rule('synflow', 'global', rounds=100, source='Tanaka et al. 2020'),
    'cts': Rule('cts', 'global', '1', 'none', source='concrete ticket search, Arora and Teuscher 2025'),
    'obd': Rule('obd', 'global', 'trained', 'none', source='optimal brain damage, LeCun et al. 1990'),
    'lottery': Rule('magnitude', 'global_convolutions', 'trained', 'init',
                    source='lottery tickets, Frankle and Carbin 2019'),
    'weight_rewinding': Rule('magnitude', 'global_convolutions', 'trained', 'epoch', source='Frankle et al. 2020'),
    'lr_rewinding': Rule('magnitude', 'global_convolutions', 'trained', 'none',
                         source='learning-rate rewinding, Renda et al. 2020'),
    'hybrid': Rule('magnitude', 'smart', 'trained', 'none', source='hybrid tickets, Su et al. 2020'),
    'fine_tune': Rule('magnitude', 'global_convolutions', 'trained', 'none', rates='last',
                      source='trained weights are pruned and trained on at the last learning rate, Han et al. 2015'),
    'gradual': Rule('magnitude', 'global_convolutions', mask_updates='gradual',
                    source='gradual pruning, Zhu and Gupta 2017'),
    'static': Rule('random', 'erk', source='random tickets with ERK ratios, as SET and RigL start from'),
    'set': Rule('random', 'erk', mask_updates='set', source='sparse evolutionary training, Mocanu et al. 2018'),
    'rigl': Rule('random', 'erk', mask_updates='rigl', source='RigL, Evci et al. 2020'),
    'dense': Rule('random', 'uniform', prunes=False, source='nothing is pruned'),
    'narrow': Rule('random', 'smart', prunes=False, narrows=True,
                   source='a dense network of fewer filters, as large as the ticket'),
    'given': Rule('random', 'uniform', given=True, source='the mask of --mask'),
})


def resolve(pruner: str, **choices: Any) -> Rule:
  """Returns the rule that a name and changes of its choices ask for.

  Args:
    pruner: a name in `RULES` or `registry.SCORES`, or `package.module:name` of a score function or `Rule` of one's own.
    **choices: attributes of `Rule` to replace; empty and zero ones keep the rule's.

  Raises:
    UsageError: for a name that is not known.
  """
  return dataclasses.replace(RULES.get(pruner), **{name: value for name, value in choices.items() if value})


def round_ratios(ratio: float, rounds: int) -> list[float]:
  """Returns the pruning ratio after each round; the density falls geometrically.

  After round r of R the density is (1 - ratio)^(r / R) (Tanaka et al. 2020, section 6).

  Args:
    ratio: pruning ratio at the end, in [0, 1).
    rounds: R, at least 1.

  Returns:
    A list of R rising floats, the last of them `ratio`.
  """
  return [1 - (1 - ratio)**(number / rounds) for number in range(1, rounds)] + [ratio]


def check_epoch(flag: str, value: str, words: Sequence[str], epochs: int) -> None:
  """Checks a choice of weights.

  Args:
    flag: name of the flag, for the message.
    value: what was asked for.
    words: tuple of the words that are allowed.
    epochs: epochs of training, the largest number that is allowed.

  Raises:
    UsageError: if the value is neither one of the words nor a number of epochs.
  """
  if value not in words and not (value.isdecimal() and int(value) <= epochs):
    expected = ' or '.join([*words, f'a number of epochs up to {epochs}'])
    raise UsageError(f'--{flag}={value}: expected {expected}')
