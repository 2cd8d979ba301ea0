"""The cores and the memory that a process may use."""

import pytest

from tickets_tf import machine


@pytest.fixture
def groups(monkeypatch, tmp_path):
  """A control group in another one, which this process is taken to be in: (the inner folder, the outer folder)."""
  outer, inner = tmp_path / 'job', tmp_path / 'job' / 'step'
  inner.mkdir(parents=True)
  monkeypatch.setattr(machine, '_groups', lambda: [inner, outer, tmp_path])
  return inner, outer


def limit(folder, most, taken=0, kept=0):
  (folder / 'memory.max').write_text(f'{most}\n')
  (folder / 'memory.current').write_text(f'{taken}\n')
  (folder / 'memory.stat').write_text(f'anon 5\ninactive_file {kept}\n')


def test_this_machine_has_cores_and_memory():
  assert machine.cores() >= 1
  assert 0 < machine.free_memory() <= machine.memory() and 0 < machine.own_memory() < machine.memory()
  assert all(folder.is_dir() for folder in machine._groups())


def test_a_group_and_those_above_it_may_have_less(groups):
  inner, outer = groups
  limit(outer, 3_000_000, 2_500_000, 100_000)
  limit(inner, 2_000_000, 200_000)
  assert (machine.memory(), machine.free_memory()) == (2_000_000, 600_000)
  (outer / 'cpu.max').write_text('100000 100000\n')
  (inner / 'cpu.max').write_text('max 100000\n')
  assert machine.cores() == 1
  (outer / 'cpu.max').write_text('50000 100000\n')
  assert machine.cores() == 1, 'half a core is one'


def test_what_is_not_limited_is_the_machine_s(groups):
  limit(groups[0], 'max')
  (groups[0] / 'cpu.max').write_text('max 100000\n')
  assert machine.memory() > 3_000_000


def test_the_first_version_of_groups_has_other_names(groups):
  (groups[0] / 'memory.limit_in_bytes').write_text('1000000\n')
  (groups[0] / 'memory.usage_in_bytes').write_text('400000\n')
  assert (machine.memory(), machine.free_memory()) == (1_000_000, 600_000)
