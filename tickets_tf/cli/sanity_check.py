"""Judges pruning rules by their sanity checks.

    tickets-sanity-check --pruner=snip --ratio=0.95 --seeds=5

Several at once: --pruners=random,snip,lr_rewinding --ratios=0.9,0.95. A method of your own:
--pruner=package.module:name. A mask: --mask=FILE. Every other setting is that of tickets-train.

What it would take and could show, without a run: --plan. Recorded accuracies judged again, without a run:
--rejudge=VERDICTS.json --output=DIR.
"""

from collections.abc import Iterable
import contextlib
import dataclasses
import math
import pathlib
from typing import TYPE_CHECKING

from absl import flags

from tickets_tf import notes
from tickets_tf.cli import command
from tickets_tf.cli import executing
from tickets_tf.cli.flags import define_flags as define_settings
from tickets_tf.cli.flags import from_flags
from tickets_tf.cli.flags import parse_list
from tickets_tf.errors import UsageError

if TYPE_CHECKING:
  from tickets_tf.judging.plan import Plan
  from tickets_tf.judging.verdicts import Verdicts
  from tickets_tf.runs.settings import Settings


def define_flags() -> None:
  """Defines the program's flags."""
  define_settings()
  flags.DEFINE_list('pruners', [], 'rules to judge; empty: the one of --pruner')
  flags.DEFINE_list('ratios', [], 'pruning ratios to judge them at; empty: that of --ratio')
  flags.DEFINE_list('checks', [], 'checks to make; empty: all; none: only luck, the small dense network and the ladder')
  flags.DEFINE_string('seeds', '5', 'number of seeds, or auto: as many as are needed to decide')
  flags.DEFINE_integer('max_seeds', 20, 'the most seeds of --seeds=auto')
  flags.DEFINE_string('margin', '0.5', 'what a drop has to be worth more or less than: percent points, or a share of '
                      'the gap between the dense network and luck, such as 0.2gap')
  flags.DEFINE_float('alpha', 0.05, 'probability of even one wrong statement in a family')
  flags.DEFINE_bool('controls', False, 'also judge two planted comparisons whose outcome is known')
  flags.DEFINE_bool('ladder', False, 'take tickets apart: what positions, layer ratios and smartness are worth')
  flags.DEFINE_bool('narrow', True, 'compare each rule with a small dense network of its size (rule narrow), if the '
                    'network takes a width')
  flags.DEFINE_bool('equal_epochs', False, 'train luck and the small dense network for as many epochs as the rule '
                    'takes in all, the training of the dense network included')
  flags.DEFINE_bool('plan', False, 'only tell seeds, runs, hours and what they could show; nothing is trained')
  flags.DEFINE_float('hours', 0, 'choose as many seeds as can be trained in that time; 0: as --seeds says',
                     lower_bound=0)
  flags.register_validator('hours', math.isfinite, 'expected a number of hours')
  flags.DEFINE_float('budget_minutes', 0, 'stop after that time, with verdicts on what is done; 0: never',
                     lower_bound=0)
  flags.register_validator('budget_minutes', math.isfinite, 'expected a number of minutes')
  executing.define_flags()
  flags.DEFINE_string('report', '', 'folder of the report; empty: one below --output_dir')
  flags.DEFINE_string('rejudge', '', 'verdicts.json whose accuracies are judged again, without a run')
  flags.DEFINE_string('output', '', 'folder of the verdicts and the report of --rejudge')


