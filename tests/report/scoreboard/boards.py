"""What a folder of a small study holds, of made-up accuracies: runs, verdicts, and what was left out."""

import dataclasses
import pathlib

import numpy as np

from tests import example_records
from tests.report import sanity_verdicts
from tickets_tf.report.scoreboard import cells
from tickets_tf.report.scoreboard import figures
from tickets_tf.report.scoreboard import page
from tickets_tf.report.scoreboard import published
from tickets_tf.report.scoreboard.found import Found
from tickets_tf.report.scoreboard.found import Run
from tickets_tf.runs import run as runs
from tickets_tf.runs.settings import Settings

ACCURACIES = {'dense': 94.5, 'random': 91.0, 'lottery': 92.5, 'snip': 90.8, 'grasp': 90.9, 'synflow': 88.0,
              'hybrid': 93.4}
RATIOS = (0.9, 0.98)
EVIL = '<script>document.title = "evil"</script><img src=x onerror="document.title=\'evil\'">'
COMMAND = 'bin/report --runs=runs --output_dir=report'


def run(pruner='snip', ratio=0.9, seed=0, accuracy=90.0, folder=None, **settings):
  """Returns a finished run that has an accuracy in percent."""
  asked = runs.Run(Settings(pruner=pruner, ratio=0.0 if pruner == 'dense' else ratio, seed=seed, **{
      'dataset': 'cifar10', 'model': 'resnet32', 'data_dir': 'data', **settings}))
  base = example_records.record(asked)
  layers = base.layers if asked.rule.prunes else tuple(
      dataclasses.replace(each, kept=each.weights) for each in base.layers)
  record = dataclasses.replace(
      base, network=asked.settings.model, layers=layers,
      dataset=dataclasses.replace(base.dataset, name=asked.settings.dataset, test=10000),
      **{name: accuracy / 100 for name in ('final_accuracy', 'settled_accuracy', 'best_accuracy')})
  return Run(pathlib.Path(folder or f'runs/{asked.name}'), record)


def study(methods=tuple(ACCURACIES), ratios=RATIOS, seeds=5, **settings):
  """Returns the runs of some rules at some ratios; what each can do falls with the ratio."""
  rng = np.random.default_rng(3)
  return [run(pruner, ratio, seed, ACCURACIES.get(pruner, 90.0) - 60 * (ratio - 0.9) + rng.normal(0, 0.15), **settings)
          for pruner in methods for ratio in (ratios if pruner != 'dense' else (0.9,)) for seed in range(seeds)]


def found(made_runs, verdicts=(), left_out=()):
  """Returns what was found; verdicts are in folders of their own."""
  return Found(tuple(made_runs), tuple((pathlib.Path(f'runs/sanity-{number}/verdicts.json'), each)
                                       for number, each in enumerate(verdicts)), tuple(left_out))


def small():
  """Returns all that a page can show, small."""
  return found([*study(), *study(('random', 'snip'), (0.9,), seeds=2, epochs=3)],
               [sanity_verdicts.failed(), sanity_verdicts.undecided()],
               [('runs/half', 'not finished: holds settings.json, but no record.json yet')])


def evil():
  """Returns what was found in folders whose names, settings and verdicts are an attack on the reader."""
  attacked = sanity_verdicts.verdicts(('snip',), (0.95,), ('random_labels',), seeds=3, command=EVIL, stopped=EVIL,
                                      failures=(EVIL,))
  attacked = sanity_verdicts.with_judgement(attacked, 0, rule=EVIL, check=EVIL, sentence=EVIL)
  attacked = dataclasses.replace(attacked, settings={**attacked.settings, 'model': EVIL, 'dataset': EVIL})
  made = [run(seed=seed, folder=f'runs/{EVIL}{seed}', data_dir=EVIL) for seed in range(3)]
  made = [dataclasses.replace(each, record=dataclasses.replace(
      each.record, network=EVIL, environment={EVIL: EVIL, 'commit': EVIL})) for each in made]
  return found(made, [attacked], [(EVIL, EVIL)])


def html(of, comparison=True, drawn=True, command=COMMAND, stamp=''):
  """Returns the page of what was found."""
  tables = cells.tables(of.runs)
  drawings = figures.draw(of, tables) if drawn else figures.Drawings((), ())
  return page.html(of, tables, published.compare(tables) if comparison else None, drawings, command, stamp)
