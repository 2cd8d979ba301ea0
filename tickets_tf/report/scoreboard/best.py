"""Which methods of a column may be the best one."""

from collections.abc import Mapping

from tickets_tf.judging.bounds import Group
from tickets_tf.judging.bounds import simultaneous

SEEDS = 3  # Fewer have no interval.

_Key = tuple[str, float]
_Accuracies = Mapping[int, float]


def among_best(accuracies: Mapping[_Key, _Accuracies], resolution: float) -> dict[_Key, bool | None]:
  """Returns for each method at each ratio whether it may be the best of its column.

  Multiple comparisons with the best (Hsu 1984): all methods of a column are compared with the one of the highest mean,
  by `judging.bounds.simultaneous`, where that one is the original that the comparisons share. A method may be the best
  if its interval reaches zero. With at least 95%, the method that is truly the best is among them, in all columns of a
  table together; the others are then no better than some method that is. Hsu's intervals are one-sided with 5%. Each
  end of these is wrong with at most 2.5%, so that rather too many may be the best. Hsu proves it for equal numbers of
  seeds. Where they differ, each difference has the standard error of its own numbers.

  Methods of the same accuracies to the last digit, as those of a check that changes nothing for a rule, are compared
  once.

  Args:
    accuracies: (method, ratio) -> accuracies in percent by seed.
    resolution: smallest step between two accuracies in percent points, 100 / test images.

  Returns:
    True or False by (method, ratio); None for fewer than 3 seeds. All of a column are None if it has no two methods of
    3 seeds, or if its highest mean is of fewer.
  """
  found: dict[_Key, bool | None] = dict.fromkeys(accuracies)
  columns: dict[float, dict[str, _Accuracies]] = {}
  for (method, ratio), values in accuracies.items():
    columns.setdefault(ratio, {})[method] = values
  columns = {ratio: {name: values for name, values in column.items() if len(values) >= SEEDS}
             for ratio, column in columns.items() if len(column[_highest(column)]) >= SEEDS}
  columns = {ratio: column for ratio, column in columns.items() if len(column) > 1}
  groups, twins = [], {}
  for ratio, column in columns.items():
    first: dict[tuple[tuple[int, float], ...], str] = {}
    twins[ratio] = {name: first.setdefault(tuple(sorted(values.items())), name) for name, values in column.items()}
    groups.append(_group(ratio, {name: column[name] for name in first.values()}))
  bounds, _ = simultaneous(groups, resolution)
  for group in groups:
    for name, twin in twins[group.ratio].items():
      if twin not in group.checked:  # It is the best.
        found[name, group.ratio] = True
      else:
        interval = bounds[group.rule, group.ratio, twin].rule_family
        found[name, group.ratio] = interval[0] <= 0 if interval else None
  return found


def _highest(column: Mapping[str, _Accuracies]) -> str:
  """Returns the method of the highest mean."""
  return max(column, key=lambda name: sum(column[name].values()) / len(column[name]))


def _group(ratio: float, column: Mapping[str, _Accuracies]) -> Group:
  """Returns a column as a comparison with its best, the accuracies by seed, NaN for a seed that a method lacks."""
  seeds = sorted({seed for values in column.values() for seed in values})
  arms = {name: tuple(values.get(seed, float('nan')) for seed in seeds) for name, values in column.items()}
  highest = _highest(column)
  return Group('column', ratio, arms[highest], {name: arm for name, arm in arms.items() if name != highest})
