"""The notebook in examples/, executed as it stands."""

import pathlib
import re

import pytest

nbclient = pytest.importorskip('nbclient', reason='the extra test has it')
nbformat = pytest.importorskip('nbformat', reason='the extra test has it')
pytest.importorskip('ipykernel', reason='the extra test has it')

ROOT = pathlib.Path(__file__).parents[1]
PATHS = sorted((ROOT / 'examples').glob('*.ipynb'))


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.name)
def test_nothing_that_was_executed_is_kept(path):
  notebook = nbformat.read(path, as_version=4)
  nbformat.validate(notebook)
  for cell in notebook.cells:
    if cell.cell_type == 'code':
      assert cell.outputs == [] and cell.execution_count is None and not cell.metadata, 'clear all outputs, then save'


def test_a_method_is_judged_in_five_cells(tmp_path, monkeypatch):
  # The kernel is a process of its own, which has to find this checkout.
  monkeypatch.setenv('PYTHONPATH', str(ROOT))
  monkeypatch.setenv('JUPYTER_RUNTIME_DIR', str(tmp_path / 'kernel'))
  notebook = nbformat.read(ROOT / 'examples' / 'judge_a_method.ipynb', as_version=4)
  cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
  assert len(cells) == 5
  nbclient.NotebookClient(notebook, timeout=240, kernel_name='python3',
                          resources={'metadata': {'path': str(tmp_path)}}).execute()
  *before, _, table, page = cells
  assert not any(cell.outputs for cell in before)
  [printed] = table.outputs
  # Random places within a layer cost it some twenty points, and random tickets are as far below it.
  assert 'lamp (global) at ratio 0.9: beats luck by [' in printed.text
  assert re.search(r'\n +rearrange +3 .* uses it, worth more than 1\n', printed.text)
  [shown] = page.outputs
  html = shown.data['text/html']
  assert html.startswith('<iframe') and html.count('&lt;svg') >= 4
  # No scripts, no network, and the frame's own text ends where it should.
  assert html.count('<') == 2 and '&lt;script' not in html
  assert len(list((tmp_path / 'runs').glob('digits-plain-lamp-0.9-*'))) == 6
