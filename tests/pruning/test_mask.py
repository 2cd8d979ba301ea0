import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask, load_mask

KERNELS = [Kernel('first', (3, 3, 1, 2), 'conv'), Kernel('body/second', (2, 3), 'dense'),
           Kernel('file', (4,), 'dense', classifier=True)]


@pytest.fixture
def mask():
  rng = np.random.default_rng(7)
  return Mask({kernel.name: rng.random(kernel.shape) < 0.5 for kernel in KERNELS})


def rng(seed=0):
  return np.random.default_rng(seed)


def test_holds_entries_in_the_given_order():
  entries = [('z', [1, 0, 1]), ('a', [[True], [False]])]
  for mask in (Mask(entries), Mask(dict(entries)), Mask(iter(entries))):
    assert mask.names == list(mask) == ['z', 'a']
    assert len(mask) == 2 and 'z' in mask and 'b' not in mask
    assert [array.dtype for array in mask.arrays] == [bool, bool]
    assert mask['z'].tolist() == [True, False, True]
    assert [(name, array.tolist()) for name, array in mask.items()] == [
        ('z', [True, False, True]), ('a', [[True], [False]])]


@pytest.mark.parametrize('dtype', [bool, np.int8, np.uint64, np.float16, np.float64])
def test_takes_zeros_and_ones_of_any_numeric_type(dtype):
  assert Mask({'a': np.array([0, 1, 1], dtype)})['a'].tolist() == [False, True, True]


def test_reports_figures():
  mask = Mask({'a': [[1, 0], [0, 0]], 'b': [0, 0, 0], 'c': [1, 1, 1]})
  assert mask.shapes == [(2, 2), (3,), (3,)]
  assert mask.sizes == [4, 3, 3] and mask.size == 10
  assert mask.counts == [1, 0, 3] and mask.kept == 4
  assert mask.density == 0.4
  assert mask.keep_ratios == [0.25, 0, 1]
  assert mask.empty_layers() == ['b']
  assert repr(mask) == f'Mask(3 kernels, 4 of 10 weights kept, {mask.digest()})'


@pytest.mark.parametrize('entries, message', [
    ({}, 'no entries'),
    ({'': [1]}, "not by ''"),
    ({3: [1]}, 'not by 3'),
    ([('a', [1]), ('b', [1]), ('a', [0])], "'a' appears twice"),
    ({'good': [1, 0], 'bad': [1, 0.5, 2]}, r"'bad': expected 0 and 1, found 0\.5 \(2 such"),
    ({'bad': [np.nan]}, "'bad': expected 0 and 1, found nan"),
    ({'bad': ['1']}, "'bad': .* found dtype <U1"),
    ({'bad': np.array([None])}, "'bad': .* found dtype object"),
    ({'bad': np.zeros((3, 0))}, r"'bad': the shape \(3, 0\) holds no weights"),
])
def test_refuses_what_is_no_mask(entries, message):
  with pytest.raises(UsageError, match=message):
    Mask(entries)


def test_cannot_be_changed(mask):
  source = np.ones(3, dtype=bool)
  mine = Mask({'a': source})
  source[0] = False
  assert mine['a'].all()
  for copied in (mine, copy.deepcopy(mine), pickle.loads(pickle.dumps(mine))):
    assert copied == mine
    with pytest.raises(ValueError, match='read-only'):
      copied['a'][0] = False
  with pytest.raises(TypeError):
    mask['first'] = source
  with pytest.raises(AttributeError):
    mask.names = ['other']
  mask.arrays.clear()
  assert len(mask) == 3


