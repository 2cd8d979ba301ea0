"""What lines between two trainings say."""

import json

import pytest

from tests.judging import lines
from tickets_tf.errors import UsageError
from tickets_tf.judging import instability


def test_a_barrier_is_the_highest_error_less_the_mean_of_the_ends():
  line = lines.line(0, 0.9, 0.7, 0.4, 0.6, 0.8)
  assert line.ends == (0.9, 0.8) and (line.lowest.position, line.lowest.accuracy) == (0.5, 0.4)
  assert line.barrier == pytest.approx(45) and line.loss_barrier == pytest.approx(0.6 - 0.15)
  assert lines.line(0, 0.8, 0.9, 0.9).barrier == pytest.approx(5), 'half the difference of the ends, if all lies above'
  assert lines.line(0, 0.8, 0.9, 0.8).barrier == 0


def test_a_loss_that_is_not_finite_has_no_barrier():
  line = lines.line(0, 0.9, 0.1, 0.9)
  broken = instability.Point(0.5, 0.1, None)
  assert instability.Line(0, line.runs, (line.points[0], broken, line.points[2])).loss_barrier is None


@pytest.mark.parametrize('lowest, expected', [((0.3, 0.5, 0.89), 5), ((0.3, 0.89, 0.9), 2), ((0.9, 0.9, 0.9), 0),
                                              ((0.9, 0.9, 0.5), None), ((0.9, 0.5, 0.9), 5)])
def test_connected_from_is_where_no_later_barrier_is_high(lowest, expected):
  assert lines.found(*zip((0, 2, 5), lowest, strict=True)).connected_from == expected


def test_a_barrier_of_just_the_tolerance_connects():
  assert lines.found((0, 0.875), tolerance=2.5).connected_from == 0
  assert lines.found((0, 0.874), tolerance=2.5).connected_from is None


def test_trainings_that_guess_are_not_connected():
  made = lines.line(0, 0.1, 0.1, 0.11), lines.line(1, 0.3, 0.3, 0.3)
  guesses = instability.Instability('first', 1, 2.0, made, 10.0)
  assert [guesses.is_connected(line) for line in guesses.lines] == [False, True]
  assert [guesses.could_show(line) for line in guesses.lines] == [False, True]


def test_all_of_it_is_read_as_it_was_written(tmp_path):
  found, path = lines.found((0, 0.3), (2, 0.89)), tmp_path / 'instability.json'
  instability.write(path, found)
  assert instability.read(path) == found
  values = json.loads(path.read_text())
  assert values['connected_from'] == 2 and values['lines'][0]['barrier'] == pytest.approx(60)
  assert values['lines'][0]['points'][1] == {'position': 0.5, 'accuracy': 0.3, 'loss': pytest.approx(0.7)}


@pytest.mark.parametrize('text, message', [
    ('{', 'cannot be read'), ('{}', 'format None: expected 1'), ('{"format": 2}', 'format 2: expected 1'),
    ('{"format": 1}', 'does not hold lines between trainings: .*`ticket`')])
def test_a_damaged_file_is_one_line(text, message, tmp_path):
  (tmp_path / 'instability.json').write_text(text)
  with pytest.raises(UsageError, match=rf'instability\.json: {message}') as caught:
    instability.read(tmp_path / 'instability.json')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('epochs', [[], [-1], [0, 3], [3]])
def test_shared_epochs_leave_one_in_which_orders_differ(epochs):
  with pytest.raises(UsageError, match=r'--share_epochs=.*: expected numbers of at least 0 and less than --epochs, 3'):
    instability.check_epochs(epochs, 3)
  assert instability.check_epochs([2, 0, 2], 3) == (0, 2)
