import os

import pytest

from tickets_tf import files
from tickets_tf.errors import TicketsError


def test_a_file_is_replaced_whole(tmp_path):
  path = tmp_path / 'x.txt'
  files.write_text(path, 'one')
  files.write_text(path, 'two')
  assert path.read_text() == 'two' and os.listdir(tmp_path) == ['x.txt']


def test_a_failure_leaves_what_was_there(tmp_path):
  path = tmp_path / 'x.txt'
  files.write_text(path, 'one')
  with (pytest.raises(TicketsError, match=r'x\.txt: cannot be written: No space left'),
        files.replacing(path) as temporary):
    temporary.write_text('tw')
    raise OSError(28, 'No space left on device')
  assert path.read_text() == 'one' and os.listdir(tmp_path) == ['x.txt']


def test_a_folder_is_replaced_whole(tmp_path):
  for content in ('one', 'two'):
    with files.replacing(tmp_path / 'made') as temporary:
      (temporary / 'inner').mkdir(parents=True)
      (temporary / 'inner' / content).write_text(content)
  assert os.listdir(tmp_path) == ['made'] and os.listdir(tmp_path / 'made' / 'inner') == ['two']


def test_a_bug_is_not_taken_for_a_full_disk(tmp_path):
  with pytest.raises(KeyError), files.replacing(tmp_path / 'x') as temporary:
    temporary.write_text('x')
    raise KeyError('bug')
  assert os.listdir(tmp_path) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(TicketsError, match='file/x: cannot be written: Not a directory'):
    files.write_text(tmp_path / 'file' / 'x', 'x')
