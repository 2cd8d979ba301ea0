"""The sanity check of pruning rules: original against checked tickets over seeds, and a verdict on each check."""

import dataclasses
import hashlib
import pathlib
import shlex
import time

import numpy as np

from tickets_tf import registry
from tickets_tf.judging.comparison import Comparison
from tickets_tf.judging.comparison import check_bounds
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import INSENSITIVE
from tickets_tf.judging.correction import MINIMUM
from tickets_tf.judging.correction import SENSITIVE
from tickets_tf.judging.correction import UNDECIDED
from tickets_tf.judging.correction import Verdict
from tickets_tf.judging.correction import judge
from tickets_tf.judging.forecast import seeds_to_decide
from tickets_tf.judging.looks import look_sizes
from tickets_tf.judging.looks import nominal_levels
from tickets_tf.experiment import sweep
from tickets_tf.errors import UsageError
from tickets_tf.runs.run import Run
from tickets_tf.runs.run import digest as settings_digest
from tickets_tf.runs.settings import TicketSettings
from tickets_tf.runs.settings import defaults
from tickets_tf.runs.settings import Settings

FORMAT = 1
# What changes how long the runs take, and nothing about the judgements.
_HOW_FAST = ('minutes', 'parallel')
# What the planted controls must come out as: a rule that looks at nothing, and one that uses what it sees.
_CONTROLS = {('random', 'random_labels'): INSENSITIVE, ('random', 'random_pixels'): INSENSITIVE,
             ('random', 'half_dataset'): INSENSITIVE, ('random', 'rearrange'): INSENSITIVE,
             ('lr_rewinding', 'rearrange'): SENSITIVE}


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is to be judged, and how.

  Attributes:
    base: `Settings` of everything that the tickets share; its seed is the first.
    pruners: names of rules, or `package.module:name` of scores; empty: the one of `base`.
    ratios: pruning ratios; empty: that of `base`.
    checks: names of checks; empty: all that the rule allows.
    seeds: number of seeds, or None: as many as are needed to decide, up to `max_seeds`.
    max_seeds: the most seeds where `seeds` is None.
    margin: differences below this many percent points count as none.
    alpha: family-wise error rate of the verdicts.
    controls: whether to judge the two planted controls, at the highest ratio.
    minutes: budget of the runs; 0 for none.
    parallel: runs to make at a time.
  """
  base: Settings = Settings()
  pruners: tuple = ()
  ratios: tuple = ()
  checks: tuple = ()
  seeds: int | None = 5
  max_seeds: int = 20
  margin: float = 0.5
  alpha: float = 0.05
  controls: bool = False
  minutes: float = 0.0
  parallel: int = 1

  def __post_init__(self):
    for name, own in (('pruners', (self.base.pruner,)), ('ratios', (self.base.ratio,)), ('checks', ())):
      values = getattr(self, name)
      if not isinstance(values, (tuple, list)):
        raise UsageError(f'{name} {values!r}: expected a tuple')
      # Asked twice, it would count twice in the correction.
      object.__setattr__(self, name, tuple(dict.fromkeys(values or own)))
    if self.base.check:
      raise UsageError(f'--check={self.base.check}: expected --checks={self.base.check}')
    if self.seeds is not None and not _is_whole(self.seeds, 1):
      raise UsageError(f'--seeds={self.seeds}: expected a number of at least 1, or auto')
    if not _is_whole(self.max_seeds, 1 if self.seeds else MINIMUM):
      raise UsageError(f'--max_seeds={self.max_seeds}: expected at least {MINIMUM}')
    if not _is_whole(self.parallel, 1):
      raise UsageError(f'--parallel={self.parallel}: expected a number of at least 1')
    try:
      check_bounds(self.margin, self.alpha)
    except UsageError as error:
      raise UsageError(f'--{error}') from None

  def looks(self):
    """Returns the numbers of seeds at which the verdicts are drawn, a rising list."""
    return [self.seeds] if self.seeds is not None else look_sizes(self.max_seeds)

  def levels(self):
    """Returns the error rate to spend at each look."""
    return nominal_levels(self.looks(), self.alpha) if self.seeds is None else [self.alpha]

  def folder(self):
    """Returns the path of the folder that the report goes to where none is named."""
    # Digests of settings know what is in a mask's file, or in that of a score.
    digests = [settings_digest(dataclasses.replace(self.base, pruner=pruner)) for pruner in self.pruners]
    digest = hashlib.sha256(' '.join([self.command(), *digests]).encode()).hexdigest()[:8]
    name = '-'.join(['sanity', self.base.dataset, *self.pruners[:3], *(['more'] if self.pruners[3:] else []), digest])
    return pathlib.Path(self.base.output_dir).expanduser() / name.replace(':', '.')

  def command(self):
    """Returns the command that makes the same judgements."""
    shown = {'pruners': ','.join(self.pruners), 'ratios': ','.join(map(str, self.ratios)),
             **({'checks': ','.join(self.checks)} if self.checks else {}), 'seeds': self.seeds or 'auto'}
    others = [field for field in dataclasses.fields(self) if field.name not in ('base', 'checks', *shown, *_HOW_FAST)]
    changed = {field.name: getattr(self, field.name) for field in others
               if getattr(self, field.name) != field.default}
    flags = {**shown, **changed, **self.base.identity()}
    for name in ('pruner', 'ratio', 'check'):
      flags.pop(name, None)
    return 'bin/sanity_check ' + ' '.join(_flag(name, value) for name, value in flags.items())


def _is_whole(value, least):
  return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclasses.dataclass(frozen=True)
class _Question:
  """Does this rule, at this ratio, use what this check takes away?"""
  rule: Settings
  check: str

  def original(self, seed):
    """Returns the settings of the original's run."""
    return dataclasses.replace(self.rule, seed=seed)

  def checked(self, seed):
    """Returns the settings of the checked run."""
    return dataclasses.replace(self.rule, seed=seed, check=self.check)


