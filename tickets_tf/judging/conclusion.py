"""From the answers to all questions to the verdicts that a report shows."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

import numpy as np

from tickets_tf import registry
from tickets_tf.judging.correction import INSENSITIVE
from tickets_tf.judging.correction import SENSITIVE
from tickets_tf.judging.correction import UNDECIDED
from tickets_tf.judging.family import Answer
from tickets_tf.judging.family import Family
from tickets_tf.judging.family import accuracies
from tickets_tf.judging.family import resolution
from tickets_tf.judging.forecast import seeds_to_decide
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.plan import Question
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import Difference
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Looks
from tickets_tf.judging.verdicts import Sample
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.runs.records import Choices
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run


@dataclasses.dataclass(frozen=True)
class RunsSoFar:
  """How far the runs have come.

  Attributes:
    looks: number of looks that are done.
    seeds: the seeds of the last look.
    records: the runs that are done.
    failures: one line for each run that failed.
    stopped: whether the budget ended before the last run.
  """
  looks: int
  seeds: Sequence[int]
  records: Mapping[Run, Record]
  failures: Mapping[Run, str]
  stopped: bool


def conclude(plan: Plan, asked: Family, controls: Family, runs: RunsSoFar) -> Verdicts:
  """Returns all that a sanity check has found.

  Args:
    plan: what was to be judged.
    asked: the questions and their answers.
    controls: the planted controls and their answers.
    runs: how far the runs have come.
  """
  judgements = [_judgement(question, answer) for question, answer in asked.answers.items()]
  planted = [_judgement(question, answer) for question, answer in controls.answers.items()]
  dense = [runs.records[run] for run in map(plan.dense, runs.seeds) if run in runs.records]
  records = [*dense, *(record for family in (asked, controls) for answer in family.answers.values()
                       for record in (*answer.originals.values(), *answer.checked.values()))]
  commits = {record.environment.get('commit') for record in records}
  originals = {question.rule: answer.originals for question, answer in asked.answers.items()}
  return Verdicts(
      command=plan.command(),
      commit=', '.join(sorted(commit for commit in commits if commit)) or None,
      environment=records[0].environment if records else {},
      settings={name: value for name, value in dataclasses.asdict(plan.base).items()
                if name not in ('pruner', 'ratio', 'check')},
      margin=plan.margin,
      alpha=plan.alpha,
      resolution=resolution(records[0]) if records else None,
      seeds=tuple(runs.seeds),
      looks=Looks('pocock', tuple(plan.looks()), tuple(plan.levels()), runs.looks) if plan.seeds is None else None,
      stopped=_stopped(plan, [*asked.unanswered(), *controls.unanswered()], runs),
      failures=tuple(_failures(runs.failures)),
      controls=_controls(planted, len(judgements), len(controls.questions)) if plan.controls else None,
      dense=_sample(dense) if dense else None,
      judgements=(*judgements, *planted),
      keep_ratios=tuple(_keep_ratios(rule, list(by_seed.values())) for rule, by_seed in originals.items()))


def _judgement(question: Question, answer: Answer) -> Judgement:
  comparison, verdict = answer.comparison, answer.verdict
  check = registry.CHECKS.get(question.check)
  # What an undecided question would take is asked at the strictest level that it may have to meet.
  decidable = verdict.outcome == UNDECIDED and not answer.cut
  originals, checked = list(answer.originals.values()), list(answer.checked.values())
  rule, allocation, ratio = _ticket(question.rule, originals[0])
  return Judgement(
      rule=rule, allocation=allocation, ratio=ratio,
      check=question.check,
      question=check.question,
      verdict=verdict.outcome,
      passes={SENSITIVE: True, INSENSITIVE: False}.get(verdict.outcome),
      sentence=_sentence(rule, check, answer),
      seeds=tuple(answer.originals),
      original=_sample(originals),
      checked=_sample(checked),
      difference=Difference(comparison.drop, comparison.deviation, comparison.interval),
      p_equivalent=verdict.p_equivalent,
      p_drop=verdict.p_drop,
      forecast=seeds_to_decide(comparison, verdict.level) if decidable else None,
      proofs=tuple(record.proof for record in checked),
      collapsed=tuple(any(record.collapse.connected is False for record in pair)
                      for pair in zip(originals, checked, strict=True)),
      control=question.control)


def _ticket(rule: Run, record: Record) -> tuple[str, str, float]:
  """Returns (name of the rule, name of its allocation, pruning ratio)."""
  if rule.rule.given:
    # Of a mask from a file nothing was chosen, and its ratio is what is in it.
    return rule.settings.pruner, '', round(1 - record.kept / record.weights, 4)
  return rule.settings.pruner, Choices.of(rule.rule).allocation, rule.settings.ratio


def _sentence(rule: str, check: Any, answer: Answer) -> str:
  if answer.cut:
    return (f'no path leads through the tickets of {rule}, so that nothing can be said of whether it uses '
            f'{check.subject}')
  if answer.verdict.outcome == INSENSITIVE:
    return f'{rule} keeps its accuracy when {check.change}: it does not use {check.subject}'
  if answer.verdict.outcome == SENSITIVE:
    return f'{rule} loses {answer.comparison.drop:.2f} points when {check.change}: it uses {check.subject}'
  return f'it is not decided whether {rule} uses {check.subject}'


def _stopped(plan: Plan, unanswered: Sequence[Question], runs: RunsSoFar) -> str | None:
  missing = ', '.join(f'{question.rule.settings.pruner} at {question.rule.settings.ratio:g}: {question.check}'
                      for question in unanswered)
  reasons = [f'the budget was spent (--budget_minutes={plan.minutes:g})'] if runs.stopped else []
  return '; '.join(reasons + ([f'without any pair of runs: {missing}'] if missing else [])) or None


def _failures(failures: Mapping[Run, str]) -> list[str]:
  """Returns one line for each problem, with the first run that has it and how many others do."""
  failed: dict[str, list[str]] = {}
  for run, problem in failures.items():
    failed.setdefault(problem, []).append(run.name)
  return [names[0] + (f' and {len(names) - 1} more' if names[1:] else '') + f': {problem}'
          for problem, names in failed.items()]


def _controls(planted: Sequence[Judgement], first: int, asked: int) -> Controls:
  """Returns whether the planted controls came out as they must; `first` is the place of the first of them."""
  findings = [f'{each.rule}, {each.check}: {each.verdict}, must be {each.control}' for each in planted]
  wrong = any(each.verdict not in (each.control, UNDECIDED) for each in planted)
  right = all(each.verdict == each.control for each in planted) and len(planted) == asked
  return Controls(False if wrong else True if right else None, tuple(findings),
                  tuple(range(first, first + len(planted))))


def _sample(records: Iterable[Record]) -> Sample:
  values = accuracies(records)
  return Sample(tuple(round(value, 6) for value in values), float(np.mean(values)),
                float(np.std(values, ddof=1)) if len(values) > 1 else None)


def _keep_ratios(rule: Run, records: Sequence[Record]) -> KeepRatios:
  ratios = [[layer.kept / layer.weights for layer in record.layers] for record in records]
  return KeepRatios(*_ticket(rule, records[0]), layers=tuple(layer.name for layer in records[0].layers),
                    original=tuple(np.mean(ratios, axis=0).round(6).tolist()))
