"""What a sanity check asks: rules at ratios, each under checks and against luck, and the runs that the answers need."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import hashlib
import numbers
import pathlib
import shlex

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.judging.estimates import MINIMUM
from tickets_tf.judging.ladder import Rungs
from tickets_tf.judging.ladder import rungs
from tickets_tf.judging.looks import look_sizes
from tickets_tf.judging.looks import nominal_levels
from tickets_tf.judging.margin import Margin
from tickets_tf.judging.question import LUCK
from tickets_tf.judging.question import NARROW
from tickets_tf.judging.question import SEEDS
from tickets_tf.judging.question import Question
from tickets_tf.judging.statements import OPEN
from tickets_tf.judging.statements import USES
from tickets_tf.pruning.mask import load_mask
from tickets_tf.pruning.rules import RULES
from tickets_tf.runs.run import Run
from tickets_tf.runs.run import digest
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import TicketSettings
from tickets_tf.runs.settings import defaults

NO_CHECKS = ('none',)
FIRST_LOOK = 5  # Seeds at the first look of --seeds=auto.
# What changes how long the runs take or follows from them, and nothing about the judgements.
_NOT_ASKED = ('minutes', 'parallel', 'mask_ratio')
# Below this ratio the planted controls could not fail: there luck is as good as anything.
_CONTROL_RATIO = 0.95
# Of the ticket's settings, what is no choice of a rule: random tickets and controls have them as the rules asked for.
_OF_EVERY_RULE = ('samples_per_class', 'rewind_epoch', 'match', 'on_collapse')
_FAR = 1000  # Seeds that are that much higher are those of other tickets.


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is to be judged, and how.

  Attributes:
    base: everything that the tickets share; its seed is the first.
    pruners: names of rules, or `package.module:name` of scores; empty: the one of `base`.
    ratios: pruning ratios; empty: that of `base`.
    checks: names of checks; empty: all that the rule allows; `('none',)`: none, only the comparisons with luck and the
      small dense network, and the ladder.
    seeds: number of seeds, or None: as many as are needed to decide, up to `max_seeds`.
    max_seeds: the most seeds if `seeds` is None.
    margin: what a drop has to be worth more or less than: percent points, or a share of the gap between the dense
      network and luck, such as `0.2gap`.
    alpha: probability of even one wrong statement in a family.
    controls: whether to judge the planted controls too.
    minutes: budget of the runs; 0 for none.
    parallel: runs to do at a time.
    ladder: whether to take the tickets apart: what positions, layer ratios and smartness are worth.
    narrow: whether to compare each rule with a small dense network of its size, if the network takes a width.
    equal_epochs: whether luck and the small dense network are trained for as many epochs as the rule takes in all.
    mask_ratio: pruning ratio of a mask in a file that only a network can read; None: unknown. It is found by a run.

  Raises:
    UsageError: if a value is out of range.
  """
  base: Settings = Settings()  # noqa: RUF009  # It is frozen.
  pruners: tuple[str, ...] = ()
  ratios: tuple[float, ...] = ()
  checks: tuple[str, ...] = ()
  seeds: int | None = 5
  max_seeds: int = 20
  margin: float | str = 0.5
  alpha: float = 0.05
  controls: bool = False
  minutes: float = 0.0
  parallel: int = 1
  ladder: bool = False
  narrow: bool = True
  equal_epochs: bool = False
  mask_ratio: float | None = None

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
    if not isinstance(self.alpha, numbers.Real) or not 0 < self.alpha < 0.5:
      raise UsageError(f'--alpha={self.alpha}: expected a number above 0 and below 0.5')
    margin = self.parsed_margin()
    # One margin is one command, whether it was given as text or as a number.
    object.__setattr__(self, 'margin', str(margin) if margin.of_gap else margin.amount)

  def _set_distinct(self, name: str, values: Sequence[object], own: Sequence[object]) -> None:
    if not isinstance(values, (tuple, list)):
      raise UsageError(f'{name} {values!r}: expected a tuple')
    # Asked twice, a question would count twice in its family.
    object.__setattr__(self, name, tuple(dict.fromkeys(values or own)))

  def parsed_margin(self) -> Margin:
    """Returns the margin as a value."""
    return Margin.parse(str(self.margin))

  def looks(self) -> list[int]:
    """Returns the numbers of seeds at which verdicts are given, rising."""
    if self.seeds is not None:
      return [self.seeds]
    return look_sizes(self.max_seeds, min(FIRST_LOOK, self.max_seeds))

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
    others = [field for field in dataclasses.fields(self) if field.name not in ('base', 'checks', *shown, *_NOT_ASKED)]
    changed = {field.name: getattr(self, field.name) for field in others
               if getattr(self, field.name) != field.default}
    flags = {**shown, **changed, **self.base.identity()}
    for name in ('pruner', 'ratio', 'check'):
      flags.pop(name, None)
    return 'bin/sanity_check ' + ' '.join(_flag(name, value) for name, value in flags.items())

  def rules(self) -> list[Run]:
    """Returns the run of each rule at each ratio, none twice.

    Raises:
      UsageError: if a rule cannot be found, or removes nothing.
    """
    found = []
    for pruner in self.pruners:
      for ratio in self.ratios:
        rule = Run(dataclasses.replace(self.base, pruner=pruner, ratio=ratio))
        if not rule.rule.prunes:
          raise UsageError(f'--pruner={pruner}: it removes nothing that could be judged')
        found.append(rule)
    return list(dict.fromkeys(found))

  def questions(self) -> list[Question]:
    """Returns which checks are asked of which rules, none twice.

    Raises:
      UsageError: if a rule or a check cannot be found, they do not go together, or a rule removes nothing.
    """
    if self.checks == NO_CHECKS:
      return []
    found = [Question(rule, check) for rule in self.rules() for check in self.checks or _checks_for(rule)]
    for question in found:
      question.checked(self.base.seed)
    return list(dict.fromkeys(found))

  def luck(self) -> list[Question]:
    """Returns each rule against luck; none for a rule that is luck itself."""
    pairs = [(rule, self._as_long(rule, self.luck_of(rule))) for rule in self.rules()]
    return [Question(rule, LUCK, luck) for rule, luck in pairs if luck and luck != rule]

  def small_dense(self) -> list[Question]:
    """Returns each rule against a small dense network of its size; none if the network takes no width."""
    if not self.narrow or not registry.MODELS.has_width(self.base.model):
      return []
    pairs = [(rule, self._ratio(rule)) for rule in self.rules()]
    return [Question(rule, NARROW, narrow) for rule, ratio in pairs
            if ratio is not None and (narrow := self._as_long(rule, self._table_row('narrow', ratio)))]

  def gaps(self) -> list[Question]:
    """Returns the dense network against luck at each ratio."""
    every = dict.fromkeys(luck for rule in self.rules() if (luck := self.luck_of(rule)))
    return [Question(self.dense(self.base.seed), LUCK, luck) for luck in every]

  def ladders(self) -> list[Rungs]:
    """Returns the ladder of each rule at each ratio, if they are asked for."""
    pairs = [(rule, self._as_long(rule, self.luck_of(rule))) for rule in self.rules()] if self.ladder else []
    return [rungs(rule, luck) for rule, luck in pairs if luck]

  def planted(self) -> list[Question]:
    """Returns the planted controls, if they are asked for.

    Magnitude after training, without rewinding, uses its positions; two sets of random tickets of different seeds
    differ in nothing. They are judged at the highest ratio asked for, and at least at 0.95.
    """
    if not self.controls:
      return []
    ratio = max(_CONTROL_RATIO, *self.ratios)
    chance = self._table_row('random', ratio)
    return [Question(self._table_row('lr_rewinding', ratio), 'rearrange', control=USES),
            Question(chance, SEEDS, chance, shift=-(-(self.seeds or self.max_seeds) // _FAR) * _FAR, control=OPEN)]

  def every_question(self) -> list[Question]:
    """Returns all that is asked, none twice, in order of importance."""
    steps = [step for each in self.ladders() for step in each.steps]
    return list(dict.fromkeys([*self.luck(), *self.small_dense(), *self.questions(), *steps, *self.planted(),
                               *self.gaps()]))

  def luck_of(self, rule: Run) -> Run | None:
    """Returns the run of random tickets with smart ratios at the ratio of a rule.

    None for a mask in a file that only the network can read, such as weights of another program, until a run has.
    """
    ratio = self._ratio(rule)
    return None if ratio is None else self._table_row('random', ratio)

  def dense(self, seed: int) -> Run:
    """Returns the run of the network that nothing is pruned from."""
    return Run(dataclasses.replace(self.base, pruner='dense', mask='', check='', seed=seed))

  def runs(self, questions: Iterable[Question], seeds: Iterable[int]) -> list[Run]:
    """Returns the runs that the answers to some questions need, in order of importance.

    Seed by seed: whenever the work is stopped, most questions have their first seeds. Questions whose answer is known
    by construction are run with the first seed of the plan alone.

    Args:
      questions: in order of importance. If the first is one of the rules', what cannot be done with its mask or its
        score's options ends the first run, soon.
      seeds: the seeds.
    """
    asked = {question: question.by_construction for question in questions}
    return list(dict.fromkeys(run for seed in seeds for question, known in asked.items()
                              if not known or seed == self.base.seed
                              for run in (question.original(seed), question.checked(seed))))

  def _ratio(self, rule: Run) -> float | None:
    """Returns the pruning ratio of a rule, or of the mask in its file; None: only a run can tell it."""
    return self.mask_ratio or _ratio_of_mask(rule.settings.mask) if rule.rule.given else rule.settings.ratio

  def _as_long(self, rule: Run, other: Run | None) -> Run | None:
    # What is compared with a rule; with equal epochs, its one training is as long as all trainings of the rule.
    if other is None or not self.equal_epochs:
      return other
    return other.replace(epochs=max(other.settings.epochs, rule.epochs_in_all))

  def _table_row(self, pruner: str, ratio: float) -> Run:
    """Returns the run of a row of the table itself, whatever choices were asked for."""
    row = {**defaults(TicketSettings), **{name: getattr(self.base, name) for name in _OF_EVERY_RULE},
           'sparse_init': self.base.sparse_init and RULES.get(pruner).starts_fresh}
    return Run(dataclasses.replace(self.base, **{**row, 'pruner': pruner, 'ratio': ratio}))


def _is_whole(value: object, least: int) -> bool:
  return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _checks_for(rule: Run) -> list[str]:
  if rule.rule.update.moves:
    return []  # A check changes one thing of a ticket before it is trained; this one is chosen in the training.
  # Two names of one check would ask it twice.
  names: dict[int, str] = {}
  for name in registry.CHECKS.names():
    check = registry.CHECKS.get(name)
    if check.always and not (rule.rule.given and check.of_search):
      names.setdefault(id(check), name)
  return list(names.values())


def rounded_ratio(density: float) -> float:
  """Returns the pruning ratio at which a mask is compared with luck, to four digits and below 1."""
  return min(round(1 - density, 4), 0.9999)


def _ratio_of_mask(path: str) -> float | None:
  try:
    mask = load_mask(pathlib.Path(path).expanduser())
  except UsageError:
    return None
  return rounded_ratio(mask.density)


def _flag(name: str, value: object) -> str:
  return f'--{name}' if value is True else f'--no{name}' if value is False else f'--{name}={shlex.quote(str(value))}'
