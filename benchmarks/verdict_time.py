"""Wall time of a small sanity check, from the command to its report, and what the time goes into."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

from benchmarks import stack_times
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

ROOT = pathlib.Path(__file__).resolve().parents[1]
# Twelve runs: for each seed the dense network, the small dense one, luck, the ticket and its two checked twins.
CHECK = ('--pruner=snip', '--ratio=0.9', '--seeds=2', '--checks=rearrange,random_labels', '--model=resnet8',
         '--epochs=4', '--noprogress')
QUICK = ('--noexport', '--notensorboard')


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What one sanity check took.

  Attributes:
    wall: seconds from the command to its end.
    processor: seconds of computing of all its processes.
    runs: trainings that it made.
    parts: part of the work -> seconds of all its processes' main threads, see `stack_times.PARTS`.
  """
  wall: float
  processor: float
  runs: int
  parts: Mapping[str, float]


def measure(checkout: pathlib.Path, flags: Sequence[str]) -> Verdict:
  """Makes a sanity check in a fresh folder, by the code of a checkout, in processes of its own.

  Args:
    checkout: the root of a checkout.
    flags: those of bin/sanity_check beside its folder.

  Raises:
    UsageError: if there is no bin/sanity_check.
    TicketsError: if it fails; with its last line.
  """
  program = checkout / 'bin' / 'sanity_check'
  if not program.is_file():
    raise UsageError(f'--checkout={checkout}: expected a folder with bin/sanity_check')
  with tempfile.TemporaryDirectory(prefix='verdict-') as name:
    folder = pathlib.Path(name)
    watching = folder / 'watching'
    environment = watched(watching, checkout)
    computing, start = _children(), time.monotonic()
    done = subprocess.run([sys.executable, program, *flags, f'--output_dir={folder / "runs"}'], env=environment,
                          cwd=folder, capture_output=True, text=True)
    wall, computing = time.monotonic() - start, _children() - computing
    if done.returncode:
      raise TicketsError(f'{checkout}: {(done.stderr.strip().splitlines() or ["no message"])[-1]}')
    return Verdict(wall, computing, len(list((folder / 'runs').glob('*/record.json'))), _sums(watching))


def watched(folder: pathlib.Path, checkout: pathlib.Path) -> dict[str, str]:
  """Returns the environment of processes that run a checkout's code and watch themselves, see `stack_times`.

  Args:
    folder: made for what they note.
    checkout: the root of the checkout.
  """
  folder.mkdir()
  shutil.copy(stack_times.__file__, folder / 'sitecustomize.py')
  path = [str(folder), str(checkout), os.environ.get('PYTHONPATH')]
  return {**os.environ, stack_times.FOLDER: str(folder), 'PYTHONPATH': os.pathsep.join(filter(None, path))}


def _children() -> float:
  used = resource.getrusage(resource.RUSAGE_CHILDREN)
  return used.ru_utime + used.ru_stime


def _sums(folder: pathlib.Path) -> dict[str, float]:
  sums = dict.fromkeys((*stack_times.PARTS, stack_times.OTHER), 0.0)
  for path in folder.glob('*.json'):
    for part, seconds in json.loads(path.read_text()).items():
      sums[part] += seconds
  return sums


def in_turn(checkouts: Sequence[pathlib.Path], flags: Sequence[str], rounds: int) -> list[list[Verdict]]:
  """Makes sanity checks by several checkouts in turn; returns those of each.

  Args:
    checkouts: roots of checkouts.
    flags: as in `measure`.
    rounds: checks of each.
  """
  found: list[list[Verdict]] = [[] for _ in checkouts]
  for number in range(rounds):
    # Each comes first as often as the others: what else a machine does changes in the meantime.
    for place in range(len(checkouts)):
      which = (place + number) % len(checkouts)
      found[which].append(measure(checkouts[which], flags))
      print(f'{checkouts[which]}: {found[which][-1].wall:.1f} s', file=sys.stderr, flush=True)
  return found


def table(checkouts: Sequence[pathlib.Path], found: Sequence[Sequence[Verdict]]) -> list[str]:
  """Returns the lines of a table with a column for each checkout; figures are medians, with the lowest and highest."""
  lines = [f'| seconds, {len(found[0])} each in turn | ' + ' | '.join(map(str, checkouts)) + ' |',
           '| --- |' + ' --- |' * len(checkouts)]
  rows: list[tuple[str, list[list[float]]]] = [
      ('wall time', [[each.wall for each in of] for of in found]),
      ('computing, all processes', [[each.processor for each in of] for of in found]),
      ('runs', [[each.runs for each in of] for of in found])]
  rows += [(part, [[each.parts[part] for each in of] for of in found]) for part in found[0][0].parts]
  lines += [f'| {name} | ' + ' | '.join(map(_spread, values)) + ' |' for name, values in rows]
  for checkout, of in list(zip(checkouts, found, strict=True))[1:]:
    ratios = [other.wall / own.wall for own, other in zip(found[0], of, strict=True)]
    computing = [other.processor / own.processor for own, other in zip(found[0], of, strict=True)]
    lines.append(f'\n{checkout} over {checkouts[0]}: wall time {_spread(ratios, 2)}, computing {_spread(computing, 2)}')
  return lines


def _spread(values: Sequence[float], digits: int = 1) -> str:
  if min(values) == max(values):
    return f'{values[0]:.{digits if values[0] % 1 else 0}f}'
  return f'{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})'


def as_json(checkouts: Sequence[pathlib.Path], flags: Sequence[str],
            found: Sequence[Sequence[Verdict]]) -> dict[str, Any]:
  """Returns all measurements as JSON values."""
  return {'measure': 'verdict', 'flags': list(flags),
          'checkouts': {str(checkout): [dataclasses.asdict(each) for each in of]
                        for checkout, of in zip(checkouts, found, strict=True)}}
