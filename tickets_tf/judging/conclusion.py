"""From all that was judged to the verdicts that a report shows."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

import numpy as np

from tickets_tf.judging import evidence
from tickets_tf.judging import ladder
from tickets_tf.judging.evidence import Evidence
from tickets_tf.judging.family import Done
from tickets_tf.judging.family import Families
from tickets_tf.judging.family import Family
from tickets_tf.judging.judge import sample
from tickets_tf.judging.new_images import with_images
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.statements import OPEN
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Looks
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run


def conclude(plan: Plan, families: Families, done: Done, looks: Looks | None, stopped: bool) -> Verdicts:
  """Returns all that a sanity check has found.

  Args:
    plan: what was to be judged.
    families: the questions and what is said of them.
    done: how far the runs have come.
    looks: the looks so far; None if the number of seeds was fixed and nothing was looked at before.
    stopped: whether the budget ended before the last run.
  """
  dense = [done.records[run] for run in map(plan.dense, done.seeds) if run in done.records]
  used = _used(plan, families, done)
  commits = {record.environment.get('commit') for record in used}
  first = used[0] if used else None
  return Verdicts(
      command=plan.command(),
      commit=', '.join(sorted(commit for commit in commits if commit)) or None,
      environment=first.environment if first else {},
      settings={name: value for name, value in dataclasses.asdict(plan.base).items()
                if name not in ('pruner', 'ratio', 'check')},
      margin=str(plan.parsed_margin()),
      alpha=plan.alpha,
      accuracy='settled_accuracy',
      resolution=evidence.resolution(first) if first else None,
      guessing=evidence.guessing(first) if first else None,
      seeds=tuple(done.seeds),
      looks=looks,
      stopped=_stopped(plan, families, stopped),
      failures=tuple(_failures(done.failures)),
      exploratory=(),
      pooled=families.asked.pooled,
      controls=controls(families.controls.in_order(), len(families.controls.questions)) if plan.controls else None,
      dense=sample([evidence.accuracy(record, 0.0) for record in dense]) if dense else None,
      luck=_with_images(families.luck, done),
      narrow=_with_images(families.narrow, done),
      gaps=families.gaps.in_order(),
      judgements=_with_images(families.asked, done),
      ladders=tuple(_ladders(plan, families.steps, done)),
      keep_ratios=tuple(_keep_ratios(rule, records) for rule, records in _originals(plan, done).items()))


def _with_images(family: Family, done: Done) -> tuple[Judgement, ...]:
  """Returns what is said of the questions that have evidence, with what the test images are to it."""
  return tuple(with_images(question, family.judgements[question], done.records)
               for question in family.questions if question in family.judgements)


def _used(plan: Plan, families: Families, done: Done) -> list[Record]:
  """Returns the records of all runs that a question rests on, or that were made for one."""
  runs = dict.fromkeys(run for family in families for question in family.questions for seed in done.seeds
                       for run in (question.original(seed), question.checked(seed)))
  return [done.records[run] for run in [*runs, *map(plan.dense, done.seeds)] if run in done.records]


def _originals(plan: Plan, done: Done) -> dict[Run, list[Record]]:
  found = {rule: [done.records[run] for run in (rule.replace(seed=seed) for seed in done.seeds) if run in done.records]
           for rule in plan.rules()}
  return {rule: records for rule, records in found.items() if records}


def _keep_ratios(rule: Run, records: Sequence[Record]) -> KeepRatios:
  ratios = [[layer.kept / layer.weights for layer in record.layers] for record in records]
  return KeepRatios(*evidence.ticket(rule, records[0]), layers=tuple(layer.name for layer in records[0].layers),
                    original=tuple(np.mean(ratios, axis=0).round(6).tolist()))


def _ladders(plan: Plan, steps: Family, done: Done) -> list[Ladder]:
  """Returns the ladders of which every step has evidence."""
  found = []
  for rungs in plan.ladders():
    if not all(step in steps.judgements for step in rungs.steps):
      continue
    known: list[Evidence] = [steps.evidence[step] for step in rungs.steps]
    records = [done.records[run] for run in (rungs.rule.replace(seed=seed) for seed in done.seeds)
               if run in done.records]
    luck = next((done.records[run] for run in (rungs.steps[-1].original(seed) for seed in done.seeds)
                 if run in done.records), None)
    nearest, distances = ladder.nearest_ratios(records, luck)
    found.append(Ladder(*evidence.ticket(rungs.rule, records[0]), names=rungs.names,
                        rungs=tuple(map(sample, (*(each.original for each in known), known[-1].checked))),
                        steps=tuple(steps.judgements[step] for step in rungs.steps),
                        nearest=nearest, distances=distances))
  return found


def controls(judged: Sequence[Judgement], planted: int) -> Controls:
  """Returns whether the planted controls came out as they must.

  Args:
    judged: what was said of those that have evidence.
    planted: number of all controls.
  """
  wrong = any(is_wrong(each) for each in judged)
  right = all(each.control == OPEN or each.control in each.statements for each in judged)
  passed = False if wrong else True if right and len(judged) == planted else None
  return Controls(passed, tuple(map(_finding, judged)), tuple(judged))


def is_wrong(control: Judgement) -> bool:
  """Returns whether a planted control came out as it must not."""
  contrary = {'uses it', 'better without it'} if control.control == OPEN else {'better without it', 'worth less than d'}
  return bool(contrary & set(control.statements))


def _finding(control: Judgement) -> str:
  wanted = 'must not differ' if control.control == OPEN else f'must be: {control.control}'
  return f'{control.rule}, {control.check}, at ratio {control.ratio:g}: {", ".join(control.statements)} ({wanted})'


def _stopped(plan: Plan, families: Families, stopped: bool) -> str | None:
  missing = ', '.join(dict.fromkeys(f'{question.rule.settings.pruner} at {question.ratio:g}: {question.check}'
                                    for question in families.unanswered()))
  reasons = [f'the budget was spent (--budget_minutes={plan.minutes:g})'] if stopped else []
  return '; '.join(reasons + ([f'without any pair of runs: {missing}'] if missing else [])) or None


def _failures(failures: Mapping[Run, str]) -> list[str]:
  """Returns one line for each problem, with the first run that has it and how many others do."""
  failed: dict[str, list[str]] = {}
  for run, problem in failures.items():
    failed.setdefault(problem, []).append(run.name)
  return [names[0] + (f' and {len(names) - 1} more' if names[1:] else '') + f': {problem}'
          for problem, names in failed.items()]
