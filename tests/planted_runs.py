"""Runs whose accuracies are planted, in place of `sweep.run_all`, for tests that train nothing."""

import dataclasses
import tempfile

import numpy as np

import tickets_tf
from tests import example_records
from tickets_tf.experiment import sweep
from tickets_tf.experiment.sanity_check import sanity_check
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.question import Question
from tickets_tf.pruning.narrowed import Narrowed
from tickets_tf.runs.records import Layer
from tickets_tf.runs.run import Run

BASE = tickets_tf.Settings(ratio=0.9, epochs=4)
NARROWED = Narrowed(3, 16, 'weights', 100, 90)
LAYERS = (Layer('conv', (1, 10), 10, 1, None, None), Layer('classifier', (1, 10), 10, 3, None, None))


class World:
  """Runs whose accuracies are known: 90% less what a check costs a rule, with noise by seed; the dense network 98%.

  Args:
    costs: (rule, check) -> drop in percent points, or a list with the drop of each seed.
    noise: standard deviation of the accuracies in percent points.
    limit: how many runs can be done before the budget ends.
    test_images: number of images that accuracies are on.
  """

  def __init__(self, costs, noise=0.05, limit=None, test_images=10000):
    self.costs, self.noise, self.limit = {('dense', ''): -8.0, **costs}, noise, limit
    self.test_images, self.made = test_images, []

  def run_all(self, runs, parallel=1, minutes=0, say=print, progress=True, executor=None):
    runs = list(dict.fromkeys(map(Run, runs)))
    self.made += [run for run in runs if run not in self.made]
    done = self.made[:self.limit]
    return sweep.Outcome({run: self.record(run) for run in runs if run in done}, {}, len(done) < len(self.made))

  def record(self, run):
    if run.settings.check and Question(run.original, run.settings.check).by_construction:
      return dataclasses.replace(self.record(run.original), settings=run.settings, proof={'acted': True})
    of = run.settings
    rng = np.random.default_rng([of.seed, len(of.check), len(of.pruner)])
    cost = self.costs.get((of.pruner, of.check), 0.0)
    cost = cost[of.seed] if isinstance(cost, list) else cost
    accuracy = 0.9 - cost / 100 + rng.normal(0, self.noise / 100)
    found = example_records.record(run, final_accuracy=accuracy, settled_accuracy=accuracy, best_accuracy=0.97,
                                   proof={'acted': True}, layers=LAYERS, environment={'commit': 'abc', 'packages': {}},
                                   narrowed=NARROWED if run.rule.narrows else None)
    return dataclasses.replace(found, dataset=dataclasses.replace(found.dataset, test=self.test_images),
                               collapse=dataclasses.replace(found.collapse, connected=self.connected(run)))

  def connected(self, run):
    return True


def check(monkeypatch, world, folder=None, **plan):
  """Returns the `Verdicts` of the sanity check of a world; `folder` keeps the looks; None: no other check knows."""
  monkeypatch.setattr(sweep, 'run_all', world.run_all)
  with tempfile.TemporaryDirectory() as empty, monkeypatch.context() as patch:
    patch.chdir(folder or empty)
    return sanity_check(Plan(**{'base': BASE, 'ratios': (0.9,), **plan}), say=lambda line: None, progress=False)
