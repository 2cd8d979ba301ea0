import gzip

import numpy as np
import pytest

from tickets_tf.export import paired
from tickets_tf.export import verify
from tickets_tf.export.export_report import Latency
from tickets_tf.export.program import Program, all_threads


def test_the_verifier_measures(contents, ticket, digits):
  verifier = verify.Verifier(ticket, digits.test, rounds=5)
  expected = np.mean(ticket.predict(digits.test.images).argmax(axis=1) == digits.test.labels)
  assert verifier.accuracy == pytest.approx(expected)
  row = verifier.verify('x.tflite', contents['sparse_int8'], contents['dense_float32'])
  assert row.file == 'x.tflite' and row.kept
  found = Program(contents['sparse_int8']).run(digits.test.images)[0]
  assert row.accuracy == pytest.approx(np.mean(found.argmax(axis=1) == digits.test.labels))
  assert row.bytes == len(contents['sparse_int8'])
  assert row.gzip_bytes == len(gzip.compress(contents['sparse_int8']))
  assert 0.01 < row.largest_logit_difference < 5
  assert [each.threads for each in row.latency] == sorted({1, all_threads()})
  assert all(each.milliseconds > 0 and each.over_dense > 0 for each in row.latency)
  low, high = row.startup.quartiles
  assert 0 < low <= row.startup.milliseconds <= high
  # This process has TensorFlow inside: its own peak is some hundreds of megabytes.
  assert row.startup.peak_bytes is None or 2**16 < row.startup.peak_bytes < 2**26
  assert sum(row.class_right) == round(row.accuracy * 360) and len(row.class_right) == 10
  assert verifier.class_examples == tuple(np.bincount(digits.test.labels))
  assert sum(verifier.class_right) == round(expected * 360)
  exact = verifier.verify('dense.tflite', contents['dense_float32'], contents['dense_float32'])
  assert exact.largest_logit_difference < 1e-4 and exact.accuracy == pytest.approx(expected)
  before, after = (np.asarray(each).argmax(axis=1) == digits.test.labels for each in (
      ticket.predict(digits.test.images), found))
  assert row.loss == pytest.approx([100 * each for each in paired.loss_interval(before, after)])
  assert row.loss[0] <= 100 * (verifier.accuracy - row.accuracy) <= row.loss[1] and exact.loss[0] < 0 < exact.loss[1]


def test_files_are_chosen_by_validation_images(contents, ticket, digits):
  validation = digits.train.take(slice(150))
  verifier = verify.Verifier(ticket, digits.test.take(slice(20)), 5, validation)
  row = verifier.verify('x.tflite', contents['sparse_int8'], None)
  before, after = (np.asarray(each).argmax(axis=1) == validation.labels for each in (
      ticket.predict(validation.images), Program(contents['sparse_int8']).run(validation.images)[0]))
  assert row.loss == pytest.approx([100 * each for each in paired.loss_interval(before, after)])
  assert row.accuracy * 20 == pytest.approx(round(row.accuracy * 20)), 'judged on the test images'


class Timed:
  """In place of a program: knows only what it is asked to do."""

  def __init__(self, content, threads):
    self.content, self.threads = content, threads
    self.calls = []

  def prepare(self, image):
    self.calls.append(('prepare', image))

  def invoke(self):
    self.calls.append('invoke')


@pytest.fixture
def measured(monkeypatch):
  """Replaces the measurements; returns the list that the programs of every measurement go to, in turn."""
  # Seconds of an inference in each round. The median of the ratios, 3, is not the ratio of the medians, 1.5.
  seconds = {b'dense': [0.001, 0.002, 0.004], b'content': [0.003, 0.002, 0.020]}
  order = []

  def fake(program, inferences):
    if inferences == 1:  # asked before the rounds, for the number of inferences in a measurement
      assert program.calls[-1] == 'invoke', 'the first inference is not measured'
      return {b'dense': 0.004, b'content': 0.010}[program.content]
    assert inferences == {b'dense': 6, b'content': 3}[program.content]
    order.append((program.threads, program.content))
    return seconds[program.content][order.count(order[-1]) - 1]

  monkeypatch.setattr(verify, 'Program', Timed)
  monkeypatch.setattr(verify, 'all_threads', lambda: 4)
  monkeypatch.setattr(verify, '_seconds', fake)
  return order


def test_latency_is_the_files_over_that_of_the_dense_file(measured):
  found = verify.latency(b'content', b'dense', np.zeros((8, 8, 1), np.uint8), rounds=3)
  same = (pytest.approx(3.0), pytest.approx(3.0), pytest.approx((2.5, 11.5)), pytest.approx((2.0, 4.0)))
  assert found == (Latency(1, *same), Latency(4, *same))
  assert measured == [(threads, content) for threads in (1, 4) for _ in range(3) for content in (b'dense', b'content')]


def test_one_core_is_measured_once(measured, monkeypatch):
  monkeypatch.setattr(verify, 'all_threads', lambda: 1)
  found = verify.latency(b'content', b'dense', np.zeros((8, 8, 1), np.uint8), rounds=3)
  assert [each.threads for each in found] == [1]


def test_seconds_are_those_of_one_inference(monkeypatch):
  program, clock = Timed(b'', 1), iter([10.0, 16.0])
  monkeypatch.setattr(verify.time, 'perf_counter', lambda: next(clock))
  assert verify._seconds(program, 3) == 2.0 and program.calls == ['invoke'] * 3
