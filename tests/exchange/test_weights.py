"""Masks, weights and batch norm of networks in files of PyTorch, through `read_network`."""

import dataclasses

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from tickets_tf import exchange
from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel

NORM = ('weight', 'bias', 'running_mean', 'running_var')


@dataclasses.dataclass
class Module:
  name: str
  kernel: Kernel | None
  vectors: dict
  channels: int
  after: str = ''


def conv(name, shape, *vectors):
  return Module(name, Kernel(name, shape, 'conv' if len(shape) > 2 else 'dense'), dict.fromkeys(vectors), shape[-1])


def norm(name, channels, after='', vectors=NORM):
  return Module(name, None, dict.fromkeys(vectors), channels, after)


# A residual block whose convolutions and norms all have one shape, and a classifier.
NETWORK = [conv('first', (3, 3, 4, 4)), norm('norm', 4, 'first'), conv('second', (3, 3, 4, 4)),
           norm('norm_2', 4, 'second'), conv('shortcut', (1, 1, 4, 4)), norm('norm_3', 4, 'shortcut'),
           conv('last', (4, 10), 'bias')]


def state_dict(first='conv1', second='conv2', shortcut='downsample.0', norms=('bn1', 'bn2', 'downsample.1')):
  """A state dict in which every value is another."""
  rng = np.random.default_rng(1)
  state = {}
  for name, shape in ((first, (4, 4, 3, 3)), (second, (4, 4, 3, 3)), (shortcut, (4, 4, 1, 1)), ('fc', (10, 4))):
    state[f'{name}.weight'] = rng.normal(size=shape).astype(np.float32)
  for name in norms:
    state |= {f'{name}.{role}': rng.normal(size=4).astype(np.float32) for role in NORM}
    state[f'{name}.num_batches_tracked'] = np.array(7)
  return state | {'fc.bias': rng.normal(size=10).astype(np.float32)}


def read(path, state, network=NETWORK, told=None, missing='fail', layout='auto', **options):
  safetensors.numpy.save_file({name: np.ascontiguousarray(values) for name, values in state.items()}, path)
  with exchange.naming(path), exchange.opened(path) as container:
    return exchange.read_network(container, network, layout, told or {}, missing, **options)


@pytest.fixture
def path(tmp_path):
  return tmp_path / 'a.safetensors'


def line_of(*arguments, **options):
  with pytest.raises(UsageError) as error:
    read(*arguments, **options)
  line = str(error.value)
  assert line.startswith("mask file '") and '\n' not in line
  return line


def check(found, state, names, masks=None):
  """Checks that all values stand where they belong; `names` are those of the file, in the order of NETWORK."""
  for module, name in zip(NETWORK, names, strict=True):
    assert found.names[module.name] == name
    if module.kernel:
      weight = state[f'{name}.weight'] * (masks[f'{name}.weight'] if masks else 1)
      weight = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
      assert np.array_equal(found.weights[module.name] * found.masks[module.name], weight)
      assert np.array_equal(found.masks[module.name], weight != 0)
    for role in module.vectors:
      assert np.array_equal(found.vectors[module.name, role], state[f'{name}.{role}'])


NAMES = ['conv1', 'bn1', 'conv2', 'bn2', 'downsample.0', 'downsample.1', 'fc']


def test_norms_stand_beside_their_convolutions(path):
  state = state_dict()
  check(read(path, state), state, NAMES)
  state = state_dict('features.0', 'features.3', 'skip', ('features.1', 'features.4', 'skip_norm'))
  check(read(path, state), state, ['features.0', 'features.1', 'features.3', 'features.4', 'skip', 'skip_norm', 'fc'])


def test_masks_of_pruning_behind_prefixes(path):
  state = state_dict()
  masks = {name: np.random.default_rng(2).random(values.shape) < 0.5 for name, values in state.items()
           if values.ndim > 1}
  pruned = {}
  for name, values in state.items():
    if name in masks:
      pruned |= {f'{name}_orig': values, f'{name}_mask': masks[name].astype(np.float32)}
    else:
      pruned[name] = values
  prefix = 'model._orig_mod.'
  around, inside, kept = ({f'{prefix}{name}': values for name, values in each.items()}
                          for each in (pruned, state, masks))
  check(read(path, around), inside, [f'{prefix}{name}' for name in NAMES], kept)
  # What is under the masks comes along: other masks could keep it.
  assert np.array_equal(read(path, around).weights['last'], state['fc.weight'].T)
  zeros = 'removed weights are zero in the file: other masks than its own would keep zeros'
  assert zeros not in read(path, around).lines and zeros not in read(path, state).lines
  assert zeros in read(path, {name: values * masks.get(name, 1) for name, values in state.items()}).lines
  assert read(path, {name: values for name, values in pruned.items() if 'mask' in name}).weights is None
  assert read(path, around, masks_only=True).weights is None
  del pruned['conv2.weight_orig']
  assert 'masks without weights: second' in line_of(path, pruned)
  # A bias that is pruned, too.
  pruned |= {'conv2.weight_orig': state['conv2.weight'], 'fc.bias_orig': pruned.pop('fc.bias'),
             'fc.bias_mask': np.arange(10) % 2}
  assert np.array_equal(read(path, pruned).vectors['last', 'bias'], state['fc.bias'] * (np.arange(10) % 2))


