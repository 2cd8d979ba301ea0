"""bin/exchange as a user runs it: a ticket to PyTorch's files and back into a run."""

import json
import pathlib

import numpy as np
import pytest
import safetensors.numpy

from tests import small_network
from tests.bin import warm
from tickets_tf.runs import records

ROOT = pathlib.Path(__file__).parents[2]
NETWORK = [f'--model={small_network.NAME}', '--width=4', '--train_examples=100', '--noprogress', '--notensorboard',
           '--noexport']


def call(program, *arguments, cwd):
  done = warm.call(program, *arguments, cwd=cwd)
  assert done.returncode == 0, done.stderr
  return done.stdout.splitlines()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A folder with a trained ticket in runs/, and the ticket for PyTorch in torch/."""
  folder = tmp_path_factory.mktemp('exchange')
  call('train', '--ratio=0.8', '--epochs=1', *NETWORK, cwd=folder)
  run, = (folder / 'runs').iterdir()
  lines = call('exchange', f'--run={run}', '--to=torch', '--output=torch', cwd=folder)
  assert lines[0].endswith('model.safetensors: 17 arrays, weight_orig and weight_mask of 3 kernels, as '
                           'torch.nn.utils.prune names them')
  assert sorted(path.name for path in (folder / 'torch').iterdir()) == ['model.safetensors', 'names.json', 'network.py']
  return folder


@pytest.fixture(scope='module')
def record(folder):
  run, = (folder / 'runs').iterdir()
  return records.read(run)


def test_a_ticket_comes_back_as_it_was(folder, record):
  lines = call('exchange', '--from=torch/model.safetensors', '--output=taken', '--output_dir=back', *NETWORK,
               cwd=folder)
  run, = (folder / 'back').iterdir()
  back = records.read(run)
  assert lines[-1] == f'run: {run.relative_to(folder)}'
  assert (back.mask, back.settings.epochs, back.best_epoch) == (record.mask, 0, 0)
  assert back.settings.weights == 'taken/network.weights.h5' and back.settings.mask == 'taken/mask.npz'
  assert (back.final_accuracy, back.test_loss) == (record.final_accuracy, pytest.approx(record.test_loss))
  assert back.best_accuracy == back.final_accuracy
  assert json.loads((folder / 'taken' / 'names.json').read_text()) == {
      name: name for name in ('conv1', 'conv2', 'classifier', 'norm1', 'norm2')}
  assert any(line.startswith('normalisation computes with epsilon=0.001 here') for line in lines)
  # The weights are part of what the run is.
  (folder / 'taken' / 'network.weights.h5').write_bytes(b'other')
  done = warm.call('train', '--mask=taken/mask.npz', '--weights=taken/network.weights.h5', '--output_dir=back',
                   '--epochs=0', *NETWORK, cwd=folder)
  assert done.returncode == 2 and '--weights=taken/network.weights.h5: ' in done.stderr and done.stderr.count('\n') == 1


def test_a_network_with_names_of_its_own_needs_a_map(folder):
  state = safetensors.numpy.load_file(folder / 'torch' / 'model.safetensors')
  renamed = {name.replace('norm', 'b').replace('conv', 'a'): values for name, values in state.items()}
  more = {name.replace('b1', 'b9'): values for name, values in renamed.items() if name.startswith('b1.')}
  safetensors.numpy.save_file(renamed | more, folder / 'own.safetensors')
  done = warm.call('exchange', '--from=own.safetensors', '--output=own', *NETWORK, cwd=folder)
  assert done.returncode == 2 and 'the file lacks all of norm1; say in --names' in done.stderr
  assert done.stderr.count('\n') == 1
  lines = call('exchange', '--from=own.safetensors', '--output=own', '--names=?', *NETWORK, cwd=folder)
  assert '  b1.running_mean (4,)' in lines
  template = json.loads((folder / 'own' / 'names.json').read_text())
  assert template['conv1'] == 'a1' and template['norm1'] is None
  names = {name: found or name.replace('norm', 'b') for name, found in template.items()}
  (folder / 'map.json').write_text(json.dumps(names))
  lines = call('exchange', '--from=own.safetensors', '--output=own', '--names=map.json', '--masks_only', *NETWORK,
               cwd=folder)
  assert lines[-1] == 'own/mask.npz: the mask, for --mask' and not (folder / 'own' / 'network.weights.h5').exists()
  (folder / 'map.json').write_text(json.dumps(names | {'norm7': 'b7'}))
  done = warm.call('exchange', '--from=own.safetensors', '--output=own', '--names=map.json', *NETWORK, cwd=folder)
  assert done.returncode == 2 and '--names=map.json: no layers of the network: norm7; ' in done.stderr


def test_masks_without_weights_make_no_run(folder):
  state = safetensors.numpy.load_file(folder / 'torch' / 'model.safetensors')
  masks = {name: values for name, values in state.items() if name.endswith('mask')}
  np.savez(folder / 'masks.npz', **masks)
  lines = call('exchange', '--from=masks.npz', '--output=masks', '--output_dir=none', *NETWORK, cwd=folder)
  assert lines[-2:] == ['no weights are taken: the file has masks alone', 'masks/mask.npz: the mask, for --mask']
  assert not (folder / 'none').exists()


@pytest.mark.parametrize('arguments, expected', [
    ([], 'one of --run and --from is needed'), (['--run=a', '--from=b'], 'one of --run and --from is needed'),
    (['--run=a'], '--output is needed'), (['--to=keras'], 'flag --to=keras'),
    (['--from=a.npz', '--output=b'], '--from=a.npz: there is no such file'),
    (['--from=a.npz', '--output=b', '--mask=c'], '--mask: does not go with --from'),
    (['--run=nowhere', '--output=b'], 'nowhere'),
    ([f'--from={ROOT / "setup.py"}', '--output=b'], 'setup.py\': the name must end in .npz or .safetensors')])
def test_bad_usage_is_one_line(arguments, expected, tmp_path):
  done = warm.call('exchange', *arguments, cwd=tmp_path)
  assert done.returncode == 2 and expected in done.stderr and done.stderr.count('\n') == 1
  assert not list(tmp_path.iterdir())
