"""Random kills of sweeps that share a folder: nothing may be lost, torn or different from a sweep left in peace."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import json
import math
import multiprocessing
import os
import pathlib
import random
import shutil
import sys
import threading
import time
from typing import Any
import zipfile

import h5py
import numpy as np
import tqdm

from tickets_tf.errors import TicketsError
from tickets_tf.runs import records
from tickets_tf.runs.settings import Settings

# What may differ between two times of the same run.
_TIMES = ('seconds', 'environment')
# The first process imports these; each sweep is a copy of it, which needs no seconds of importing.
_IMPORTED = ['sklearn.datasets', 'tickets_tf.experiment.sweep', 'tickets_tf.experiment.train']
# Three kernels; of rules that score before and after training, whose runs need one another.
BASE = Settings(model='tests.small_network:plain', width=4, epochs=3, train_examples=160, batch_size=32, ratio=0.8,
                samples_per_class=2, checkpoint_seconds=0.0, progress=False, export=False)
RULES = ('random', 'snip', 'lottery')
_ENOUGH = 300.0  # seconds that a sweep of small runs may take


@dataclasses.dataclass
class Tally:
  """What was killed.

  Attributes:
    kills: processes that were killed.
    sweeps: folders that were swept to the end and compared.
    before: kills before a file was there.
    ticket: kills of which the last run begun had no ticket yet.
    training: kills of which it was being trained, or judged.
    between: kills with all runs that were begun done.
  """
  kills: int = 0
  sweeps: int = 0
  before: int = 0
  ticket: int = 0
  training: int = 0
  between: int = 0

  def note(self, folder: pathlib.Path) -> None:
    """Counts a kill by what is in the folder of runs after it."""
    self.kills += 1
    begun = [run for run in _runs(folder) if not (run / 'record.json').exists()]
    if not any(True for _ in _runs(folder)):
      self.before += 1
    elif not begun:
      self.between += 1
    elif all((run / 'mask.npz').exists() for run in begun):
      self.training += 1
    else:
      self.ticket += 1


def study(base: Settings, pruners: Sequence[str], kills: int, folder: pathlib.Path, seed: int = 0,
          longest: float = 1.0, late: int = 2, minutes: float = math.inf) -> Tally:
  """Kills sweeps of small runs at random moments, again and again, and compares what they leave.

  Two sweeps at a time work on one folder. After a random time a random one of them is killed, by SIGKILL, and begun
  again. When both have ended, the folder is compared with that of a sweep in peace, and they begin in a new one.

  Args:
    base: what all runs share.
    pruners: their rules.
    kills: how many.
    folder: an empty folder to work in.
    seed: of the moments and choices.
    longest: longest time that is waited before a kill, in seconds.
    late: every how many kills that time begins when another file is there. The others come as they may, most of them
      while a process starts.
    minutes: time after which no more is killed.

  Returns:
    What was killed.

  Raises:
    TicketsError: if a file differs, is torn, is missing or is too many, or a sweep fails.
  """
  context = multiprocessing.get_context('forkserver')
  context.set_forkserver_preload(_IMPORTED)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  rng, tally, end = random.Random(seed), Tally(), time.monotonic() + 60 * minutes

  def start(name: str) -> Any:
    process = context.Process(target=_sweep, args=(base, tuple(pruners), str(folder / name)))
    process.start()
    return process

  def finish(process: Any) -> None:
    process.join(_ENOUGH)
    if process.exitcode != 0:
      raise TicketsError(f'a sweep ended with exit code {process.exitcode}; its runs are in {folder}')

  finish(start('peace'))
  while tally.kills < kills and time.monotonic() < end:
    working = [start('killed') for _ in range(2)]
    while (tally.kills < kills and time.monotonic() < end
           and all(process.is_alive() for process in working)):
      if tally.kills % late == 0:
        _wait_for_a_file(folder / 'killed', working)
      time.sleep(rng.uniform(0, longest))
      which = rng.randrange(2)
      working[which].kill()
      working[which].join()
      if working[which].exitcode != 0:  # It had not ended just before.
        tally.note(folder / 'killed')
        working[which] = start('killed')
    for process in working:
      finish(process)
    compare(folder / 'peace', folder / 'killed')
    tally.sweeps += 1
    shutil.rmtree(folder / 'killed')
  return tally


def compare(peace: pathlib.Path, killed: pathlib.Path) -> None:
  """Raises TicketsError unless two folders hold the same runs with the same bits, and no half-written file."""
  runs = [sorted(run.name for run in _runs(folder)) for folder in (peace, killed)]
  if runs[0] != runs[1] or not runs[0]:
    raise TicketsError(f'{killed}: expected the runs {", ".join(runs[0])}, found {", ".join(runs[1])}')
  for name in runs[0]:
    expected, found = _contents(peace / name), _contents(killed / name)
    different = sorted(path for path in expected.keys() | found.keys() if expected.get(path) != found.get(path))
    if different:
      raise TicketsError(f'{killed / name}: {", ".join(different)}: not as in peace')


def _wait_for_a_file(folder: pathlib.Path, working: Sequence[Any]) -> None:
  before = set(folder.rglob('*'))
  while set(folder.rglob('*')) <= before and all(process.is_alive() for process in working):
    time.sleep(0.01)


def _sweep(base: Settings, pruners: Sequence[str], folder: str) -> None:
  from tickets_tf.experiment import sweep
  tqdm.tqdm.set_lock(threading.RLock())  # One between processes would outlive a process that is killed.
  runs = sweep.grid(dataclasses.replace(base, output_dir=folder), pruner=list(pruners))
  sys.exit(1 if sweep.run_all(runs, say=lambda line: None, progress=False).failures else 0)


def _runs(folder: pathlib.Path) -> Iterator[pathlib.Path]:
  return (path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else iter(())


def _contents(folder: pathlib.Path) -> dict[str, Any]:
  """Returns what is in the files of a run: relative path -> what may not differ. Torn files cannot be read."""
  found: dict[str, Any] = {}
  for path in folder.rglob('*'):
    name = path.relative_to(folder).as_posix()
    # A process that is killed between the record and the end leaves its last checkpoints.
    if path.is_dir() or path.name == '.lock' or name.startswith('checkpoints/'):
      continue
    try:
      found[name] = _content(path)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, TicketsError) as error:
      raise TicketsError(f'{path}: is torn: {error}') from error
  return found


def _content(path: pathlib.Path) -> Any:
  if path.suffix == '.h5':
    arrays: dict[str, Any] = {}
    with h5py.File(path) as file:
      file.visititems(lambda name, item: arrays.update({name: item[()].tobytes()} if hasattr(item, 'dtype') else {}))
    return arrays
  if path.suffix == '.npz':
    with np.load(path, allow_pickle=False) as arrays:
      return {name: arrays[name].tobytes() for name in arrays.files}
  if path.suffix == '.jsonl':
    return [_without_times(json.loads(line)) for line in path.read_text().splitlines()]
  if path.name == 'record.json':
    records.read(path.parent)
  if path.suffix == '.json':
    return _without_times(json.loads(path.read_text())) if path.name != 'environment.json' else True
  return path.read_bytes()


def _without_times(values: dict[str, Any]) -> dict[str, Any]:
  kept = {name: value for name, value in values.items() if name not in _TIMES}
  if 'settings' in kept:
    kept['settings'] = {name: value for name, value in kept['settings'].items() if name != 'output_dir'}
  kept.pop('output_dir', None)
  return kept
