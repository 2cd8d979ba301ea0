"""Plots of verdicts: forests of drops with their bounds, and waterfalls of what tickets are made of."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import functools
import pathlib

from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.report import findings
from tickets_tf.report import plots
from tickets_tf.report import wording
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures.drawings import Drawing
from tickets_tf.report.scoreboard.figures.drawings import stem
from tickets_tf.report.scoreboard.found import Found

_BOUNDS = ('The thick line is the interval that holds together with all of the rule, the thin one that of the whole '
           'call. Grey is the margin.')
_LADDER = 'The line under a bar is the interval of its step.'


def forests(found: Found, tables: Sequence[Table]) -> Iterator[Drawing]:
  """Yields, for each verdicts.json, the rules against luck and small dense networks, and each rule against its checks.

  Args:
    found: its verdicts are drawn.
    tables: not used.
  """
  del tables
  for verdicts, of, where in _named(found.verdicts):
    axis = plots.scale(findings.all_judgements(verdicts))
    for judgements, what, other in ((verdicts.luck, 'luck', 'luck'),
                                 (verdicts.narrow, 'narrow', 'a small dense network of its size')):
      rows = [(f'{each.ratio:g} {name}', each) for each, name in zip(judgements, _short(judgements), strict=True)]
      yield from _forest(rows, axis, stem('forest', what, where), f'What each rule has above {other}: {of}',
                         f'rule - {"luck" if what == "luck" else "small dense network"}, points')
    for number, rule in enumerate(wording.by_rule(verdicts)):
      rows = [(f'{each.ratio:g} {each.check}', each) for each in rule.judgements]
      yield from _forest(rows, axis, stem('forest', str(number + 1), rule.name, where),
                         f'What {rule.name} loses by each check: {of}', 'original - checked, points')


def waterfalls(found: Found, tables: Sequence[Table]) -> Iterator[Drawing]:
  """Yields what each rule's tickets are made of: positions, layer ratios, smartness.

  Args:
    found: the ladders of its verdicts are drawn.
    tables: not used.
  """
  del tables
  for verdicts, of, where in _named(found.verdicts):
    for number, ladder in enumerate(verdicts.ladders, 1):
      yield _waterfall(ladder, stem('waterfall', str(number), ladder.rule, f'{ladder.ratio:g}', where), of)


def _waterfall(ladder: Ladder, name: str, of: str) -> Drawing:
  subjects = [each.subject for each in ladder.steps]
  steps = '; '.join(f'{step} {wording.drop(each)}'
                    for step, each in zip(findings.steps(ladder), ladder.steps, strict=True))
  ends = (f'{label} {wording.mean_and_deviation(rung)}%'
          for label, rung in ((ladder.names[0], ladder.rungs[0]), (ladder.names[-1], ladder.rungs[-1])))
  return Drawing(name, f'What {wording.name(ladder)} at ratio {ladder.ratio:g} is made of: {of}', _LADDER,
                 f'From {" down to ".join(ends)}. Steps in points: {steps}',
                 functools.partial(plots.draw_waterfall, ladder, subjects))


def _forest(rows: Iterable[tuple[str, Judgement]], axis: plots.Scale, name: str, title: str, zero: str
            ) -> Iterator[Drawing]:
  # What is the same by construction was not estimated: there is nothing to draw.
  known = [(label, judgement) for label, judgement in rows if not judgement.unaffected]
  if known:
    said = '; '.join(f'{label} {wording.drop(judgement)}, {wording.words(judgement)}' for label, judgement in known)
    yield Drawing(name, title, _BOUNDS, f'In points, with intervals: {said}',
                  functools.partial(plots.draw_forest, known, axis, zero))


def _short(judgements: Sequence[Judgement]) -> list[str]:
  """Returns names of rules; the allocation is told only if it tells rules apart, as there is little room."""
  allocations: dict[str, set[str]] = {}
  for each in judgements:
    allocations.setdefault(each.rule, set()).add(each.allocation)
  return [wording.name(each) if len(allocations[each.rule]) > 1 else each.rule for each in judgements]


def _named(found: Sequence[tuple[pathlib.Path, Verdicts]]) -> Iterator[tuple[Verdicts, str, str]]:
  """Yields verdicts, what they are of in words, and as part of a name; of several, what sets them apart too."""
  for number, (path, verdicts) in enumerate(found, 1):
    parts = str(verdicts.settings['model']), str(verdicts.settings['dataset'])
    several = len(found) > 1
    yield (verdicts_file.finite(verdicts), ' on '.join(parts) + (f' ({path.parent.name})' if several else ''),
           stem(*parts, str(number) if several else ''))
