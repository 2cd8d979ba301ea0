"""A score in a process of its own, timed from its first call on: what is traced or cached by then is its own."""

import json
import os
import pathlib
import subprocess
import sys
import time

import numpy as np

from benchmarks import cases
from tickets_tf.errors import TicketsError


def _tickets_tf(case, score):
  from benchmarks import tf_scores
  return tf_scores.prepare(case, score)


def _tf_loop(case, score):
  from benchmarks import tf_scores
  return tf_scores.prepare_loop(case, score)


def _torch(layout):
  def prepare(case, score):
    from benchmarks import torch_scores
    return torch_scores.prepare(case, score, layout)

  return prepare


# Imports stay within: a process holds one framework alone.
_SIDES = {
    'tickets_tf': _tickets_tf,
    'tensorflow_loop': _tf_loop,
    'torch_channels_first': _torch('channels_first'),
    'torch_channels_last': _torch('channels_last'),
}


def measure(path, side, score, count, calls=2, scores_path=None):
  """Runs a score in a new process, whose imports, network and data are ready before it is timed.

  Args:
    path: file of a `cases.Case`.
    side: a key of the table above.
    score: name of the score.
    count: number of the case's examples to score.
    calls: how many times to call it.
    scores_path: `.npz` file to write the scores to, or None.

  Returns:
    A dictionary: `seconds` of each call; `peak`, most bytes that the first call held above what there was before, or
    None where the system does not tell.

  Raises:
    TicketsError: where the process fails.
  """
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(
      [str(pathlib.Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')])}
  arguments = [str(path), side, score, count, calls, scores_path and str(scores_path)]
  done = subprocess.run([sys.executable, '-m', 'benchmarks.fresh', json.dumps(arguments)],
                        env=environment, capture_output=True, text=True)
  if done.returncode:
    raise TicketsError(f'{side} {score}: {(done.stderr.strip().splitlines() or ["no message"])[-1]}')
  return json.loads(done.stdout.splitlines()[-1])


def _run(path, side, score, count, calls, scores_path):
  call = _SIDES[side](cases.load(path).first(count), score)
  before, seconds = _reset_peak(), []
  for _ in range(calls):
    start = time.perf_counter()
    scores = call()
    seconds.append(time.perf_counter() - start)
    if len(seconds) == 1:
      peak = before and _memory('VmHWM') - before
  if scores_path:
    np.savez(scores_path, *scores)
  return {'seconds': seconds, 'peak': peak}


def _reset_peak():
  # Linux alone tells of a peak since some moment.
  try:
    pathlib.Path('/proc/self/clear_refs').write_text('5')
    return _memory('VmRSS')
  except OSError:
    return None


def _memory(name):
  lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f'{name}:'))


if __name__ == '__main__':
  print(json.dumps(_run(*json.loads(sys.argv[1]))))
