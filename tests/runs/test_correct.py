"""The file of which images a run got right."""

import numpy as np
import pytest

from tickets_tf.errors import UsageError
from tickets_tf.runs import correct


@pytest.fixture
def bits():
  rng = np.random.default_rng(0)
  return correct.Correct(rng.random(101) < 0.9, rng.random(101) < 0.5)


def test_bits_are_read_as_they_were_written(bits, tmp_path):
  path = tmp_path / 'correct.npy'
  correct.write(path, bits)
  found = correct.read(path, 101)
  assert np.array_equal(found.settled, bits.settled) and np.array_equal(found.final, bits.final)
  assert found.settled.dtype == found.final.dtype == np.bool_
  assert [entry.name for entry in tmp_path.iterdir()] == ['correct.npy']


def test_the_layout_is_two_rows_of_packed_bits_the_settled_weights_first(bits, tmp_path):
  correct.write(tmp_path / 'correct.npy', bits)
  stored = np.load(tmp_path / 'correct.npy', allow_pickle=False)
  assert stored.dtype == np.uint8 and stored.shape == (2, 13)
  assert np.array_equal(stored[0], np.packbits(bits.settled)) and np.array_equal(stored[1], np.packbits(bits.final))


@pytest.mark.parametrize('count, message', [
    (96, r'expected uint8 \[2, 12\], two rows of bits for 96 images; found uint8 \[2, 13\]'),
    (97, r'has bits behind those of 97 images'), (112, r'expected uint8 \[2, 14\]')])
def test_another_number_of_images_is_noticed(count, message, bits, tmp_path):
  bits.settled[-1] = True
  correct.write(tmp_path / 'correct.npy', bits)
  with pytest.raises(UsageError, match=rf'correct\.npy: .*{message}'):
    correct.read(tmp_path / 'correct.npy', count)


def write_object(path):
  np.save(path, np.array([{}, {}]), allow_pickle=True)


def write_archive(path):
  with open(path, 'wb') as file:
    np.savez(file, np.zeros((2, 13), np.uint8))


@pytest.mark.parametrize('damage, message', [
    (lambda path: path.unlink(), 'cannot be read as what a run got right'),
    (lambda path: path.write_bytes(b''), 'cannot be read'),
    (lambda path: path.write_bytes(path.read_bytes()[:140]), 'cannot be read'),
    (lambda path: path.write_text('{}'), 'cannot be read'),
    (write_object, 'cannot be read.*allow_pickle=False'),
    (write_archive, 'found an archive'),
    (lambda path: np.save(path, np.zeros((2, 13))), r'found float64 \[2, 13\]'),
    (lambda path: np.save(path, np.zeros(13, np.uint8)), r'found uint8 \[13\]')])
def test_a_damaged_file_is_one_line(damage, message, bits, tmp_path):
  path = tmp_path / 'correct.npy'
  correct.write(path, bits)
  damage(path)
  with pytest.raises(UsageError, match=rf'correct\.npy: .*{message}') as caught:
    correct.read(path, 101)
  assert '\n' not in str(caught.value)
