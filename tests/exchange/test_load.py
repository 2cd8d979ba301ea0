"""Masks out of files of other programs, through `load_mask`."""

import os
import pickle
import re

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import tf_keras as keras

import tickets_tf
from tickets_tf import sparse
from tickets_tf.experiment import tickets
from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask, load_mask


@pytest.fixture(scope='module')
def model():
  """A pruned ResNet8 of width 4."""
  model = tickets_tf.build_model('resnet8', (8, 8, 3), 10, width=4)
  model.set_weights(tickets.find_ticket(model, 'random', 0.7, seed=5).weights)
  return model


@pytest.fixture(scope='module')
def kernels(model):
  return tickets_tf.prunable_kernels(model)


@pytest.fixture(scope='module')
def mask(kernels):
  return Mask((kernel.name, kernel.variable.numpy() != 0) for kernel in kernels)


TORCH = {'conv1': 'conv1', 'conv2': 'conv2', 'shortcut': 'downsample.0'}


def torch_name(name):
  """The name of a kernel of our ResNet in torchvision's ResNets."""
  if name in ('conv1', 'classifier'):
    return {'conv1': 'conv1', 'classifier': 'fc'}[name]
  stage, block, part = re.fullmatch(r'stage(\d)_block(\d)_(.*)', name).groups()
  return f'layer{stage}.{int(block) - 1}.{TORCH[part]}'


def torch_order(array):
  return np.ascontiguousarray(array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T)


def state_dict(kernels):
  """What PyTorch would have in a state dict, in the order of torchvision."""
  state = {}
  for kernel in kernels:
    name = torch_name(kernel.name)
    state[f'{name}.weight'] = torch_order(kernel.variable.numpy())
    if kernel.kind == 'conv':
      norm = name.replace('conv', 'bn').replace('downsample.0', 'downsample.1')
      state |= {f'{norm}.{part}': np.ones(kernel.shape[-1], np.float32)
                for part in ('weight', 'bias', 'running_mean', 'running_var')}
      state[f'{norm}.num_batches_tracked'] = np.zeros(1, np.int64)
    else:
      state[f'{name}.bias'] = np.zeros(kernel.shape[-1], np.float32)
  return state


def test_state_dict_of_torch(kernels, mask, tmp_path):
  safetensors.numpy.save_file(state_dict(kernels), tmp_path / 'a.safetensors')
  np.savez(tmp_path / 'a.npz', **state_dict(kernels))
  for path in (tmp_path / 'a.safetensors', str(tmp_path / 'a.npz')):
    assert load_mask(path, kernels) == load_mask(path, kernels, 'torch') == mask


def test_report_has_a_line_for_each_kernel(kernels, mask, tmp_path):
  state = {f'module.{name}': values for name, values in state_dict(kernels).items()}
  safetensors.numpy.save_file({**state, 'extra': np.ones((7, 7))}, tmp_path / 'a.safetensors')
  lines = []
  load_mask(tmp_path / 'a.safetensors', kernels, report=lines.append)
  assert lines[0] == '10 kernels found in weights, whose zeros are removed: 1 by name, 7 by shape, 2 by order'
  rows = dict(zip(mask.names, (re.sub(' +', ' ', line) for line in lines[1:11]), strict=True))
  kept = {name: f'{ratio:.1%}' for name, ratio in zip(mask.names, mask.keep_ratios, strict=True)}
  assert rows['conv1'] == f'module.conv1.weight (4, 3, 3, 3) OIHW -> conv1 3x3x3x4, kept {kept["conv1"]}, by name'
  name = 'stage1_block1_conv2'
  assert rows[name] == (f'module.layer1.0.conv2.weight (4, 4, 3, 3) OIHW -> {name} 3x3x4x4, kept {kept[name]}, '
                        'by order')
  name = 'stage2_block1_shortcut'
  assert rows[name] == (f'module.layer2.0.downsample.0.weight (8, 4, 1, 1) OIHW -> {name} 1x1x4x8, '
                        f'kept {kept[name]}, by shape')
  assert rows['classifier'] == (f'module.fc.weight (10, 16) OI -> classifier 16x10, kept {kept["classifier"]}, '
                                'by shape')
  assert lines[11:] == [f'kept {mask.kept:,} of {mask.size:,} weights, {mask.density:.2%}', 'not used: extra (7, 7)']


