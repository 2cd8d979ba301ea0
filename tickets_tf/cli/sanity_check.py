"""Judges pruning rules by their sanity checks.

    tickets-sanity-check --pruner=snip --ratio=0.95 --seeds=5

Several at once: --pruners=random,snip,lr_rewinding --ratios=0.9,0.95. A method of your own:
--pruner=package.module:name. A mask: --mask=FILE. Every other setting is that of tickets-train.
"""

import math
import pathlib

from absl import flags

from tickets_tf.cli import command
from tickets_tf.cli.flags import define_flags as define_settings
from tickets_tf.cli.flags import from_flags
from tickets_tf.cli.flags import parse_list
from tickets_tf.errors import UsageError


def define_flags() -> None:
  """Defines the program's flags."""
  define_settings()
  flags.DEFINE_list('pruners', [], 'rules to judge; empty: the one of --pruner')
  flags.DEFINE_list('ratios', [], 'pruning ratios to judge them at; empty: that of --ratio')
  flags.DEFINE_list('checks', [], 'checks to make; empty: all')
  flags.DEFINE_string('seeds', '5', 'number of seeds, or auto: as many as are needed to decide')
  flags.DEFINE_integer('max_seeds', 20, 'the most seeds of --seeds=auto')
  flags.DEFINE_float('margin', 0.5, 'differences below this many percent points count as none', lower_bound=0)
  flags.DEFINE_float('alpha', 0.05, 'error rate of all verdicts together, and of those on the controls')
  flags.DEFINE_bool('controls', False, 'also judge two planted rules whose verdicts are known')
  flags.DEFINE_float('budget_minutes', 0, 'stop after that time, with verdicts on what is done; 0: never',
                     lower_bound=0)
  flags.register_validator('budget_minutes', math.isfinite, 'expected a number of minutes')
  flags.DEFINE_integer('parallel', 1, 'runs to make at a time, each in a process of its own', lower_bound=1)
  flags.DEFINE_string('report', '', 'folder of the report; empty: one below --output_dir')


def main() -> bool:
  """Makes the runs, prints the verdicts and writes the report; returns whether every run could be made."""
  values = flags.FLAGS
  base = from_flags()
  seeds = _seeds(values.seeds)
  ratios = tuple(parse_list('ratios', 'ratio', values.ratios))
  with command.loading_tensorflow():
    import tickets_tf.experiment.train  # noqa: F401  # The runs need it; here its notes are dropped.
    from tickets_tf import report
    from tickets_tf.experiment.sanity_check import sanity_check
    from tickets_tf.judging.plan import Plan
  plan = Plan(base, tuple(values.pruners), ratios, tuple(values.checks), seeds, values.max_seeds, values.margin,
              values.alpha, values.controls, values.budget_minutes, values.parallel)
  folder = pathlib.Path(values.report or plan.folder()).expanduser()
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    flag = f'--report={values.report}' if values.report else f'--output_dir={base.output_dir}'
    raise UsageError(f'{flag}: cannot be written to: {error.strerror}') from error
  verdicts = sanity_check(plan, progress=base.progress)
  report.write_sanity(verdicts, folder)
  print(report.sanity_table(verdicts))
  print(f'report: {folder / "report.html"}')
  return not verdicts.failures


def run() -> None:
  """Runs the program: `tickets-sanity-check` and `bin/sanity_check`."""
  command.run(main, define=define_flags, text=__doc__)


def _seeds(text: str) -> int | None:
  if text != 'auto' and not text.isdecimal():
    raise UsageError(f'--seeds={text}: expected a number, or auto')
  return None if text == 'auto' else int(text)
