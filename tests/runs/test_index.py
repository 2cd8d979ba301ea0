"""The index of a folder's records: never the truth, so it may be old, damaged or gone."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests import example_records
from tickets_tf import files
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.runs import columns
from tickets_tf.runs import index as indexing
from tickets_tf.runs import records
from tickets_tf.runs.columns import Condition
from tickets_tf.runs.index import Index
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

SEEDS = 5


def accuracy(run):
  return 0.5 + 0.01 * run.settings.seed + 0.1 * run.settings.ratio


def add(folder, **settings):
  run = Run(Settings(output_dir=str(folder), **settings))
  run.folder.path.mkdir(exist_ok=True)
  records.write(run.folder.path, example_records.record(run, settled_accuracy=accuracy(run)))
  return run


@pytest.fixture
def runs(tmp_path):
  """The runs of two rules at two ratios, whose records are in `tmp_path`."""
  return [add(tmp_path, pruner=pruner, ratio=ratio, seed=seed)
          for pruner in ('snip', 'random') for ratio in (0.5, 0.9) for seed in range(SEEDS)]


@pytest.fixture
def reads(monkeypatch):
  """The names of the folders whose records have been read."""
  read, found = records.read, []
  monkeypatch.setattr(records, 'read', lambda folder: found.append(folder.name) or read(folder))
  return found


def names(folder, *where):
  with Index(folder) as index:
    return [name for name, in index.rows(['folder'], [Condition.parse(text) for text in where])]


def test_only_what_is_new_or_has_changed_is_read(tmp_path, runs, reads):
  everything = sorted(run.name for run in runs)
  assert names(tmp_path) == everything == sorted(reads)
  reads.clear()
  assert names(tmp_path) == everything and not reads, 'nothing has changed'
  records.write(runs[3].folder.path, example_records.record(runs[3], settled_accuracy=0.25))
  runs[4].folder.record.unlink()
  new = add(tmp_path, pruner='grasp', seed=7)
  with Index(tmp_path) as index:
    assert index.opened == 2 and sorted(reads) == sorted([runs[3].name, new.name])
    assert index.count() == len(runs) and not index.unreadable and not index.unwritten
  assert names(tmp_path, 'settled_accuracy=0.25') == [runs[3].name]
  assert set(names(tmp_path)) == {run.name for run in [*runs, new]} - {runs[4].name}
  # A clock that was set back: the newer file is the older one by its date.
  os.utime(runs[5].folder.record, (1, 1))
  reads.clear()
  assert len(names(tmp_path)) == len(runs) and reads == [runs[5].name]


@pytest.mark.parametrize('spoil', [
    lambda content: b'', lambda content: b'not a database', lambda content: content[:len(content) // 2],
    lambda content: content[:4096] + b'\xff' * (len(content) - 4096),
    lambda content: content[:60] + b'\0\0\0\1' + content[64:]],
    ids=['empty', 'something else', 'torn', 'overwritten', 'of another version'])
def test_an_index_that_is_damaged_or_of_another_version_is_made_anew(spoil, tmp_path, runs, reads):
  everything = names(tmp_path)
  path = tmp_path / indexing.NAME
  path.write_bytes(spoil(path.read_bytes()))
  reads.clear()
  assert names(tmp_path) == everything == sorted(reads)
  reads.clear()
  assert names(tmp_path) == everything and not reads


def test_every_column_holds_what_the_record_does(tmp_path, runs):
  record = records.read(runs[0].folder.path)
  with Index(tmp_path) as index:
    row, = index.rows(list(columns.COLUMNS), [Condition('folder', '=', (runs[0].name,))])
  found = dict(zip(columns.COLUMNS, row, strict=True))
  assert found == {'folder': runs[0].name, **vars(record.settings), 'prunable_weights': record.weights,
                   **{f'seconds_{name}': value for name, value in vars(record.seconds).items()},
                   **{name: getattr(record, name) for name in columns._FIGURES if name != 'prunable_weights'}}


def test_groups_have_the_figures_of_their_records(tmp_path, runs):
  add(tmp_path, pruner='snip', ratio=0.5, seed=2**70)  # SQLite has no such number.
  with Index(tmp_path) as index:
    groups = index.summaries(['pruner', 'ratio'], 'settled_accuracy', [Condition.parse('seed!=1,0'),
                                                                      Condition.parse('seed<5')])
    assert [group.values for group in groups] == [('random', 0.5), ('random', 0.9), ('snip', 0.5), ('snip', 0.9)]
    for group in groups:
      values = [accuracy(run) for run in runs
                if (run.settings.pruner, run.settings.ratio) == group.values and run.settings.seed not in (0, 1)]
      assert group.count == len(values) == SEEDS - 2
      np.testing.assert_allclose([group.mean, group.deviation, group.low, group.high],
                                 [np.mean(values), np.std(values, ddof=1), min(values), max(values)])
    alone, = index.summaries([], 'best_accuracy', [Condition.parse('seed=3'), Condition.parse('pruner=snip'),
                                                  Condition.parse('ratio>0.5')])
    assert (alone.values, alone.count, alone.mean, alone.deviation) == ((), 1, 0.95, None)
    assert index.count([Condition.parse('progress=true')]) == len(runs) + 1


def test_a_record_that_cannot_be_read_is_told_and_left_out(tmp_path, runs, reads):
  runs[2].folder.record.write_text('{')
  for expected in (len(runs), 0):
    reads.clear()
    with Index(tmp_path) as index:
      assert list(index.unreadable) == [runs[2].name] and 'cannot be read' in index.unreadable[runs[2].name]
      assert index.count() == len(runs) - 1 and len(reads) == expected


def test_a_folder_that_cannot_be_written_to_is_read_all_the_same(tmp_path, runs, monkeypatch):
  def full(path):
    raise TicketsError(f'{path}: cannot be written: Read-only file system')

  monkeypatch.setattr(files, 'replacing', full)
  with Index(tmp_path) as index:
    assert index.count() == len(runs) and index.unwritten.endswith('Read-only file system')
  assert not (tmp_path / indexing.NAME).exists()


READS = """
import sys
from tickets_tf.runs.index import Index
most = 0
while most < int(sys.argv[2]):
  with Index(sys.argv[1]) as index:
    assert not index.unreadable and not index.unwritten and index.count() >= most, (index.unreadable, index.unwritten)
    most = index.count()
