"""What the files in a run's folder say of how far the run has come."""

import pytest

from tickets_tf.runs.folder import RunFolder

TICKET = ('start.weights.h5', 'proof.json', 'mask.npz')
TRAINED = ('mask.npz', 'final.weights.h5', 'record.json')


def folder_with(path, names):
  for name in names:
    (path / name).touch()
  return RunFolder(path)


def test_how_far_a_run_has_come(tmp_path):
  empty = RunFolder(tmp_path / 'nowhere')
  assert not (empty.has_ticket() or empty.is_trained() or empty.is_done())
  whole = folder_with(tmp_path, {*TICKET, *TRAINED})
  assert whole.has_ticket() and whole.is_trained() and whole.is_done()


@pytest.mark.parametrize('missing', TICKET)
def test_a_ticket_is_all_of_its_files(missing, tmp_path):
  assert not folder_with(tmp_path, {*TICKET, *TRAINED} - {missing}).has_ticket()


@pytest.mark.parametrize('missing', TRAINED)
def test_what_is_to_be_trained_further_has_mask_weights_and_record(missing, tmp_path):
  folder = folder_with(tmp_path, {*TICKET, *TRAINED} - {missing})
  assert not folder.is_trained() and folder.is_done() == (missing != 'record.json')