def test_masks_of_parametrisations(path):
  state, masks, names = state_dict(), {}, {'conv1': (4, 4, 3, 3), 'conv2': (4, 4, 3, 3), 'fc': (10,)}
  changed = dict(state)
  for name, shape in names.items():
    kept = np.random.default_rng(3).random(shape) < 0.6
    changed[f'{name}.parametrizations.weight.original'] = changed.pop(f'{name}.weight')
    changed[f'{name}.parametrizations.weight.0.mask'] = kept  # That of the last is one of whole outputs.
    masks[f'{name}.weight'] = kept if len(shape) > 1 else np.broadcast_to(kept[:, None], (10, 4))
  check(read(path, changed), state, NAMES, masks | {'downsample.0.weight': True})
  del changed['conv1.parametrizations.weight.0.mask']
  assert 'conv1.parametrizations.weight.original has no mask beside it' in line_of(path, changed)


@pytest.mark.parametrize('name', ['fc.weight_g', 'fc.parametrizations.weight.original1',
                                  'fc.parametrizations.weight.0._u'])
def test_computed_weights_are_refused(path, name):
  state = state_dict() | {name: np.ones((10, 1))}
  assert f'weights that are computed from others, as {name} (10, 1)' in line_of(path, state)
  assert read(path, state, masks_only=True).masks['last'].all()


def test_float8_is_told(path):
  state = state_dict()
  state['fc.weight'] = state['fc.weight'].astype(ml_dtypes.float8_e4m3fn)
  assert 'types that are not read: fc.weight (float8, F8_E4M3); convert them' in line_of(path, state)
  assert 'not read: fc.weight (float8, F8_E4M3)' in read(path, state, missing='dense').lines


def test_what_the_file_lacks(path):
  state = state_dict()
  del state['fc.weight'], state['bn2.running_var'], state['fc.bias']
  assert 'kernels left: last (4, 10); arrays left: none; bin/exchange --missing=dense keeps' in line_of(path, state)
  found = read(path, state, missing='dense')
  assert found.masks['last'].all() and 'last' not in found.weights and found.masks['last'].shape == (4, 10)
  assert 'kept whole, because the file lacks them: last (4, 10)' in found.lines
  assert 'left at their initialisation: all of norm_2, last.bias' in found.lines
  assert {name for name, _ in found.vectors} == {'norm', 'norm_3'}
  # One of two of a shape is not certain, whatever may be missing.
  state = state_dict()
  del state['conv2.weight']
  assert 'kernels left: first (3, 3, 4, 4), second' in line_of(path, state, missing='dense')
  assert 'no array of any kernel' in line_of(path, {'a': np.ones((7, 7))}, missing='dense')
  state = state_dict()
  del state['fc.bias']
  assert 'the file lacks last.bias; say in --names' in line_of(path, state)


def test_what_the_network_lacks(path):
  state = state_dict() | {'conv1.bias': np.zeros(4)}
  read(path, state)
  assert "conv1.bias is used by PyTorch, and the network's first has no bias" in line_of(
      path, state | {'conv1.bias': np.ones(4)})
  network = [norm('norm', 4, 'first', NORM[1:]) if module.name == 'norm' else module for module in NETWORK]
  assert 'bn1.weight is used by PyTorch' in line_of(path, state, network)
  assert ('norm', 'weight') not in read(path, state | {'bn1.weight': np.ones(4)}, network).vectors


def test_a_name_map_tells(path):
  state = state_dict('x', 'y', 'z', ('p', 'q', 'r'))
  assert 'their names do not tell which comes first' in line_of(path, state)
  told = {'first': 'y', 'second': 'x.weight', 'norm': 'q', 'norm_2': 'p', 'norm_3': 'r'}
  found = read(path, state, told=told)
  check(found, state, [*(name for pair in zip('yxz', 'qpr', strict=True) for name in pair), 'fc'])
  assert found.lines[0].endswith(': 2 by map, 2 by shape')
  assert "says 'no' for first (3, 3, 4, 4), and the file has nothing of that name" in line_of(
      path, state, told={'first': 'no'})
  assert "says 'z' for first (3, 3, 4, 4), and the file has the arrays z.weight" in line_of(
      path, state, told={'first': 'z'})
  assert "says 'x' for norm, and the file has no such arrays" in line_of(path, state, told=told | {'norm': 'x'})
  assert "says 'p' for norm_3" in line_of(path, state, told=told | {'norm_3': 'p'})


def test_inputs_in_an_unknown_order_are_asked_for(path):
  values = np.random.default_rng(4).normal(size=(10, 4 * 6 * 2)).astype(np.float32)
  kernel = Kernel('fc', (48, 10), 'dense', unknown_order=True)

  def of(kernel):
    return read(path, {'fc.weight': values}, [Module('fc', kernel, {}, 10)], layout='torch').weights['fc']

  with pytest.raises(UsageError, match=r'inputs of fc may be a flattened map.*"flattened": \[height, width, chan'):
    of(kernel)
  assert np.array_equal(of(dataclasses.replace(kernel, unknown_order=False)), values.T)
  chw = values.reshape(10, 2, 4, 6)
  expected = [chw[:, channel, row, column] for row in range(4) for column in range(6) for channel in range(2)]
  assert np.array_equal(of(dataclasses.replace(kernel, unknown_order=False, flattened=(4, 6, 2))), expected)


def test_the_layout_of_keras_gives_masks_alone(path):
  state = {'a.kernel': np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5) % 3}
  found = read(path, state, [conv('a', (2, 3, 4, 5))])
  assert found.weights is None and found.lines[-1] == ('no weights are taken: the file has them in another layout than '
                                                       'PyTorch\'s')
  assert np.array_equal(found.masks['a'], state['a.kernel'] != 0)
