"""What folders hold, and what is named and left out."""

import json
import shutil

import pytest

from tests.report import sanity_verdicts
from tests.report.scoreboard import example_runs
from tickets_tf.errors import UsageError
from tickets_tf.judging import verdicts
from tickets_tf.report.scoreboard.found import files
from tickets_tf.report.scoreboard.found import find


@pytest.fixture(scope='module')
def judged(tmp_path_factory):
  path = tmp_path_factory.mktemp('judged') / 'verdicts.json'
  verdicts.write(path, sanity_verdicts.verdicts(('snip',), (0.95,), ('rearrange',)))
  return path


@pytest.fixture
def folder(judged, tmp_path):
  """A folder with the runs of four seeds, and the verdicts of a sanity check, in folders of their own."""
  example_runs.write(tmp_path / 'all' / 'runs', (90, 91, 92, 93), pruner='snip')
  (tmp_path / 'all' / 'sanity').mkdir()
  shutil.copy(judged, tmp_path / 'all' / 'sanity')
  return tmp_path / 'all'


def change(run, **values):
  path = run / 'record.json'
  path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_runs_and_verdicts_are_found_at_any_depth_and_once(folder):
  found = find([folder])
  assert [run.record.seed for run in found.runs] == [0, 1, 2, 3]
  assert [run.folder.parent for run in found.runs] == [folder / 'runs'] * 4
  assert [path for path, _ in found.verdicts] == [folder / 'sanity' / 'verdicts.json']
  assert found.left_out == ()
  assert find([folder / 'runs', folder, folder]).runs == found.runs, 'the same folder twice'
  assert [run.folder for run in find([found.runs[2].folder]).runs] == [found.runs[2].folder], 'a run by itself'
  assert {path.name for path in files([folder])} == {'record.json', 'verdicts.json'}
  assert list(files([folder / 'nowhere'])) == []


def test_links_lead_nowhere_twice(folder):
  (folder / 'runs' / 'again').symlink_to(folder)
  (folder / 'broken').symlink_to(folder / 'nowhere')
  found = find([folder])
  assert len(found.runs) == 4 and len(found.verdicts) == 1 and found.left_out == ()


def test_what_cannot_be_used_is_named_and_the_rest_reported(folder):
  first, second, third, _ = sorted((folder / 'runs').iterdir(), key=lambda path: path.name.partition('seed')[2])
  (first / 'record.json').write_text('{"format": 3, "sett')
  change(second, format=99)
  change(third, settled_accuracy=1.5)
  for name, content in (('theirs', '{"accuracy": 0.9}'), ('list', '[]')):
    (folder / name).mkdir()
    (folder / name / 'record.json').write_text(content)
  begun, hidden, old = (folder / name for name in ('begun', '.hidden', 'old'))
  for path in (begun, hidden, old):
    path.mkdir()
    (path / 'settings.json').write_text('{}')
  (folder / 'old' / 'verdicts.json').write_text('{"format": 1}')
  found = find([folder])
  assert [run.record.seed for run in found.runs] == [3] and len(found.verdicts) == 1
  why = dict(found.left_out)
  assert list(why) == [str(each) for each in (begun, folder / 'list', old, old / 'verdicts.json', first, second, third,
                                              folder / 'theirs')]
  for path, expected in ((begun, 'not finished'), (folder / 'list', 'expected a JSON object'),
                         (old / 'verdicts.json', 'format 1: expected 2'), (first, 'cannot be read'),
                         (second, 'format 99 is newer'), (third, 'settled_accuracy 1.5: expected a number from 0 to 1'),
                         (folder / 'theirs', 'lacks format, settings')):
    assert expected in why[str(path)] and '\n' not in why[str(path)], (path, why[str(path)])


def test_a_run_that_is_there_twice_counts_once(folder):
  run = next((folder / 'runs').iterdir())
  shutil.copytree(run, folder / 'saved' / run.name)
  shutil.copytree(run, folder / 'tried' / run.name)
  change(folder / 'tried' / run.name, settled_accuracy=0.1)
  found = find([folder])
  assert len(found.runs) == 4
  assert found.left_out == (
      (str(folder / 'saved' / run.name), f'the same run as {run}, which counts'),
      (str(folder / 'tried' / run.name), f'the same run as {run}, which counts, with another accuracy'))


def test_an_empty_folder_is_named_and_one_that_is_not_there_is_an_error(folder, tmp_path):
  empty = tmp_path / 'empty'
  empty.mkdir()
  found = find([empty, folder])
  assert len(found.runs) == 4 and found.left_out == ((str(empty), 'holds no run and no verdicts.json'),)
  (tmp_path / 'file').write_text('')
  for name, expected in (('nowhere', 'no such folder'), ('file', 'is no folder')):
    with pytest.raises(UsageError, match=rf'^--runs={tmp_path / name}: {expected}; expected a folder of runs'):
      find([folder, tmp_path / name])