@dataclasses.dataclass(frozen=True)
class _Judgement:
  """What one look has made of a question: the runs that it compared, by seed, and what came out."""
  originals: dict
  checked: dict
  comparison: Comparison
  verdict: Verdict

  @property
  def cut(self):
    """Whether no path leads through any of the originals."""
    return all(record.collapse.connected is False for record in self.originals.values())


@dataclasses.dataclass
class _Family:
  """Questions whose error rate is held together, and their judgements so far."""
  questions: list
  judgements: dict = dataclasses.field(default_factory=dict)
  hopeless: list = dataclasses.field(default_factory=list)

  def undecided(self):
    """Returns the questions that more seeds can give a verdict, which they have not yet."""
    return [question for question in self.questions if question not in self.hopeless and (
        question not in self.judgements or self.judgements[question].verdict.outcome == UNDECIDED)]

  def unanswered(self):
    """Returns the questions without a judgement."""
    return [question for question in self.questions if question not in self.judgements]

  def look(self, seeds, outcome, level, margin):
    """Judges what is undecided by the runs that are done."""
    pairs = {}
    for question in self.undecided():
      both = [(seed, outcome.record(question.original(seed)), outcome.record(question.checked(seed))) for seed in seeds]
      both = [(seed, one, other) for seed, one, other in both if one and other]
      if both:
        pairs[question] = ({seed: one for seed, one, _ in both}, {seed: other for seed, _, other in both})
    comparisons = [_compare(*records, margin) for records in pairs.values()]
    verdicts = judge(comparisons, level, family=len(self.questions)) if comparisons else []
    for (question, records), comparison, verdict in zip(pairs.items(), comparisons, verdicts):
      judgement = _Judgement(*records, comparison, verdict)
      if judgement.cut:
        # Tickets that guess lose nothing to any check.
        judgement = dataclasses.replace(judgement, verdict=dataclasses.replace(verdict, outcome=UNDECIDED))
      self.judgements[question] = judgement
    # All its runs have failed, or the budget is spent: either way nobody asks again. Nor where all tickets are cut.
    self.hopeless = [question for question in self.questions
                     if question not in self.judgements or self.judgements[question].cut]


