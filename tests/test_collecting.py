"""The pause of the search for garbage while packages are imported."""

import gc
import subprocess
import sys

import pytest

from tickets_tf import collecting


def test_what_a_pause_leaves_is_not_searched_again():
  code = ('import gc\nfrom tickets_tf import collecting\n'
          'with collecting.paused():\n  assert not gc.isenabled()\n  kept = [[] for _ in range(1000)]\n'
          'assert gc.isenabled() and gc.get_freeze_count() > 1000')
  assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0


def test_who_collects_nothing_goes_on_so():
  before = gc.get_freeze_count()
  gc.disable()
  try:
    with collecting.paused():
      pass
    assert not gc.isenabled() and gc.get_freeze_count() == before
  finally:
    gc.enable()


def test_a_failed_import_ends_the_pause():
  with pytest.raises(ImportError), collecting.paused():
    raise ImportError
  assert gc.isenabled()