def test_report_says_what_is_odd(kernels, tmp_path):
  def lines_of(arrays):
    lines = []
    np.savez(tmp_path / 'a.npz', **arrays)
    load_mask(tmp_path / 'a.npz', kernels, report=lines.append)
    return lines

  dense = {kernel.name: np.full(kernel.shape, 0.5) for kernel in kernels}
  assert lines_of(dense)[-1] == '0 weights are zero: probably a network that was never pruned'
  dense['classifier'][3, 3] = 0
  assert lines_of(dense)[-1] == '1 weights are zero: probably a network that was never pruned'
  dense['classifier'][4] = 0
  assert lines_of(dense)[-1].startswith('kept')
  assert lines_of(dense)[0].startswith('10 kernels found in weights, whose zeros are removed')
  assert lines_of({**dense, 'conv1': np.zeros((3, 3, 3, 4))})[-1] == 'kernels that keep nothing: conv1'
  assert lines_of({name: values > 0 for name, values in dense.items()})[0].startswith('10 kernels found in masks:')
  assert lines_of({**dense, 'conv1': np.ones((3, 3, 3, 4))})[0].startswith('10 kernels found in masks and weights:')


@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int32, np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_masks_of_any_dtype(kernels, mask, tmp_path, dtype):
  arrays = {f'{name}_mask': array.astype(dtype) for name, array in mask.items()}
  if dtype != ml_dtypes.bfloat16:  # NumPy's own format does not know it.
    np.savez(tmp_path / 'a.npz', **arrays)
    assert load_mask(tmp_path / 'a.npz', kernels) == mask
  if dtype != np.float64:
    safetensors.numpy.save_file(arrays, tmp_path / 'a.safetensors')
    assert load_mask(tmp_path / 'a.safetensors', kernels) == mask


@pytest.mark.parametrize('name', ['{}_mask', '{}/mask:0', 'masks.{}', '{}.weight_mask'])
def test_soft_masks_are_refused(kernels, mask, tmp_path, name):
  """Their values would all be kept, as if nothing were removed."""
  arrays = {name.format(each): array.astype(np.float32) for each, array in mask.items()}
  first = next(iter(arrays))
  arrays[first] = arrays[first] * 0.98 + 0.01
  np.savez(tmp_path / 'a.npz', **arrays)
  size = arrays[first].size
  expected = rf'^mask file .*a\.npz.*{re.escape(first)} is a soft mask: {size} of its {size} values are between 0 and '
  with pytest.raises(UsageError, match=expected) as found:
    load_mask(tmp_path / 'a.npz', kernels, 'keras')
  assert '\n' not in str(found.value)


def test_weights_under_names_that_say_mask_are_weights(tmp_path):
  kernels = [Kernel('mask_head', (2, 3), 'dense')]
  np.savez(tmp_path / 'a.npz', **{'mask_head': np.array([[0, 0.5, -0.5], [0.2, 0, 0.1]])})
  assert load_mask(tmp_path / 'a.npz', kernels, 'keras')['mask_head'].sum() == 4


def test_negative_zeros_are_removed_too(tmp_path):
  kernels = [Kernel('a', (2, 3), 'dense')]
  np.savez(tmp_path / 'a.npz', a=np.array([[-0.0, 0.0, 1e-45], [-1, 2, 3]], np.float32))
  assert load_mask(tmp_path / 'a.npz', kernels)['a'].tolist() == [[False, False, True], [True, True, True]]