"""


def test_processes_side_by_side_lose_nothing(tmp_path):
  add(tmp_path, seed=0)
  readers = [subprocess.Popen([sys.executable, '-c', READS, str(tmp_path), '40'], stderr=subprocess.PIPE, text=True)
             for _ in range(2)]
  for seed in range(1, 40):
    add(tmp_path, seed=seed)
  for reader in readers:
    assert reader.wait(60) == 0, reader.stderr.read()
  assert len(names(tmp_path)) == 40
  assert {name for name in os.listdir(tmp_path) if name.startswith('.')} == {indexing.NAME}


@pytest.mark.parametrize('text, expected', [
    ('ratio', 'expected a column, a relation and a value'), ('ratoi=1', 'ratoi: expected a setting, or one of folder'),
    ('ratio=x', 'ratio: expected float values, found x'), ('seed=', 'seed: expected int values, found nothing'),
    ('progress=1', 'progress: expected true or false, found 1'), ('ratio<0.5,0.9', 'expected one value behind'),
    ('ratio=0 OR 1', 'ratio: expected float values'), ("pruner]='x", 'expected a column')])
def test_a_condition_that_cannot_be_met(text, expected):
  with pytest.raises(UsageError, match=expected):
    Condition.parse(text)


def test_a_column_that_is_not_there(tmp_path, runs):
  with Index(tmp_path) as index:
    for asked in (lambda: index.summaries(['sede'], 'kept'), lambda: index.summaries([], 'pruner'),
                  lambda: list(index.rows(['kept]; DROP TABLE records']))):
      with pytest.raises(UsageError, match='expected a'):
        asked()
  with pytest.raises(UsageError, match='nowhere: cannot be read: No such file'):
    Index(tmp_path / 'nowhere')