def test_equality_and_digest_cover_names_order_shapes_and_bits():
  mask = Mask({'a': [[1, 0], [0, 1]], 'b': [1]})
  same = Mask({'a': np.array([[1, 0], [0, 1]], np.float32), 'b': [True]})
  assert mask == same and hash(mask) == hash(same) and mask.digest() == same.digest()
  assert len(mask.digest()) == 16 and int(mask.digest(), 16)
  others = [Mask({'a': [[1, 0], [0, 0]], 'b': [1]}), Mask({'a': [[1, 0, 0, 1]], 'b': [1]}),
            Mask({'c': [[1, 0], [0, 1]], 'b': [1]}), Mask({'b': [1], 'a': [[1, 0], [0, 1]]}),
            Mask({'a': [[1, 0], [0, 1]]})]
  assert all(mask != other for other in others)
  assert len({mask.digest(), *(other.digest() for other in others)}) == 6
  assert len({mask, same, *others}) == 6
  assert mask != {'a': [[1, 0], [0, 1]], 'b': [1]}


def test_overlap_is_the_jaccard_index():
  one = Mask({'a': [1, 1, 0, 0], 'b': [1, 0]})
  two = Mask({'a': [1, 0, 1, 0], 'b': [1, 1]})
  assert one.overlap(two) == two.overlap(one) == 2 / 5
  assert one.overlap(one) == 1
  nothing = Mask({'a': [0, 0, 0, 0], 'b': [0, 0]})
  assert one.overlap(nothing) == 0 and nothing.overlap(nothing) == 1


@pytest.mark.parametrize('entries, message', [
    ({'a': [1], 'x': [1]}, r"kernel 2: expected 'b' of shape \(1,\), found 'x' of shape \(1,\)"),
    ({'a': [1], 'b': [1, 0]}, r"kernel 2: expected 'b' of shape \(1,\), found 'b' of shape \(2,\)"),
    ({'b': [1], 'a': [1]}, r"kernel 1: expected 'a' .* found 'b'"),
    ({'a': [1]}, r"kernel 2: expected 'b' of shape \(1,\), found no more kernels"),
    ({'a': [1], 'b': [1], 'c': [1]}, r"kernel 3: expected no more kernels, found 'c'"),
])
def test_check_and_overlap_name_the_first_misfit(entries, message):
  kernels = [Kernel('a', (1,), 'dense'), Kernel('b', (1,), 'dense')]
  with pytest.raises(UsageError, match=message):
    Mask(entries).check(kernels)
  with pytest.raises(UsageError, match=message):
    Mask({'a': [0], 'b': [0]}).overlap(Mask(entries))


def test_dense_keeps_everything():
  mask = Mask.dense(KERNELS)
  mask.check(KERNELS)
  assert mask.density == 1 and mask.names == ['first', 'body/second', 'file']


def test_from_arrays_fits_arrays_to_kernels(mask):
  assert Mask.from_arrays(KERNELS, iter(mask.arrays)) == mask
  with pytest.raises(UsageError, match='2 arrays for 3 kernels'):
    Mask.from_arrays(KERNELS, mask.arrays[:2])
  with pytest.raises(UsageError, match=r"expected 'body/second' of shape \(2, 3\), found .* \(3, 2\)"):
    Mask.from_arrays(KERNELS, [mask['first'], mask['body/second'].T, mask['file']])


@pytest.mark.parametrize('name', ['mask.npz', 'mask.safetensors'])
def test_comes_back_from_its_file(mask, tmp_path, name):
  for each in (mask, Mask({'ü/kernel:0': [1, 0], 'self': [[[1]]]})):
    each.save(tmp_path / name)
    loaded = load_mask(str(tmp_path / name))
    assert loaded == each and loaded.names == each.names
    assert not any(array.flags.writeable for array in loaded.arrays)
  assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize('name', ['mask.npz', 'mask.safetensors'])
def test_the_same_mask_makes_the_same_bytes(mask, tmp_path, name):
  mask.save(tmp_path / name)
  (tmp_path / 'again').mkdir()
  # In another process, where sets and maps have other orders.
  script = 'import sys; from tickets_tf.pruning.mask import load_mask; load_mask(sys.argv[1]).save(sys.argv[2])'
  for _ in range(3):
    subprocess.run([sys.executable, '-c', script, tmp_path / name, tmp_path / 'again' / name], check=True)
    assert (tmp_path / 'again' / name).read_bytes() == (tmp_path / name).read_bytes()