def sanity_check(plan, say=print, progress=True):
  """Judges pruning rules.

  Args:
    plan: the `Plan`.
    say: takes lines for the user.
    progress: whether to show a bar over the runs.

  Returns:
    The verdicts, a dictionary of JSON values: what `verdicts.json` holds and `tickets_tf.report` shows.

  Raises:
    UsageError: for settings that cannot be used.
  """
  asked, controls = _Family(_questions(plan)), _Family(_controls(plan))
  end, failures = time.monotonic() + 60 * plan.minutes, {}
  for done, (size, level) in enumerate(zip(plan.looks(), plan.levels()), start=1):
    seeds = range(plan.base.seed, plan.base.seed + size)
    minutes = max((end - time.monotonic()) / 60, 0.01) if plan.minutes else 0.0
    outcome = sweep.run_all(_runs(plan, dict.fromkeys([*asked.undecided(), *controls.undecided()]), seeds),
                            plan.parallel, minutes, say, progress)
    # What failed at an earlier look may have been made since.
    failures = {run: problem for run, problem in {**failures, **outcome.failures}.items()
                if run not in outcome.records}
    for family in (asked, controls):
      family.look(seeds, outcome, level, plan.margin)
    if outcome.stopped or not asked.undecided() + controls.undecided():
      break
  return _verdicts(plan, asked, controls, outcome, failures, seeds, done)


def _questions(plan):
  found = []
  for pruner in plan.pruners:
    for ratio in plan.ratios:
      rule = Run(dataclasses.replace(plan.base, pruner=pruner, ratio=ratio))
      if not rule.rule.prunes:
        raise UsageError(f'--pruner={pruner}: it removes nothing that could be judged')
      found += [_Question(rule.settings, check) for check in plan.checks or _checks_for(rule)]
  for question in found:
    Run(question.checked(plan.base.seed))
  return list(dict.fromkeys(found))


def _checks_for(rule):
  # Two names of one check would ask it twice.
  names = {}
  for name in registry.CHECKS.names():
    check = registry.CHECKS.get(name)
    if check.always and not (rule.rule.given and (check.seam == 'data' or check.of_scores)):
      names.setdefault(id(check), name)
  return list(names.values())


def _controls(plan):
  if not plan.controls:
    return []
  # The rows themselves, whatever else was asked for.
  rows = {**defaults(TicketSettings), 'pruner': 'random', 'ratio': max(plan.ratios),
          'samples_per_class': plan.base.samples_per_class}
  plain = dataclasses.replace(plan.base, **rows)
  return [_Question(dataclasses.replace(plain, pruner=pruner), check) for pruner, check in _CONTROLS]


def _runs(plan, questions, seeds):
  # Seed by seed: whenever the work is stopped, most questions have their first seeds. The dense run comes before only
  # where a rule needs it: what cannot be done with a mask or a score's options then ends the first run, soon.
  runs = []
  for seed in seeds:
    for question in questions:
      runs += [question.original(seed), question.checked(seed)]
    runs.append(_dense(plan, seed))
  return runs


def _dense(plan, seed):
  return dataclasses.replace(plan.base, pruner='dense', mask='', check='', seed=seed)


def _compare(originals, checked, margin):
  test_images = next(iter(originals.values())).dataset.test
  return compare([100 * record.final_accuracy for record in originals.values()],
                            [100 * record.final_accuracy for record in checked.values()], margin,
                            resolution=100 / test_images)


def _verdicts(plan, asked, controls, outcome, failures, seeds, done):
  told = [_told(question, asked) for question in asked.judgements]
  planted = [{**_told(question, controls), 'control': _CONTROLS[question.rule.pruner, question.check]}
             for question in controls.judgements]
  dense = [record for record in (outcome.record(_dense(plan, seed)) for seed in seeds) if record]
  originals = {question.rule: judgement.originals for question, judgement in asked.judgements.items()}
  records = [*dense, *(record for family in (asked, controls) for judgement in family.judgements.values()
                       for record in (*judgement.originals.values(), *judgement.checked.values()))]
  commits = {record.environment['commit'] for record in records} - {None}
  return {
      'format': FORMAT,
      'command': plan.command(),
      'commit': ', '.join(sorted(commits)) or None,
      'environment': records[0].environment if records else {},
      'settings': {name: value for name, value in dataclasses.asdict(plan.base).items()
                   if name not in ('pruner', 'ratio', 'check')},
      'margin': plan.margin,
      'alpha': plan.alpha,
      'resolution': 100 / records[0].dataset.test if records else None,
      'seeds': list(seeds),
      'looks': None if plan.seeds is not None else {'kind': 'pocock', 'sizes': plan.looks(), 'levels': plan.levels(),
                                                    'done': done},
      'stopped': _stopped(plan, asked, controls, outcome),
      'failures': _failures_told(failures),
      'controls': _controls_told(planted, len(told), controls) if plan.controls else None,
      'dense': _described([100 * record.final_accuracy for record in dense]),
      'judgements': told + planted,
      'keep_ratios': [_keep_ratios(rule, list(by_seed.values())) for rule, by_seed in originals.items()],
  }


