"""Random tickets that differ in their layer ratios alone, to see which ratios win.

    bin/sanity_check --pruners=examples.layer_ratios:BALANCED,examples.layer_ratios:PYRAMIDAL --checks=none --nonarrow

Smart ratios are luck itself, with which each is compared.
"""

from tickets_tf import Rule

BALANCED = Rule('random', 'balanced')
PYRAMIDAL = Rule('random', 'pyramidal')
ERK = Rule('random', 'erk')
ER = Rule('random', 'er')
UNIFORM = Rule('random', 'uniform')
