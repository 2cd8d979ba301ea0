"""Makes many runs, shared work once.

    tickets-sweep --pruners=random,snip --ratios=0.9,0.98 --seeds=0,1,2

The order given is the order of importance; seeds vary slowest, then models, ratios and pruners. A pruner with a check,
as in --pruners=snip,snip@rearrange, is a checked ticket among the others. Every other setting is that of tickets-train.
--config=sweeps/cifar10 and its like are whole sweeps. Killed, or out of --minutes, the same command resumes.

What it would do, without a run: --dry_run.
"""

from collections.abc import Sequence
import math
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING
from typing import Any

from absl import flags

from tickets_tf import notes
from tickets_tf.cli import command
from tickets_tf.cli import executing
from tickets_tf.cli.flags import define_flags as define_settings
from tickets_tf.cli.flags import from_flags
from tickets_tf.cli.flags import parse_list
from tickets_tf.errors import UsageError

if TYPE_CHECKING:
  from tickets_tf.runs.settings import Settings

_LISTS = {'seeds': 'seed', 'datasets': 'dataset', 'models': 'model', 'ratios': 'ratio', 'pruners': 'pruner',
          'patterns': 'pattern', 'checks': 'check'}


def define_flags() -> None:
  """Defines the program's flags."""
  define_settings()
  for name, field in _LISTS.items():
    flags.DEFINE_list(name, [], f'values of --{field}; empty: the one of --{field}')
  flags.DEFINE_float('minutes', 0, 'stop after that time; 0: never', lower_bound=0)
  flags.register_validator('minutes', math.isfinite, 'expected a number of minutes')
  executing.define_flags()
  flags.DEFINE_bool('dry_run', False, 'only list the runs, what they share, how far they are and the hours that are '
                    'left; nothing is trained')
  flags.DEFINE_string('table', '', 'file to write the table to, as Markdown with the command that makes it')


def main() -> bool:
  """Makes the runs, prints their table and writes it; returns whether every run could be made."""
  values = flags.FLAGS
  base = from_flags()
  if values.table and not pathlib.Path(values.table).absolute().parent.is_dir():
    raise UsageError(f'--table={values.table}: expected a file in a folder that exists')
  lists = {field: parse_list(name, field, values[name].value) for name, field in _LISTS.items()}
  lists['pruner'] = [_ticket(name, lists['check']) for name in lists['pruner']]
  from tickets_tf.experiment import sweep
  varied = {field: parts for field, parts in lists.items() if parts}
  base, parallel = executing.shared(base, values.parallel, lambda each: sweep.grid(each, **varied))
  runs = sweep.grid(base, **varied)
  if values.dry_run:
    return _dry_run(runs, parallel)
  executor = executing.from_flags()
  if parallel == 1 and not values.minutes and not executor:
    with command.loading_tensorflow():
      import tickets_tf.experiment.train  # noqa: F401  # The runs need it; here its notes are dropped.
  with notes.dropped():  # Checks import TensorFlow, and so may code of one's own.
    sweep.with_needed(runs)
  from tickets_tf import report
  outcome = sweep.run_all(runs, parallel, values.minutes, progress=base.progress, executor=executor)
  made = outcome.distinct(runs)
  print(report.runs_table(made))
  if values.table:
    report.write_runs(made, f'bin/sweep {shlex.join(sys.argv[1:])}', values.table)
  if outcome.stopped:
    print(f'out of time with {len(made)} runs done; the same command resumes')
  return not outcome.failures


def _dry_run(runs: 'Sequence[Settings]', parallel: int) -> bool:
  """Prints what the sweep would do; imports no TensorFlow."""
  from tickets_tf.experiment.prospects import prospect
  from tickets_tf.report.prospect import prospect_table

  print(prospect_table(prospect(runs, parallel)))
  return True


def run() -> None:
  """Runs the program: `tickets-sweep` and `bin/sweep`."""
  command.run(main, define=define_flags, text=__doc__)


def _ticket(name: str, checks: Sequence[str]) -> str | dict[str, Any]:
  pruner, with_check, check = name.partition('@')
  if with_check and (checks or not check):
    raise UsageError(f'--pruners={name}: expected ' + ('no --checks beside a check of its own' if check else
                                                       'the name of a check behind the @'))
  return {'pruner': pruner, 'check': check} if with_check else pruner
