"""The table of rules, row by row, as the papers have them."""

import pytest

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules
from tickets_tf.pruning.rules import RULES
from tickets_tf.pruning.rules import RuleRegistry

# score, allocation, scored at, rewound to, rounds
ROWS = {
    'random': ('random', 'smart', 'init', 'init', 1),
    'magnitude': ('magnitude', 'global', 'init', 'init', 1),
    'snip': ('snip', 'global', 'init', 'init', 1),
    'grasp': ('grasp', 'global', 'init', 'init', 1),
    'synflow': ('synflow', 'global', 'init', 'init', 100),
    'cts': ('cts', 'global', '1', 'none', 1),
    'obd': ('obd', 'global', 'trained', 'none', 1),
    'lottery': ('magnitude', 'global_convolutions', 'trained', 'init', 1),
    'weight_rewinding': ('magnitude', 'global_convolutions', 'trained', 'epoch', 1),
    'lr_rewinding': ('magnitude', 'global_convolutions', 'trained', 'none', 1),
    'hybrid': ('magnitude', 'smart', 'trained', 'none', 1),
    'fine_tune': ('magnitude', 'global_convolutions', 'trained', 'none', 1),
    'gradual': ('magnitude', 'global_convolutions', 'init', 'init', 1),
    'static': ('random', 'erk', 'init', 'init', 1),
    'set': ('random', 'erk', 'init', 'init', 1),
    'rigl': ('random', 'erk', 'init', 'init', 1),
    'dense': ('random', 'uniform', 'init', 'init', 1),
    'narrow': ('random', 'smart', 'init', 'init', 1),
    'given': ('random', 'uniform', 'init', 'init', 1),
}


def test_the_table_has_these_rules_and_no_other():
  rows, scores = RULES.names()[:len(ROWS)], RULES.names()[len(ROWS):]
  assert rows == list(ROWS) and set(scores) <= set(registry.SCORES.names()) - set(ROWS)


@pytest.mark.parametrize('name', ROWS)
def test_a_row_of_the_table(name):
  row = RULES.get(name)
  assert (row.score, row.allocation, row.scored_at, row.rewound_to, row.rounds) == ROWS[name]
  assert row.prunes == (name not in ('dense', 'narrow')) and row.narrows == (name == 'narrow')
  assert row.mask_updates == (name if name in ('gradual', 'set', 'rigl') else 'fixed')
  assert row.rates == ('last' if name == 'fine_tune' else 'all')
  assert row.given == (name == 'given') == RULES.takes_a_mask(name)


def test_an_entry_that_is_no_rule_is_refused():
  with pytest.raises(UsageError, match=r"pruner 'odd': expected a tickets_tf.Rule, found int"):
    RuleRegistry('pruner', {'odd': 3}).get('odd')


def test_what_a_file_decides_is_a_property_of_the_rule():
  assert RULES.of_a_mask() == 'given'
  assert not rules.RULES.takes_a_mask('json:dumps') and not rules.RULES.takes_a_mask('unknown')
