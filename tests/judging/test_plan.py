"""What a sanity check asks, and the command that asks it again."""

import dataclasses

from tests.planted_runs import BASE
from tickets_tf.judging.plan import Plan


def test_the_command_makes_the_same_plan():
  plan = Plan(dataclasses.replace(BASE, jit=True, data_dir='a b'), ('snip', 'my.mod:fn'), (0.9, 0.98),
                     ('invert',), None, controls=True)
  assert plan.command() == ("bin/sanity_check --pruners=snip,my.mod:fn --ratios=0.9,0.98 --checks=invert --seeds=auto "
                            "--controls --data_dir='a b' --epochs=4 --jit")
  assert dataclasses.replace(plan, minutes=5.0, parallel=3).command() == plan.command(), 'the judgements are the same'


def test_the_command_keeps_what_is_set_to_nothing():
  plan = Plan(dataclasses.replace(BASE, milestones=''), ('snip',), (0.9999999,), seeds=3)
  assert plan.command() == "bin/sanity_check --pruners=snip --ratios=0.9999999 --seeds=3 --epochs=4 --milestones=''"


def test_a_plan_is_of_the_rule_of_its_settings():
  plan = Plan(dataclasses.replace(BASE, pruner='snip', ratio=0.7))
  assert (plan.pruners, plan.ratios) == (('snip',), (0.7,))