def test_pruned_modules_of_torch(kernels, mask, tmp_path):
  """`torch.nn.utils.prune` keeps dense weights as weight_orig, and the mask beside them."""
  state = {name.replace('.weight', '.weight_orig') if values.ndim > 1 else name: values + 1
           for name, values in state_dict(kernels).items()}
  state |= {f'{torch_name(name)}.weight_mask': torch_order(array).astype(np.float32) for name, array in mask.items()}
  safetensors.numpy.save_file(state, tmp_path / 'a.safetensors')
  assert load_mask(tmp_path / 'a.safetensors', kernels) == mask


@pytest.mark.filterwarnings('ignore:You are saving your model as an HDF5 file')
@pytest.mark.parametrize('name', ['a.weights.h5', 'a.h5', 'a.keras', 'model.h5'])
def test_weights_of_keras(model, kernels, mask, tmp_path, name):
  model.compile('adam', 'mse')
  model.optimizer.build(model.trainable_variables)  # Momenta are no weights.
  if name in ('a.keras', 'model.h5'):
    model.save(tmp_path / name)
  else:
    model.save_weights(tmp_path / name)
  assert load_mask(tmp_path / name, kernels) == mask


def counted_network(widths=(4, 4, 4)):
  """A network whose layers Keras names by counting, a shortcut of the shape of another convolution included."""
  inputs = keras.Input((8, 8, 4))
  shortcut = keras.layers.Conv2D(widths[1], 3, padding='same')(inputs)
  x = inputs
  for width in widths:
    x = keras.layers.Conv2D(width, 3, padding='same')(x)
  x = keras.layers.Add()([x, shortcut])
  return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize('name', ['a.weights.h5', 'a.h5', 'a.keras', 'a.npz', 'a.safetensors'])
def test_networks_whose_layers_were_counted_in_another_session(tmp_path, name):
  model, other = counted_network(), counted_network()
  kernels, others = tickets_tf.prunable_kernels(model), tickets_tf.prunable_kernels(other)
  assert {layer.name for layer in model.layers} != {layer.name for layer in other.layers}
  assert [kernel.name for kernel in kernels] == [kernel.name for kernel in others], 'names follow the structure'
  mask = tickets.find_ticket(other, 'random', 0.5, seed=1).mask
  for kernel in others:
    kernel.variable.assign(mask[kernel.name] * 0.3)
  if name.endswith('.npz'):
    np.savez(tmp_path / name, **{weight.name: weight.numpy() for weight in other.weights})
  elif name.endswith('.safetensors'):
    safetensors.numpy.save_file({weight.name: weight.numpy() for weight in other.weights}, tmp_path / name)
  elif name.endswith('.keras'):
    other.save(tmp_path / name)
  else:
    other.save_weights(tmp_path / name)
  assert all(map(np.array_equal, load_mask(tmp_path / name, kernels, 'keras').arrays, mask.arrays))


def test_networks_still_in_tfmots_wrappers(model, kernels, tmp_path):
  mask = tickets.find_ticket(model, 'random', 0.5, seed=2).mask
  copy = keras.models.clone_model(model)
  sparse.wrap(copy, mask).save_weights(tmp_path / 'a.h5')
  assert load_mask(tmp_path / 'a.h5', kernels) == mask


def test_dense_layers_behind_a_flattened_map(tmp_path):
  inputs = keras.Input((4, 6, 3))
  x = keras.layers.Conv2D(5, 3, name='conv')(inputs)
  x = keras.layers.Flatten()(keras.layers.ReLU()(x))
  model = keras.Model(inputs, keras.layers.Dense(7, name='fc')(keras.layers.Dropout(0.5)(x)))
  kernels = tickets_tf.prunable_kernels(model)
  assert [kernel.flattened for kernel in kernels] == [None, (2, 4, 5)]
  mask = tickets.find_ticket(model, 'random', 0.5, seed=1).mask
  # As PyTorch counts: output, then channel, row and column.
  fc = np.zeros((7, 5, 2, 4), bool)
  for row, column, channel, output in np.ndindex(2, 4, 5, 7):
    fc[output, channel, row, column] = mask['fc'][(row * 4 + column) * 5 + channel, output]
  np.savez(tmp_path / 'a.npz', **{'conv.weight': torch_order(mask['conv']), 'fc.weight': fc.reshape(7, -1)})
  lines = []
  assert load_mask(tmp_path / 'a.npz', kernels, report=lines.append) == mask
  assert lines[2].endswith('by name, inputs from channels first to channels last')
  assert not lines[1].endswith('channels last')