def test_safetensors_hold_one_boolean_array_per_kernel(mask, tmp_path):
  mask.save(tmp_path / 'mask.safetensors')
  arrays = safetensors.numpy.load_file(tmp_path / 'mask.safetensors')
  assert arrays.keys() == set(mask.names)
  assert all(arrays[name].dtype == bool and np.array_equal(arrays[name], array) for name, array in mask.items())


def test_safetensors_in_the_layout_of_torch(mask, tmp_path):
  mask.save(tmp_path / 'mask.safetensors', layout='torch')
  arrays = safetensors.numpy.load_file(tmp_path / 'mask.safetensors')
  assert np.array_equal(arrays['first'], mask['first'].transpose(3, 2, 0, 1))
  assert np.array_equal(arrays['body/second'], mask['body/second'].T)
  assert np.array_equal(arrays['file'], mask['file'])
  assert load_mask(tmp_path / 'mask.safetensors') == mask
  with pytest.raises(UsageError, match="layout 'torch': expected keras"):
    mask.save(tmp_path / 'mask.npz', layout='torch')
  with pytest.raises(UsageError, match="layout 'auto': expected keras or torch"):
    mask.save(tmp_path / 'mask.safetensors', layout='auto')


def test_file_packs_bits_and_uses_the_usual_permissions(tmp_path):
  Mask({'a': rng().random(80_000) < 0.5}).save(tmp_path / 'mask.npz')
  assert (tmp_path / 'mask.npz').stat().st_size < 12_000
  (tmp_path / 'plain').touch()
  assert (tmp_path / 'mask.npz').stat().st_mode == (tmp_path / 'plain').stat().st_mode


@pytest.mark.parametrize('broken', ['os.fsync', 'os.replace', 'numpy.savez_compressed'])
def test_failed_save_leaves_the_earlier_file_and_no_other(mask, tmp_path, monkeypatch, broken):
  mask.save(tmp_path / 'mask.npz')

  def fail(*args, **kwargs):
    raise OSError(28, 'No space left on device')

  with monkeypatch.context() as patch:
    patch.setattr(broken, fail)
    with pytest.raises(TicketsError, match=r'mask\.npz.*No space left') as caught:
      Mask.dense(KERNELS).save(tmp_path / 'mask.npz')
  assert not isinstance(caught.value, UsageError)
  assert os.listdir(tmp_path) == ['mask.npz']
  assert load_mask(tmp_path / 'mask.npz') == mask


def test_interrupted_save_leaves_no_file(mask, tmp_path, monkeypatch):
  def interrupt(*args, **kwargs):
    raise KeyboardInterrupt

  monkeypatch.setattr(os, 'fsync', interrupt)
  with pytest.raises(KeyboardInterrupt):
    mask.save(tmp_path / 'mask.npz')
  assert not os.listdir(tmp_path)


def test_save_is_never_seen_half_done(mask, tmp_path, monkeypatch):
  seen, replace = [], os.replace
  synced = []
  monkeypatch.setattr(os, 'fsync', synced.append)

  def watch(source, target):
    seen.append((os.path.dirname(source) == os.path.dirname(target), os.path.exists(target), len(synced)))
    replace(source, target)

  monkeypatch.setattr(os, 'replace', watch)
  mask.save(tmp_path / 'mask.npz')
  assert seen == [(True, False, 1)]


def test_save_says_what_is_wrong_with_the_path(mask, tmp_path):
  with pytest.raises(UsageError, match=r"mask\.pkl'.*must end in \.npz or \.safetensors"):
    mask.save(tmp_path / 'mask.pkl')
  with pytest.raises(TicketsError, match=r'nowhere/mask\.npz.*No such file or directory'):
    mask.save(tmp_path / 'nowhere' / 'mask.npz')


