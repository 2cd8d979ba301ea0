"""report.html: one file, without scripts and without a network."""

import jinja2
import markupsafe

from tickets_tf.report import plots
from tickets_tf.report import wording

_ENVIRONMENT = jinja2.Environment(loader=jinja2.PackageLoader('tickets_tf.report'), autoescape=True,
                                  undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_ENVIRONMENT.filters.update({name: getattr(wording, name) for name in (
    'count', 'difference', 'keep_ratio', 'mean_and_deviation', 'number', 'p_value', 'plain')})


def html(verdicts):
  """Returns report.html.

  Args:
    verdicts: see `sanity.write_sanity`.

  Returns:
    A whole HTML document.
  """
  verdicts = wording.finite(verdicts)
  return _ENVIRONMENT.get_template('sanity.html').render(
      verdicts=verdicts, wording=wording,
      sections=[_section(number, rule, verdicts) for number, rule in enumerate(wording.by_rule(verdicts))])


def _section(number, rule, verdicts):
  """Returns what the page shows of a rule: {number, rule, ratios: [{ratio, judgements, plots}], profile}."""
  dense = (verdicts['dense'] or {'mean': None})['mean']
  reach = plots.reach(verdicts)
  ratios = []
  for ratio, judgements in rule.ratios.items():
    name = f'{number}-{ratio:g}'
    ratios.append({'ratio': ratio, 'judgements': judgements, 'plots': [
        _plot(plots.accuracies(judgements, dense, f'accuracies-{name}'),
              f'Plot of test accuracies, {rule.name} at ratio {ratio:g}: {_accuracies_in_words(judgements)}'),
        _plot(plots.differences(judgements, verdicts['margin'], reach, f'differences-{name}'),
              f'Plot of differences original - checked in points, {rule.name} at ratio {ratio:g}, around a band of '
              f'±{wording.number(verdicts["margin"])}: {_differences_in_words(judgements)}')]})
  profile = _plot(plots.keep_ratios(rule.profiles, f'keep-{number}'),
                  f'Plot of the keep ratio of each layer, {rule.name}; its numbers are in the table with it'
                  ) if rule.profiles else None
  return {'number': number, 'rule': rule, 'ratios': ratios, 'profile': profile}


def _plot(svg, text):
  # The plot says in words what it shows to those who do not see it.
  return markupsafe.Markup('{}{}').format(markupsafe.Markup('<svg role="img" aria-label="{}"').format(text),
                                          markupsafe.Markup(svg.removeprefix('<svg')))


def _accuracies_in_words(judgements):
  return '; '.join(f'{judgement["check"]} {wording.number(judgement["original"]["mean"])} original, '
                   f'{wording.number(judgement["checked"]["mean"])} checked' for judgement in judgements)


def _differences_in_words(judgements):
  return '; '.join(f'{judgement["check"]} {wording.difference(judgement)}, {judgement["verdict"]}'
                   for judgement in judgements)
