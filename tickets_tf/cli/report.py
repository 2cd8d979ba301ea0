"""Turns finished runs and verdicts into tables, plots and one page; nothing is trained.

    tickets-report --runs=runs --output_dir=report

Below --output_dir it writes the tables as tables.txt, tables.md, tables.csv and tables.tex, the plots as SVG and PNG in
figures/, and all of it with the verdicts in report.html, one file that needs no network. --runs can be given several
times, and takes folders of runs, of sanity checks, or of both. What cannot be used is named and left out.

With --compare=published the accuracies of the paper stand beside those of the same network, data set, method and ratio.
With --serve nothing is written: the page is shown on this machine alone, and follows the folders while runs end.
"""

import os
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING

from absl import flags
from absl import logging

from tickets_tf.cli import command
from tickets_tf.errors import UsageError

if TYPE_CHECKING:
  from tickets_tf.report.scoreboard.found import Found

_SHOWN = 5  # of what is left out; report.html names all


def define_flags() -> None:
  """Defines the program's flags."""
  flags.DEFINE_multi_string('runs', [], 'folder with the folders of runs, of sanity checks, or of both, at any depth; '
                            'again for one more folder')
  flags.DEFINE_string('output_dir', 'report', 'folder that the report is written to')
  flags.DEFINE_enum('compare', '', ['', 'published'], 'what the accuracies are set beside: published: those of the '
                    'paper; empty: nothing')
  flags.DEFINE_bool('serve', False, 'show the page on this machine and follow the folders; Ctrl-C ends it')
  flags.DEFINE_integer('port', 8765, 'port of --serve; 0: any that is free', lower_bound=0, upper_bound=65535)


def main() -> None:
  """Writes the report, or serves the page."""
  values = flags.FLAGS
  if not values.runs:
    raise UsageError('--runs is needed: a folder of runs or of sanity checks')
  from tickets_tf.report.scoreboard import found as search
  if values.serve:
    _serve()
    return
  found = search.find(values.runs)
  _tell(found)
  folder = pathlib.Path(values.output_dir).expanduser()
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise UsageError(f'--output_dir={values.output_dir}: cannot be written to: {error.strerror}') from error
  from tickets_tf.report import scoreboard
  print(scoreboard.write(found, folder, _command(), values.compare == 'published'))
  print(f'report: {folder / "report.html"}')


def _serve() -> None:
  values = flags.FLAGS
  from tickets_tf.report import scoreboard
  from tickets_tf.report.scoreboard import found as search
  from tickets_tf.report.scoreboard import serve
  _tell(search.find(values.runs))  # A folder that is not there is told now, and not by the page.
  serve.serve(values.runs, values.port, lambda stamp: scoreboard.page_of(
      search.find(values.runs), _command(), values.compare == 'published', stamp))


def _tell(found: 'Found') -> None:
  for name, why in found.left_out[:_SHOWN]:
    logging.warning('%s: left out: %s', name, why)
  if len(found.left_out) > _SHOWN:
    logging.warning('%d more are left out', len(found.left_out) - _SHOWN)


def _command() -> str:
  return shlex.join([f'bin/{os.path.basename(sys.argv[0])}', *sys.argv[1:]])


def run() -> None:
  """Runs the program: `tickets-report` and `bin/report`."""
  command.run(main, define=define_flags, text=__doc__)
