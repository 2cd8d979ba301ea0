"""What a sanity check asks: rules at ratios, each under checks, and the runs that the answers need."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import hashlib
import pathlib
import shlex

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.judging.comparison import check_bounds
from tickets_tf.judging.correction import INSENSITIVE
from tickets_tf.judging.correction import MINIMUM
from tickets_tf.judging.correction import SENSITIVE
from tickets_tf.judging.correction import Decision
from tickets_tf.judging.looks import look_sizes
from tickets_tf.judging.looks import nominal_levels
from tickets_tf.runs.run import Run
from tickets_tf.runs.run import digest
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import TicketSettings
from tickets_tf.runs.settings import defaults

# What changes how long the runs take, and nothing about the judgements.
_HOW_FAST = ('minutes', 'parallel')
# What the planted controls must come out as: a rule that looks at nothing, and one that uses what it sees.
_CONTROLS: dict[tuple[str, str], Decision] = {
    ('random', 'random_labels'): INSENSITIVE,
    ('random', 'random_pixels'): INSENSITIVE,
    ('random', 'half_dataset'): INSENSITIVE,
    ('random', 'rearrange'): INSENSITIVE,
    ('lr_rewinding', 'rearrange'): SENSITIVE,
}


@dataclasses.dataclass(frozen=True)
class Question:
  """Does this rule, at this ratio, use what this check takes away?

  Attributes:
    rule: the run of the original ticket with any seed.
    check: name of the check.
    control: what a planted control must come out as; None for a question that was asked.
  """
  rule: Run
  check: str
  control: Decision | None = None

  def original(self, seed: int) -> Run:
    """Returns the run of the original ticket."""
    return self.rule.replace(seed=seed)

  def checked(self, seed: int) -> Run:
    """Returns the run of the checked ticket."""
    return self.rule.replace(seed=seed, check=self.check)


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is to be judged, and how.

  Attributes:
    base: everything that the tickets share; its seed is the first.
    pruners: names of rules, or `package.module:name` of scores; empty: the one of `base`.
    ratios: pruning ratios; empty: that of `base`.
    checks: names of checks; empty: all that the rule allows.
    seeds: number of seeds, or None: as many as are needed to decide, up to `max_seeds`.
    max_seeds: the most seeds if `seeds` is None.
    margin: differences smaller than this many percent points count as none.
    alpha: family-wise error rate of the verdicts.
    controls: whether to judge the planted controls too, at the highest ratio.
    minutes: budget of the runs; 0 for none.
    parallel: runs to do at a time.

  Raises:
    UsageError: if a value is out of range.
  """
  base: Settings = Settings()  # noqa: RUF009  # It is frozen.
  pruners: tuple[str, ...] = ()
  ratios: tuple[float, ...] = ()
  checks: tuple[str, ...] = ()
  seeds: int | None = 5
  max_seeds: int = 20
  margin: float = 0.5
  alpha: float = 0.05
  controls: bool = False
  minutes: float = 0.0
  parallel: int = 1

  def __post_init__(self) -> None:
    self._set_distinct('pruners', self.pruners, (self.base.pruner,))
    self._set_distinct('ratios', self.ratios, (self.base.ratio,))
    self._set_distinct('checks', self.checks, ())
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

  def _set_distinct(self, name: str, values: Sequence[object], own: Sequence[object]) -> None:
    if not isinstance(values, (tuple, list)):
      raise UsageError(f'{name} {values!r}: expected a tuple')
    # Asked twice, a question would count twice in the correction.
    object.__setattr__(self, name, tuple(dict.fromkeys(values or own)))

  def looks(self) -> list[int]:
    """Returns the numbers of seeds at which verdicts are given, rising."""
    return [self.seeds] if self.seeds is not None else look_sizes(self.max_seeds)

  def levels(self) -> list[float]:
    """Returns the error rate to spend at each look."""
    return nominal_levels(self.looks(), self.alpha) if self.seeds is None else [self.alpha]

  def folder(self) -> pathlib.Path:
    """Returns the path of the folder that the report goes to if none is named."""
    # Digests of settings know what is in a mask's file, or in that of a score.
    digests = [digest(dataclasses.replace(self.base, pruner=pruner)) for pruner in self.pruners]
    suffix = hashlib.sha256(' '.join([self.command(), *digests]).encode()).hexdigest()[:8]
    name = '-'.join(['sanity', self.base.dataset, *self.pruners[:3], *(['more'] if self.pruners[3:] else []), suffix])
    return pathlib.Path(self.base.output_dir).expanduser() / name.replace(':', '.')

  def command(self) -> str:
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

  def questions(self) -> list[Question]:
    """Returns what is asked, none twice.

    Raises:
      UsageError: if a rule or a check cannot be found, they do not go together, or a rule removes nothing.
    """
    found = []
    for pruner in self.pruners:
      for ratio in self.ratios:
        rule = Run(dataclasses.replace(self.base, pruner=pruner, ratio=ratio))
        if not rule.rule.prunes:
          raise UsageError(f'--pruner={pruner}: it removes nothing that could be judged')
        found += [Question(rule, check) for check in self.checks or _checks_for(rule)]
    for question in found:
      question.checked(self.base.seed)
    return list(dict.fromkeys(found))

  def planted(self) -> list[Question]:
    """Returns the planted controls, if they are asked for."""
    if not self.controls:
      return []
    # The rows of the table themselves, whatever else was asked for.
    rows = {**defaults(TicketSettings), 'ratio': max(self.ratios), 'samples_per_class': self.base.samples_per_class}
    return [Question(Run(dataclasses.replace(self.base, **{**rows, 'pruner': pruner})), check, control)
            for (pruner, check), control in _CONTROLS.items()]

  def dense(self, seed: int) -> Run:
    """Returns the run of the network that nothing is pruned from."""
    return Run(dataclasses.replace(self.base, pruner='dense', mask='', check='', seed=seed))

  def runs(self, questions: Iterable[Question], seeds: Iterable[int]) -> list[Run]:
    """Returns the runs that the answers to some questions need, in order of importance.

    Seed by seed: whenever the work is stopped, most questions have their first seeds. The dense run comes last of its
    seed, unless a rule needs it: what cannot be done with a mask or a score's options then ends the first run, soon.
    """
    asked = list(dict.fromkeys(questions))
    return [run for seed in seeds
            for run in (*(run for question in asked for run in (question.original(seed), question.checked(seed))),
                        self.dense(seed))]


def _is_whole(value: object, least: int) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _checks_for(rule: Run) -> list[str]:
  # Two names of one check would ask it twice.
  names: dict[int, str] = {}
  for name in registry.CHECKS.names():
    check = registry.CHECKS.get(name)
    if check.always and not (rule.rule.given and check.of_search):
      names.setdefault(id(check), name)
  return list(names.values())


def _flag(name: str, value: object) -> str:
  return f'--{name}' if value is True else f'--no{name}' if value is False else f'--{name}={shlex.quote(str(value))}'
