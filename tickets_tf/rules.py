"""Pruning rules: each is one row of four choices, see section 'A ticket is four choices' of docs/architecture.md."""

import dataclasses

from tickets_tf.registry import Registry


@dataclasses.dataclass(frozen=True)
class Rule:
  """How a ticket is found.

  Attributes:
    score: a name in `registry.SCORES`, `package.module:name`, or a function.
    allocation: a name in `registry.ALLOCATIONS`, `package.module:name`, or a function.
    scored_at: the weights that the score sees: `'init'`, `'trained'`, or an epoch as a string.
    rewound_to: the weights that the ticket starts from: `'init'`, `'none'` (those that were scored), or an epoch.
    prunes: False for a rule that keeps every weight, whatever the ratio.
    source: where the rule comes from.
  """
  score: str = 'random'
  allocation: str = 'global'
  scored_at: str = 'init'
  rewound_to: str = 'init'
  prunes: bool = True
  source: str = ''


RULES = Registry('pruner', {
    'random': Rule('random', 'smart', source='random tickets, Su et al. 2020'),
    'magnitude': Rule('magnitude', 'global'),
    'dense': Rule('random', 'uniform', prunes=False, source='nothing is pruned'),
})


def resolve(pruner, allocation=''):
  """Returns the rule that a run's flags ask for.

  Args:
    pruner: a rule's name, or `package.module:name` of a score function or `Rule` of one's own.
    allocation: replaces the rule's allocation; empty keeps it.

  Returns:
    A `Rule`.

  Raises:
    UsageError: for a name that is not known.
  """
  rule = RULES.get(pruner)
  if not isinstance(rule, Rule):
    rule = Rule(score=pruner, source='a score of the user\'s own')
  return dataclasses.replace(rule, allocation=allocation) if allocation else rule