def test_masks_of_this_package_fit_other_names(mask, kernels, tmp_path):
  renamed = [Kernel(f'inner/part{index}', kernel.shape, kernel.kind) for index, kernel in enumerate(kernels)]
  for name in ('mask.npz', 'mask.safetensors'):
    mask.save(tmp_path / name)
    lines = []
    assert load_mask(tmp_path / name, kernels, 'torch', lines.append) == mask
    assert lines[0] == '10 kernels found in masks: 10 by name'
    found = load_mask(tmp_path / name, renamed)
    assert found.names == [kernel.name for kernel in renamed]
    assert all(map(np.array_equal, found.arrays, mask.arrays))
    with pytest.raises(UsageError, match=rf'{name}.*kernels left: inner/part0.*arrays left: conv1'):
      load_mask(tmp_path / name, [Kernel('inner/part0', (3, 3, 3, 5), 'conv')])


def test_kernels_are_needed_for_files_of_other_programs(kernels, tmp_path):
  np.savez(tmp_path / 'a.npz', a=np.ones((2, 3)))
  safetensors.numpy.save_file({'a': np.ones((2, 3), np.float32)}, tmp_path / 'a.safetensors')
  (tmp_path / 'a.h5').touch()
  for name in ('a.npz', 'a.safetensors', 'a.h5'):
    with pytest.raises(UsageError, match=rf'{name}.*not a mask that tickets_tf wrote; .* give the kernels'):
      load_mask(tmp_path / name)
    with pytest.raises(UsageError, match=rf'^mask file .*{name}'):
      load_mask(tmp_path / name, kernels)


def test_mismatch_is_one_line_that_names_the_file(kernels, tmp_path):
  arrays = {torch_name(kernel.name): np.ones(kernel.shape) for kernel in kernels[:-1]}
  np.savez(tmp_path / 'a.npz', **arrays, fc=np.ones((16, 100)))
  with pytest.raises(UsageError, match=r"^mask file '.*a\.npz': kernels and arrays .*; "
                                       r'kernels left: classifier \(16, 10\); arrays left: fc \(16, 100\)$'):
    load_mask(tmp_path / 'a.npz', kernels)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_weights_that_are_not_finite_are_an_error(tmp_path, bad):
  np.savez(tmp_path / 'a.npz', a=np.array([[1, bad, 0]]))
  with pytest.raises(UsageError, match=r'a\.npz.*: a holds NaN or infinite values'):
    load_mask(tmp_path / 'a.npz', [Kernel('a', (1, 3), 'dense')])


def test_ambiguous_and_unknown_layouts(tmp_path):
  values = np.array([[1, 0], [1, 1]])
  np.savez(tmp_path / 'a.npz', a=values)
  kernels = [Kernel('a', (2, 2), 'dense')]
  with pytest.raises(UsageError, match=r'a\.npz.*layout keras or torch'):
    load_mask(tmp_path / 'a.npz', kernels)
  assert np.array_equal(load_mask(tmp_path / 'a.npz', kernels, 'keras')['a'], values)
  assert np.array_equal(load_mask(tmp_path / 'a.npz', kernels, 'torch')['a'], values.T)
  with pytest.raises(UsageError, match="layout 'oihw': expected auto or keras or torch"):
    load_mask(tmp_path / 'a.npz', kernels, 'oihw')


@pytest.mark.parametrize('suffix', ['.pt', '.pth', '.pkl', '.bin', '.ckpt', '.pth.tar'])
def test_pickles_are_refused_with_a_way_out(kernels, tmp_path, suffix):
  (tmp_path / f'a{suffix}').write_bytes(pickle.dumps({}))
  with pytest.raises(UsageError, match=rf'a\{suffix}.*can hold code and are not read; .*safetensors\.torch\.save_file'):
    load_mask(tmp_path / f'a{suffix}', kernels)