def main() -> bool:
  """Makes the runs, prints the verdicts and writes the report; returns whether every run could be made."""
  values = flags.FLAGS
  if values.rejudge or values.output:
    return _rejudge()
  base = from_flags()
  seeds = _seeds(values.seeds)
  ratios = tuple(parse_list('ratios', 'ratio', values.ratios))
  from tickets_tf.experiment import planning
  from tickets_tf.experiment.sanity_check import sanity_check
  from tickets_tf.judging.plan import Plan
  from tickets_tf.report import designs
  plan = Plan(base, tuple(values.pruners), ratios, tuple(values.checks), seeds, values.max_seeds, values.margin,
              values.alpha, values.controls, values.budget_minutes, 1, values.ladder, values.narrow,
              values.equal_epochs)
  plan = _shared(plan, values.parallel)
  if values.plan:
    survey = planning.survey(plan)
    print(designs.designs_table(survey.designs(), survey.spread, plan.looks()))
    if values.hours:
      print(designs.chosen(survey.within(values.hours), values.hours))
    return True
  executor = executing.from_flags()
  if base.mask or (plan.parallel == 1 and not plan.minutes and not executor):
    with command.loading_tensorflow():
      import tickets_tf.experiment.train  # noqa: F401  # The runs need it; here its notes are dropped.
  with notes.dropped():  # Checks import TensorFlow, and so may code of one's own.
    plan.runs(plan.questions(), [base.seed])
  if values.hours:
    plan = planning.within(plan, values.hours, progress=base.progress, executor=executor)
    print(f'--hours={values.hours:g}: {plan.seeds} seeds')
  folder = pathlib.Path(values.report or plan.folder()).expanduser()
  made = [path for path in (folder, *folder.parents) if not path.exists()]
  _folder(folder, f'--report={values.report}' if values.report else f'--output_dir={base.output_dir}')
  try:
    verdicts = sanity_check(plan, progress=base.progress, executor=executor)
  except UsageError:
    _remove_empty(made)
    raise
  _show(verdicts, folder)
  return not verdicts.failures


def _shared(plan: 'Plan', asked: str | int) -> 'Plan':
  """Returns a plan with as many runs at a time, and as many threads each, as --parallel asks for."""
  def runs_of(base: 'Settings') -> 'list[Settings]':
    of = dataclasses.replace(plan, base=base)
    seeds = range(base.seed, base.seed + of.looks()[0])
    return [run.settings for run in of.runs(of.questions() or of.gaps(), seeds)]

  base, parallel = executing.shared(plan.base, asked, runs_of)
  return dataclasses.replace(plan, base=base, parallel=parallel)


def _rejudge() -> bool:
  """Judges recorded accuracies again; imports no TensorFlow."""
  from tickets_tf.judging.margin import Margin
  from tickets_tf.judging.rejudge import rejudge

  values = flags.FLAGS
  if not values.rejudge or not values.output:
    raise UsageError(f'--rejudge={values.rejudge} --output={values.output}: expected a verdicts.json and a folder to '
                     'write to, both')
  margin = Margin.parse(values.margin) if values['margin'].present else None
  try:
    verdicts = rejudge(pathlib.Path(values.rejudge).expanduser(), margin,
                       values.alpha if values['alpha'].present else None)
  except UsageError as error:
    raise UsageError(f'--rejudge={values.rejudge}: expected a verdicts.json of a sanity check: {error}') from error
  _show(verdicts, _folder(values.output, f'--output={values.output}'))
  return True


def _folder(path: str | pathlib.Path, flag: str) -> pathlib.Path:
  """Returns a folder that it makes; raises UsageError that names the flag if it cannot be written to."""
  folder = pathlib.Path(path).expanduser()
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UsageError(f'{flag}: cannot be written to: {error.strerror}') from error
  return folder


def _remove_empty(folders: Iterable[pathlib.Path]) -> None:
  """Removes folders, the innermost first, that nothing was written to."""
  with contextlib.suppress(OSError):
    for folder in folders:
      folder.rmdir()


def _show(verdicts: 'Verdicts', folder: pathlib.Path) -> None:
  """Writes verdicts and their report, and prints them."""
  from tickets_tf import report

  report.write_sanity(verdicts, folder)
  print(report.sanity_table(verdicts))
  print(f'report: {folder / "report.html"}')


def run() -> None:
  """Runs the program: `tickets-sanity-check` and `bin/sanity_check`."""
  command.run(main, define=define_flags, text=__doc__)


def _seeds(text: str) -> int | None:
  if text != 'auto' and not text.isdecimal():
    raise UsageError(f'--seeds={text}: expected a number, or auto')
  return None if text == 'auto' else int(text)
