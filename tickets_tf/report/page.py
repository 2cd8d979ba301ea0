"""report.html: one file, without scripts and without a network."""

from collections.abc import Sequence
import dataclasses

import jinja2
import markupsafe

from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.judging.verdicts import finite
from tickets_tf.report import plots
from tickets_tf.report import wording

_ENVIRONMENT = jinja2.Environment(loader=jinja2.PackageLoader('tickets_tf.report'), autoescape=True,
                                  undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.filters.update({name: getattr(wording, name) for name in (
    'count', 'difference', 'keep_ratio', 'mean_and_deviation', 'number', 'p_value', 'plain')})


@dataclasses.dataclass(frozen=True)
class _Ratio:
  """What the page shows of a rule at one ratio."""
  ratio: float
  numbered: list[wording.Numbered]
  plots: list[markupsafe.Markup]


@dataclasses.dataclass(frozen=True)
class _Section:
  """What the page shows of a rule; `profile` is the plot of its keep ratios."""
  number: int
  rule: wording.RuleJudgements
  ratios: list[_Ratio]
  profile: markupsafe.Markup | None


def html(verdicts: Verdicts) -> str:
  """Returns report.html, a whole HTML document.

  Args:
    verdicts: what it shows.
  """
  verdicts = finite(verdicts)
  return _ENVIRONMENT.get_template('sanity.html').render(
      verdicts=verdicts, wording=wording,
      sections=[_section(number, rule, verdicts) for number, rule in enumerate(wording.by_rule(verdicts))])


def _section(number: int, rule: wording.RuleJudgements, verdicts: Verdicts) -> _Section:
  dense = verdicts.dense.mean if verdicts.dense else None
  reach = plots.reach(verdicts)
  ratios = []
  for ratio, numbered in rule.ratios.items():
    judgements = [each.judgement for each in numbered]
    name = f'{number}-{ratio:g}'
    ratios.append(_Ratio(ratio, numbered, [
        _plot(plots.accuracies(judgements, dense, f'accuracies-{name}'),
              f'Plot of test accuracies, {rule.name} at ratio {ratio:g}: {_accuracies_in_words(judgements)}'),
        _plot(plots.differences(judgements, verdicts.margin, reach, f'differences-{name}'),
              f'Plot of differences original - checked in points, {rule.name} at ratio {ratio:g}, around a band of '
              f'±{wording.number(verdicts.margin)}: {_differences_in_words(judgements)}')]))
  profile = _plot(plots.keep_ratios(rule.profiles, f'keep-{number}'),
                  f'Plot of the keep ratio of each layer, {rule.name}; its numbers are in the table with it'
                  ) if rule.profiles else None
  return _Section(number, rule, ratios, profile)


def _plot(svg: str, text: str) -> markupsafe.Markup:
  # The plot says in words what it shows, for those who do not see it.
  return markupsafe.Markup('{}{}').format(markupsafe.Markup('<svg role="img" aria-label="{}"').format(text),
                                          markupsafe.Markup(svg.removeprefix('<svg')))


def _accuracies_in_words(judgements: Sequence[Judgement]) -> str:
  return '; '.join(f'{judgement.check} {wording.number(judgement.original.mean)} original, '
                   f'{wording.number(judgement.checked.mean)} checked' for judgement in judgements)


def _differences_in_words(judgements: Sequence[Judgement]) -> str:
  return '; '.join(f'{judgement.check} {wording.difference(judgement.difference)}, {judgement.verdict}'
                   for judgement in judgements)
