"""How many seeds the questions of a recorded study need until most have a statement: tests of before, intervals of now.

Accuracies are made up, normal with the means and the moderated deviations that the study found. Before, every question
had two one-sided t-tests against the margin and one against 0, each corrected by Holm's method over the whole call.
"""

from collections.abc import Iterator
import dataclasses
import json
import math
import pathlib

import numpy as np
import numpy.typing as npt
from scipy import stats

from tickets_tf import seeds
from tickets_tf.judging.bounds import critical_value
from tickets_tf.judging.estimates import estimate
from tickets_tf.judging.estimates import moderate

_Floats = npt.NDArray[np.float64]
NUMBERS = (3, 4, 5, 6, 8, 10, 12, 14, 17, 20, 25, 30, 40, 50, 60, 80, 100, 130, 160, 200, 250, 300)


@dataclasses.dataclass(frozen=True)
class Study:
  """What a recorded study found of its questions; comparisons that are identical by construction are left out.

  Attributes:
    name: its folder.
    means: accuracies in percent, [groups, 1 + checks], NaN where a group lacks a check.
    deviations: moderated standard deviations, likewise.
    rules: number of rules; the groups of each come one after another.
    margin: in percent points.
    resolution: in percent points.
    asked: number of comparisons, those that are left out included, which counted before.
    correlation: rho, 0 if it was estimated below that.
  """
  name: str
  means: _Floats
  deviations: _Floats
  rules: int
  margin: float
  resolution: float
  asked: int
  correlation: float


def read(path: pathlib.Path, margin: float | None = None) -> Study:
  """Reads a verdicts.json. Runs that are all alike tell what is identical by construction.

  Args:
    path: the file.
    margin: in percent points; None: the one that was used.
  """
  values = json.loads(path.read_text())
  groups: dict[tuple[str, float], list[list[float]]] = {}
  asked = [each for each in values['judgements'] if not each.get('control')]
  for each in asked:
    original, checked = each['original']['accuracies'], each['checked']['accuracies']
    group = groups.setdefault((each['rule'], each['ratio']), [original])
    if original != checked:
      group.append(checked)
  arms = max(map(len, groups.values()))
  accuracies = np.full((len(groups), arms, len(values['seeds'])), np.nan)
  for row, group in enumerate(groups.values()):
    accuracies[row, :len(group)] = group
  counts = np.isfinite(accuracies).sum(-1)
  variances = np.maximum(np.nan_to_num(accuracies.var(-1, ddof=1), nan=1.0), values['resolution']**2 / 12)
  rho = float(estimate(accuracies, values['resolution']).correlation)
  return Study(path.parent.name, accuracies.mean(-1), np.sqrt(moderate(variances, counts)[1]),
               len({rule for rule, _ in groups}), margin or values['margin'], values['resolution'], len(asked),
               max(rho, 0.0))


def shares(study: Study, number: int, drops: float, calls: int = 200) -> dict[str, float]:
  """Returns the share of questions that get a statement: by 'before', 'rule' and 'call'.

  Args:
    study: what was found.
    number: seeds.
    drops: factor of the recorded drops: 1 as they were, 0 for none.
    calls: how many to make up.
  """
  rng = seeds.generator(0, 'seeds needed', study.name, number)
  means = study.means[:, :1] + drops * (study.means - study.means[:, :1])
  there = np.isfinite(means[:, 1:])
  found: dict[str, list[float]] = {}
  for _ in range(0, calls, 20):
    shape = 20, *study.means.shape, number
    noise = math.sqrt(1 - study.correlation) * rng.standard_normal(shape)
    noise += math.sqrt(study.correlation) * rng.standard_normal((20, means.shape[0], 1, number))
    values = means[..., np.newaxis] + study.deviations[..., np.newaxis] * noise
    for name, said in _said(study, values).items():
      found.setdefault(name, []).append(float(said[:, there].mean()))
  return {name: math.fsum(each) / len(each) for name, each in found.items()}


def rows(studies: list[Study], share: float = 0.8, calls: int = 200) -> Iterator[str]:
  """Yields the rows of a table: seeds that a share of the questions need, before and now.

  Args:
    studies: what was found.
    share: of the questions, on average.
    calls: how many to make up for each number of seeds.
  """
  yield '| study | margin | true drops | before | now, family of a rule | now, whole call |'
  yield '| --- ' * 6 + '|'
  for study in studies:
    for drops, told in ((1.0, 'as recorded'), (0.5, 'half of them'), (0.0, 'none')):
      needed: dict[str, int] = {}
      for number in NUMBERS:
        for name, found in shares(study, number, drops, calls).items():
          if found >= share:
            needed.setdefault(name, number)
        if len(needed) == 3:
          break
      cells = ' | '.join(str(needed.get(name, f'more than {NUMBERS[-1]}')) for name in ('before', 'rule', 'call'))
      yield f'| {study.name} | {study.margin:g} | {told} | {cells} |'


def _said(study: Study, values: _Floats) -> dict[str, npt.NDArray[np.bool_]]:
  """Returns for each question of each call, [calls, groups, checks], whether something is said of it."""
  found = estimate(values, study.resolution)
  groups, checks = values.shape[1], values.shape[2] - 1
  said = {'before': _said_before(study, values)}
  freedoms, places = np.unique(found.degrees_of_freedom, return_inverse=True)
  for name, family in (('rule', groups // study.rules), ('call', groups)):
    c = np.array([critical_value(family, checks, int(f), 0.05) if f else math.inf for f in freedoms])
    reach = c[places.reshape(found.drop.shape)] * found.error
    said[name] = (found.drop - reach > 0) | (found.drop + reach < study.margin)
  return said


def _said_before(study: Study, values: _Floats) -> npt.NDArray[np.bool_]:
  """Returns the same of the t-tests: Holm's method with comparisons as units that test two hypotheses each."""
  differences = values[..., :1, :] - values[..., 1:, :]
  n = values.shape[-1]
  drop = differences.mean(-1)
  error = np.maximum(differences.std(-1, ddof=1), study.resolution / math.sqrt(6)) / math.sqrt(n)
  tail = lambda distance: np.nan_to_num(stats.t.sf(distance / error, n - 1), nan=1.0)
  equivalent = np.maximum(tail(drop + study.margin), tail(study.margin - drop))
  above = tail(drop)
  flat = lambda array: array.reshape(len(values), -1)
  largest = np.sort(flat(np.maximum(equivalent, above)), axis=-1)
  said = np.zeros(drop.shape, bool)
  for call in range(len(values)):
    # A comparison is closed once both of its hypotheses are rejected, which frees level for the others.
    # What was identical by construction had a p-value of 1 and was never closed.
    level, closed = 0.05 / study.asked, 0
    while (now := int((largest[call] <= level).sum())) > closed:
      closed = now
      level = 0.05 / max(study.asked - closed, 1)
    said[call] = (equivalent[call] <= level) | ((above[call] <= level) & (drop[call] > study.margin))
  return said
