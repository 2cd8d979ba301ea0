"""What the time of a verdict is divided into."""

import pathlib
import sys

import pytest

from benchmarks import stack_times
from benchmarks import verdict_time
from tickets_tf.errors import UsageError


def test_a_look_counts_for_the_innermost_part():
  found = []

  def here():
    found.append(stack_times.part_of(sys._getframe()))

  def compiled(name, inner):
    code = compile(f'def {inner}(call):\n  call()\n', name, 'exec')
    namespace = {}
    exec(code, namespace)
    return namespace[inner]

  fit, evaluate = compiled('/x/engine/training.py', 'fit'), compiled('/x/engine/training.py', 'evaluate')
  waiting = compiled('/x/multiprocessing/connection.py', 'wait')
  here()
  fit(here)
  fit(lambda: evaluate(here))
  fit(lambda: waiting(here))
  assert found == ['other', 'training', 'evaluation', 'waiting']


def test_the_table_has_medians_and_ratios_of_neighbours():
  def verdict(wall):
    return verdict_time.Verdict(wall, 2 * wall, 12, {'training': wall / 2, 'other': 0.0})

  one, other = ([verdict(wall) for wall in walls] for walls in ((10.0, 20.0, 12.0), (20.0, 44.0, 30.0)))
  lines = verdict_time.table([pathlib.Path('new'), pathlib.Path('old')], [one, other])
  assert lines[0] == '| seconds, 3 each in turn | new | old |'
  assert '| wall time | 12.0 (10.0 to 20.0) | 30.0 (20.0 to 44.0) |' in lines and '| runs | 12 | 12 |' in lines
  assert lines[-1].strip() == ('old over new: wall time 2.20 (2.00 to 2.50), computing 2.20 (2.00 to 2.50)')
  kept = verdict_time.as_json([pathlib.Path('new')], ['--x'], [one])
  assert kept['flags'] == ['--x'] and [each['wall'] for each in kept['checkouts']['new']] == [10.0, 20.0, 12.0]


def test_another_folder_must_be_a_checkout(tmp_path):
  with pytest.raises(UsageError, match=r'--checkout=.*: expected a folder with bin/sanity_check'):
    verdict_time.measure(tmp_path, [])


def test_a_step_is_what_is_executed_in_fit_and_was_traced_before():
  found = []

  def here():
    found.append(stack_times.is_step(sys._getframe(1)))  # The frame of the caller.

  def compiled(name, inner):
    namespace = {}
    exec(compile(f'def {inner}(call):\n  call()\n', name, 'exec'), namespace)
    return namespace[inner]

  fit, execute = compiled('/x/engine/training.py', 'fit'), compiled('/x/eager/execute.py', 'quick_execute')
  trace = compiled('/x/framework/func_graph.py', 'func_graph_from_py_func')
  execute(here)
  fit(lambda: execute(here))
  fit(lambda: trace(lambda: execute(here)))
  fit(here)
  assert found == [False, True, False, False]