def test_load_refuses_what_is_no_mask_file(mask, tmp_path):
  def load(name, message):
    with pytest.raises(UsageError, match=rf'{name}.*{message}'):
      load_mask(tmp_path / name)

  load('missing.npz', 'no such file')
  load('mask.txt', 'must end in')
  (tmp_path / 'text.npz').write_text('keep everything')
  load('text.npz', 'not a mask')
  (tmp_path / 'empty.npz').touch()
  load('empty.npz', 'not a mask')
  (tmp_path / 'folder.npz').mkdir()
  load('folder.npz', 'not a mask')
  np.savez(tmp_path / 'other.npz', weights=np.ones(3))
  load('other.npz', 'not a mask')
  with open(tmp_path / 'array.npz', 'wb') as file:
    np.save(file, np.ones(3))
  load('array.npz', 'not a mask')


class Payload:
  """Sets `loaded` when it is unpickled."""
  loaded = False

  def __reduce__(self):
    return setattr, (Payload, 'loaded', True)


def test_load_never_unpickles(mask, tmp_path):
  mask.save(tmp_path / 'mask.npz')
  with np.load(tmp_path / 'mask.npz', allow_pickle=False) as stored:
    entries = dict(stored)
  for key in entries:
    np.savez(tmp_path / 'evil.npz', **{**entries, key: np.array([Payload()], dtype=object)})
    with pytest.raises(UsageError, match=r'evil\.npz'):
      load_mask(tmp_path / 'evil.npz')
  (tmp_path / 'evil.npz').write_bytes(pickle.dumps(Payload()))
  with pytest.raises(UsageError, match=r'evil\.npz'):
    load_mask(tmp_path / 'evil.npz')
  assert not Payload.loaded
  pickle.loads(pickle.dumps(Payload()))
  assert Payload.loaded  # The payload would have shown.


@pytest.mark.parametrize('suffix', ['.npz', '.safetensors'])
def test_load_refuses_every_truncated_file(mask, tmp_path, suffix):
  mask.save(tmp_path / f'mask{suffix}')
  whole = (tmp_path / f'mask{suffix}').read_bytes()
  for length in range(0, len(whole), 7):
    (tmp_path / f'cut{suffix}').write_bytes(whole[:length])
    with pytest.raises(UsageError, match=rf'cut\{suffix}'):
      load_mask(tmp_path / f'cut{suffix}')


@pytest.mark.parametrize('suffix', ['.npz', '.safetensors'])
def test_load_never_returns_another_mask_from_a_damaged_file(mask, tmp_path, suffix):
  mask.save(tmp_path / f'mask{suffix}')
  whole = bytearray((tmp_path / f'mask{suffix}').read_bytes())
  refused = 0
  for position in range(0, len(whole), 3):
    damaged = whole.copy()
    damaged[position] ^= 0x10
    (tmp_path / f'damaged{suffix}').write_bytes(damaged)
    try:
      assert load_mask(tmp_path / f'damaged{suffix}') == mask  # Some bytes, such as dates, mean nothing.
    except UsageError as error:
      assert f'damaged{suffix}' in str(error)
      refused += 1
  assert refused > len(whole) / 3 / 4


@pytest.mark.parametrize('change', [
    {'bits': np.zeros(4, np.uint8)}, {'bits': np.zeros(0, np.uint8)}, {'names': np.array(['a', 'b', 'c'])},
    {'names': np.array(['first', 'body/second'])}, {'names': np.array(['first', 'first', 'file'])},
    {'shapes': np.array([[18, 0], [2, 3], [4, 0]])}, {'shapes': np.array([[3, 3, 1, 2], [2, 3, 0, 0]])},
    {'shapes': np.array([[-3, 3, 1, 2], [2, 3, 0, 0], [4, 0, 0, 0]])}, {'shapes': np.zeros((0, 4), int)},
    {'digest': np.array('0' * 16)}])
def test_load_refuses_contents_that_do_not_agree(mask, tmp_path, change):
  mask.save(tmp_path / 'mask.npz')
  with np.load(tmp_path / 'mask.npz', allow_pickle=False) as stored:
    np.savez(tmp_path / 'changed.npz', **{**stored, **change})
  with pytest.raises(UsageError, match=r'changed\.npz'):
    load_mask(tmp_path / 'changed.npz')
