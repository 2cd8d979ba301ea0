"""report.html: one file, without scripts and without a network."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

import jinja2
import markupsafe

from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.judging.verdicts import finite
from tickets_tf.report import findings
from tickets_tf.report import method
from tickets_tf.report import plots
from tickets_tf.report import wording

# All pages of this package.
ENVIRONMENT = jinja2.Environment(loader=jinja2.PackageLoader('tickets_tf.report'), autoescape=True,
                                 undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
ENVIRONMENT.filters.update({name: getattr(wording, name) for name in (
    'count', 'drop', 'interval', 'keep_ratio', 'kind', 'mean_and_deviation', 'name', 'number', 'plain', 'words')})
ENVIRONMENT.filters['gap'] = findings.gap


@dataclasses.dataclass(frozen=True)
class _Ratio:
  """What the page shows of a rule at one ratio."""
  ratio: float
  numbered: list[wording.Numbered]
  plot: markupsafe.Markup


@dataclasses.dataclass(frozen=True)
class _Section:
  """What the page shows of a rule; `profile` is the plot of its keep ratios, `forest` that of its comparisons."""
  number: int
  rule: wording.RuleJudgements
  ratios: list[_Ratio]
  forest: markupsafe.Markup | None
  profile: markupsafe.Markup | None


@dataclasses.dataclass(frozen=True)
class _Ladder:
  """What takes a rule's tickets apart, with the names of its steps."""
  ladder: Ladder
  steps: list[str]
  plot: markupsafe.Markup


def html(verdicts: Verdicts) -> str:
  """Returns report.html, a whole HTML document.

  Args:
    verdicts: what it shows.
  """
  verdicts = finite(verdicts)
  axis = plots.scale(findings.all_judgements(verdicts))
  sections = [_section(number, rule, verdicts, axis) for number, rule in enumerate(wording.by_rule(verdicts))]
  return ENVIRONMENT.get_template('sanity.html').render(
      verdicts=verdicts, wording=wording, findings=findings, method=method, sections=sections,
      luck=_above(verdicts.luck, axis, 'luck'), narrow=_above(verdicts.narrow, axis, 'a small dense network'),
      ladders=[_ladder(number, each) for number, each in enumerate(verdicts.ladders)])


def _section(number: int, rule: wording.RuleJudgements, verdicts: Verdicts, axis: plots.Scale) -> _Section:
  dense = verdicts.dense.mean if verdicts.dense else None
  ratios = []
  for ratio, numbered in rule.ratios.items():
    judgements = [each.judgement for each in numbered]
    ratios.append(_Ratio(ratio, numbered, _plot(
        plots.accuracies(judgements, dense, f'accuracies-{number}-{ratio:g}'),
        f'Plot of test accuracies, {rule.name} at ratio {ratio:g}: {_accuracies_in_words(judgements)}')))
  forest = _forest([(f'{each.ratio:g} {each.check}', each) for each in rule.judgements], axis, f'forest-{number}',
                   f'drops of {rule.name}')
  profile = _plot(plots.keep_ratios(rule.profiles, f'keep-{number}'),
                  f'Plot of the keep ratio of each layer, {rule.name}; its numbers are in the table with it'
                  ) if rule.profiles else None
  return _Section(number, rule, ratios, forest, profile)


def _above(judgements: Sequence[Judgement], axis: plots.Scale, what: str) -> markupsafe.Markup | None:
  # An allocation is told only if it tells rules apart: there is little room.
  allocations = {each.rule: {other.allocation for other in judgements if other.rule == each.rule}
                 for each in judgements}
  rows = [(f'{each.ratio:g} {wording.name(each) if len(allocations[each.rule]) > 1 else each.rule}', each)
          for each in judgements]
  return _forest(rows, axis, what.split()[-1], f'what each rule has above {what}', f'rule - {what}, points')


def _ladder(number: int, ladder: Ladder) -> _Ladder:
  steps = findings.steps(ladder)
  said = '; '.join(f'{step} {wording.drop(judgement)}' for step, judgement in zip(steps, ladder.steps, strict=True))
  plot = plots.waterfall(ladder, [judgement.subject for judgement in ladder.steps], f'ladder-{number}')
  return _Ladder(ladder, steps, _plot(
      plot, f'Plot of what {wording.name(ladder)} at ratio {ladder.ratio:g} is made of: {said}'))


def _forest(rows: Iterable[tuple[str, Judgement]], axis: plots.Scale, name: str, of: str, *zero: str
            ) -> markupsafe.Markup | None:
  # What is the same by construction was not estimated: there is nothing to draw.
  rows = [(label, judgement) for label, judgement in rows if not judgement.unaffected]
  if not rows:
    return None
  said = '; '.join(f'{label} {wording.drop(judgement)}, {wording.words(judgement)}' for label, judgement in rows)
  return _plot(plots.forest(rows, axis, name, *zero), f'Plot of {of} in points, with intervals: {said}')


def _plot(svg: str, text: str) -> markupsafe.Markup:
  # The plot says in words what it shows, for those who do not see it.
  return markupsafe.Markup('{}{}').format(markupsafe.Markup('<svg role="img" aria-label="{}"').format(text),
                                          markupsafe.Markup(svg.removeprefix('<svg')))


def _accuracies_in_words(judgements: Sequence[Judgement]) -> str:
  return '; '.join(f'{judgement.check} {wording.number(judgement.original.mean)} original, '
                   f'{wording.number(judgement.checked.mean)} checked' for judgement in judgements)