class Payload:
  """Sets `loaded` when it is unpickled."""
  loaded = False

  def __reduce__(self):
    return setattr, (Payload, 'loaded', True)


@pytest.mark.parametrize('name', ['a.npz', 'a.safetensors', 'a.h5', 'a.keras'])
def test_never_unpickles(tmp_path, name):
  kernels = [Kernel('a', (1, 2), 'dense')]
  (tmp_path / name).write_bytes(pickle.dumps(Payload()))
  with pytest.raises(UsageError, match=name):
    load_mask(tmp_path / name, kernels)
  np.savez(tmp_path / 'object.npz', a=np.array([[Payload(), Payload()]], dtype=object))
  with pytest.raises(UsageError, match=r'object\.npz.*arrays left: none'):
    load_mask(tmp_path / 'object.npz', kernels)
  assert not Payload.loaded
  pickle.loads(pickle.dumps(Payload()))
  assert Payload.loaded  # The payload would have shown.
  Payload.loaded = False


@pytest.fixture(params=['a.npz', 'a.safetensors', 'a.weights.h5', 'a.h5', 'a.keras'])
def stored(request, tmp_path):
  """A file of one small pruned network, its kernels and its mask."""
  model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 3, name='conv'), keras.layers.Flatten(),
                            keras.layers.Dense(3, name='fc')])
  kernels = tickets_tf.prunable_kernels(model)
  mask = Mask({'conv': np.arange(18).reshape(3, 3, 1, 2) % 2, 'fc': np.arange(24).reshape(8, 3) % 3 > 0})
  for kernel in kernels:
    kernel.variable.assign(mask[kernel.name] * 0.3)
  path = tmp_path / request.param
  arrays = {f'{kernel.name}.kernel': kernel.variable.numpy() for kernel in kernels}
  if path.suffix == '.npz':
    np.savez_compressed(path, **arrays)
  elif path.suffix == '.safetensors':
    safetensors.numpy.save_file(arrays, path)
  elif path.suffix == '.keras':
    model.save(path)
  else:
    model.save_weights(path)
  assert load_mask(path, kernels) == mask
  return path, kernels, mask


def test_truncated_files(stored):
  path, kernels, _ = stored
  whole = path.read_bytes()
  for length in np.linspace(0, len(whole) - 1, 40, dtype=int):
    path.write_bytes(whole[:length])
    with pytest.raises(UsageError, match=rf'^mask file .*{path.name}'):
      load_mask(path, kernels)


def test_missing_files_and_folders(stored):
  path, kernels, _ = stored
  os.remove(path)
  for each in (kernels, None):
    with pytest.raises(UsageError, match=rf'{path.name}.*there is no such file'):
      load_mask(path, each)
  path.mkdir()
  for each in (kernels, None):
    with pytest.raises(UsageError, match=rf'^mask file .*{path.name}'):
      load_mask(path, each)


def test_recurrent_kernels_are_read_in_keras_layout_alone(tmp_path):
  inputs = keras.Input((4, 3))
  model = keras.Model(inputs, keras.layers.Dense(2, name='last')(keras.layers.GRU(5, name='gru')(inputs)))
  kernels = tickets_tf.prunable_kernels(model)
  mask = tickets.find_ticket(model, 'random', 0.5, seed=2).mask
  own = {name: array.astype(np.uint8) for name, array in mask.items()}
  safetensors.numpy.save_file(own, tmp_path / 'a.safetensors')
  assert load_mask(tmp_path / 'a.safetensors', kernels, 'keras') == mask
  torch = {name: np.ascontiguousarray(array.T).astype(np.uint8) for name, array in mask.items()}
  safetensors.numpy.save_file(torch, tmp_path / 'b.safetensors')
  with pytest.raises(UsageError, match=r'PyTorch\'s layout is not known: gru/0 \(recurrent\), gru/1 \(recurrent\)'):
    load_mask(tmp_path / 'b.safetensors', kernels, 'torch')
