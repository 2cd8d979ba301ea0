"""What the checks of some runs have done: a table of their proofs for each rule, as Markdown.

    python -m benchmarks.proofs RUNS

RUNS is the folder that bin/sweep left its runs in (`--output_dir`). A proof is what its check has recorded; beside it
are the accuracies.
"""

from collections.abc import Iterable
from collections.abc import Iterator
import pathlib
import sys
from typing import Any

from tickets_tf import registry
from tickets_tf.runs import records
from tickets_tf.runs.records import Record

# Figures with a column of their own: those of both sides.
_BOTH_SIDES = ('effective', 'kept_zeros')


def tables(folder: pathlib.Path) -> Iterator[str]:
  """Gives the lines of the tables.

  Args:
    folder: of the runs; those without a check are compared with, and those that came before others are left out.
  """
  found = [records.read(path.parent) for path in sorted(folder.glob('*/record.json'))]
  checked = [record for record in found if record.settings.check and not record.settings.trained_on]
  for original in _originals(found, checked):
    of, order = original.settings, registry.CHECKS.names()
    yield f'### {of.pruner}, {original.rule.rounds} rounds, ratio {of.ratio:g}, seed {of.seed}'
    yield ''
    yield '| check | proof | weights on paths | kept weights that are 0 | accuracy, % |'
    yield '| --- | --- | --- | --- | --- |'
    yield f'| (original) | | {original.effective_weights} | | {100 * original.final_accuracy:.2f} |'
    for record in sorted(_of(original, checked), key=lambda record: order.index(record.settings.check)):
      yield _row(record)
    yield ''


def _row(record: Record) -> str:
  proof = dict(record.proof)
  both = [f'{proof.pop(f"{name}_before")} → {proof.pop(name)}' if name in proof else '' for name in _BOTH_SIDES]
  said = ', '.join(f'{name.replace("_", " ")} {_plain(value)}' for name, value in proof.items())
  return ' | '.join([f'| `{record.settings.check}`', said, *both, f'{100 * record.final_accuracy:.2f} |'])


def _plain(value: Any) -> str:
  return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else f'{value:g}'


def _originals(found: Iterable[Record], checked: Iterable[Record]) -> list[Record]:
  return [record for record in found if not record.settings.check and _of(record, checked)]


def _of(original: Record, checked: Iterable[Record]) -> list[Record]:
  """Returns the checked tickets of an original."""
  return [record for record in checked if _without_check(record) == _without_check(original)]


def _without_check(record: Record) -> dict[str, Any]:
  return {name: value for name, value in record.settings.identity().items() if name != 'check'}


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit('expected the folder of the runs, as in python -m benchmarks.proofs runs')
  for line in tables(pathlib.Path(sys.argv[1])):
    print(line)