def _told(question, family):
  judgement = family.judgements[question]
  comparison, verdict = judgement.comparison, judgement.verdict
  check = registry.CHECKS.get(question.check)
  # What an undecided question would take is asked at the strictest level that it may have to meet.
  decidable = verdict.outcome == UNDECIDED and not judgement.cut
  forecast = seeds_to_decide(comparison, verdict.level) if decidable else None
  originals, checked = list(judgement.originals.values()), list(judgement.checked.values())
  return {
      **_ticket_told(question.rule, originals[0]),
      'check': question.check,
      'question': check.question,
      'verdict': verdict.outcome,
      'passes': {SENSITIVE: True, INSENSITIVE: False}.get(verdict.outcome),
      'sentence': _sentence(question.rule.pruner, check, comparison, verdict, judgement.cut),
      'seeds': list(judgement.originals),
      'original': _described([100 * record.final_accuracy for record in originals]),
      'checked': _described([100 * record.final_accuracy for record in checked]),
      'difference': {'mean': comparison.drop, 'deviation': comparison.deviation,
                     'interval': comparison.interval and list(comparison.interval)},
      'p_equivalent': verdict.p_equivalent,
      'p_drop': verdict.p_drop,
      'forecast': forecast and dataclasses.asdict(forecast),
      'proofs': [record.proof for record in checked],
      'collapsed': [any(record.collapse.connected is False for record in pair)
                    for pair in zip(originals, checked)],
  }


def _ticket_told(rule, record):
  # Of a mask from a file nothing was chosen, and its ratio is what is in it.
  row = Run(rule).rule
  return {'rule': rule.pruner, 'allocation': '' if row.given else row.allocation,
          'ratio': round(1 - record.kept / record.weights, 4) if row.given else rule.ratio}


def _failures_told(failures):
  """Returns one line for each problem, with the first run that has it and how many others do."""
  runs = {}
  for run, problem in failures.items():
    runs.setdefault(problem, []).append(run.name)
  return [names[0] + (f' and {len(names) - 1} more' if names[1:] else '') + f': {problem}'
          for problem, names in runs.items()]


def _sentence(rule, check, comparison, verdict, cut):
  if cut:
    return (f'no path leads through the tickets of {rule}, so that nothing can be said of whether it uses '
            f'{check.subject}')
  if verdict.outcome == INSENSITIVE:
    return f'{rule} keeps its accuracy when {check.change}: it does not use {check.subject}'
  if verdict.outcome == SENSITIVE:
    return f'{rule} loses {comparison.drop:.2f} points when {check.change}: it uses {check.subject}'
  return f'it is not decided whether {rule} uses {check.subject}'


def _stopped(plan, asked, controls, outcome):
  missing = ', '.join(f'{question.rule.pruner} at {question.rule.ratio:g}: {question.check}'
                      for question in asked.unanswered() + controls.unanswered())
  reasons = [f'the budget was spent (--budget_minutes={plan.minutes:g})'] if outcome.stopped else []
  return '; '.join(reasons + ([f'without any pair of runs: {missing}'] if missing else [])) or None


def _controls_told(planted, first, controls):
  findings = [f'{each["rule"]}, {each["check"]}: {each["verdict"]}, must be {each["control"]}' for each in planted]
  wrong = any(each['verdict'] not in (each['control'], UNDECIDED) for each in planted)
  right = all(each['verdict'] == each['control'] for each in planted) and len(planted) == len(controls.questions)
  return {'passed': False if wrong else True if right else None, 'findings': findings,
          'judgements': list(range(first, first + len(planted)))}


def _described(accuracies):
  if not accuracies:
    return None
  return {'accuracies': [round(each, 6) for each in accuracies], 'mean': float(np.mean(accuracies)),
          'deviation': float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None}


def _keep_ratios(rule, records):
  ratios = [[layer.kept / layer.weights for layer in record.layers] for record in records]
  return {**_ticket_told(rule, records[0]), 'layers': [layer.name for layer in records[0].layers],
          'original': np.mean(ratios, axis=0).round(6).tolist()}


def _flag(name, value):
  return f'--{name}' if value is True else f'--no{name}' if value is False else f'--{name}={shlex.quote(str(value))}'
