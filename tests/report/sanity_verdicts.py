"""Verdicts as bin/sanity_check makes them, of made-up accuracies that the real procedure has judged."""

import dataclasses

import numpy as np

import tickets_tf
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.evidence import Evidence
from tickets_tf.judging.judge import Gap
from tickets_tf.judging.judge import Scale
from tickets_tf.judging.judge import judge
from tickets_tf.judging.margin import Margin
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Looks
from tickets_tf.judging.verdicts import Sample
from tickets_tf.judging.verdicts import Verdicts

CHECKS = {
    'random_labels': 'what are the labels worth to it?',
    'random_pixels': 'what are the images worth to it?',
    'half_dataset': 'what is the other half of the data worth to it?',
    'rearrange': 'what are the positions that it chose worth, beyond its layer ratios?',
    'shuffle_weights': 'what is each weight\'s place worth?',
    'reinitialise': 'what are the weights worth?',
    'invert': 'what is the order of its scores worth?',
}
RULES = {'random': 'smart', 'lottery': 'global_convolutions', 'snip': 'global', 'grasp': 'global',
         'lr_rewinding': 'global_convolutions', 'hybrid': 'smart', 'magnitude': 'global'}
LAYERS = ['conv1', *(f'stage{stage}_block{block}_{part}' for stage in (1, 2, 3) for block in (1, 2, 3)
                     for part in ('conv1', 'conv2', 'shortcut') if part != 'shortcut' or block == 1 < stage),
          'classifier']
RESOLUTION, GUESSING, DENSE = 0.01, 10.0, 94.5
STEPS = {'positions': 'its positions', 'ratios': 'its layer ratios', 'smartness': 'smart layer ratios'}


def evidence(rule='snip', ratio=0.9, check='rearrange', original=(90.0, 90.5, 91.0), checked=(90.1, 90.2, 91.1),
             **more):
  """Returns `Evidence` of accuracies; `more` replaces what else it holds."""
  seeds = tuple(range(len(original)))
  return Evidence(**{
      'rule': rule, 'allocation': RULES.get(rule, 'global'), 'ratio': ratio, 'check': check,
      'question': CHECKS.get(check, 'does it matter?'), 'subject': f'what {check} takes away', 'seeds': seeds,
      'original': _rounded(original), 'checked': _rounded(checked), 'failed': ((False, False),) * len(seeds),
      'cut': ((False, False),) * len(seeds), 'identical': False,
      'proofs': tuple({'labels_agreeing': 0.1 + seed / 1000, 'expected': 0.1} for seed in seeds), **more})


def judged(found, margin=0.5, low=8.0):
  """Returns the judgements of evidence; `low`: the low end of the gap between the dense network and luck."""
  gaps = {each.ratio: Gap(10.0, (low, 12.0)) for each in found}
  scale = Scale(Margin.parse(str(margin)), gaps, RESOLUTION, GUESSING, 0.05, 0.05, 20)
  return list(judge(found, scale)[0])


def verdicts(rules=tuple(RULES), ratios=(0.9, 0.95, 0.98), checks=tuple(CHECKS), seeds=5, margin=0.5, spread=0.12,
             ladders=False, low=8.0, **more):
  """Returns `Verdicts` of every rule, ratio and check; `more` replaces what is at the top."""
  rng = np.random.default_rng(20)
  luck = {ratio: 84 - 40 * (ratio - 0.9) + rng.normal(0, spread, seeds) for ratio in ratios}
  of_dense = DENSE + rng.normal(0, spread, seeds)
  found = [each for rule in rules for ratio in ratios
           for each in _of_rule(rule, ratio, checks, luck[ratio], spread, rng)]
  gaps = [evidence('dense', ratio, 'luck', of_dense, luck[ratio], allocation='', subject='its difference from luck')
          for ratio in ratios]
  steps = [each for rule in rules * ladders for ratio in ratios
           for each in _steps(rule, ratio, luck[ratio], spread, rng)]
  made = iter(judged([*found, *gaps, *steps], margin, low))
  asked = [next(made) for _ in found]
  return Verdicts(**{
      'command': f'bin/sanity_check --pruners={",".join(rules)} --ratios=0.9 --seeds={seeds}', 'commit': '0123abc',
      'environment': {'python': '3.11.2', 'packages': {'numpy': '2.4.6'}},
      'settings': dataclasses.asdict(tickets_tf.Settings(dataset='cifar10', model='resnet20', data_dir='data')),
      'margin': str(margin), 'alpha': 0.05, 'accuracy': 'settled_accuracy', 'resolution': RESOLUTION,
      'guessing': GUESSING, 'seeds': tuple(range(seeds)), 'looks': None, 'stopped': None,
      'failures': (), 'exploratory': (), 'pooled': verdicts_file.Pooled(12.0, 0.1, 30),
      'controls': Controls(True, ('random (smart), rearrange: open, must be open',), ()),
      'dense': sample(of_dense),
      'luck': tuple(each for each in asked if each.check == 'luck'),
      'gaps': tuple(next(made) for _ in gaps),
      'judgements': tuple(each for each in asked if each.check != 'luck'),
      'ladders': tuple(_ladder(rule, ratio, [next(made) for _ in STEPS]) for rule in rules * ladders
                       for ratio in ratios),
      'keep_ratios': tuple(KeepRatios(rule, RULES.get(rule, 'global'), ratio, tuple(LAYERS), _profile(ratio, rule))
                           for rule in rules for ratio in ratios), **more})


def minimal(**more):
  """Returns the verdict of one check on one seed, and nothing that can be left out."""
  return verdicts(('snip',), (0.95,), ('random_labels',), seeds=1, **{
      'commit': None, 'controls': None, 'dense': None, 'keep_ratios': (), 'resolution': None, 'luck': (), 'gaps': (),
      'pooled': None, **more})


def undecided():
  """Returns verdicts of checks that a few, scattered seeds leave open, looked at twice."""
  return verdicts(('lottery',), (0.98,), seeds=3, spread=0.8, stopped='the budget of 30 minutes was spent',
                  controls=None, looks=Looks('pocock', (3, 5, 8), (0.024, 0.013, 0.013), 1))


def failed():
  """Returns verdicts whose planted controls came out wrong, with ladders."""
  finding = 'random (smart) came out as using its positions (rearrange) at ratio 0.98'
  control = judged([evidence('random', 0.98, 'seeds', (80.0, 80.2, 80.1), (70.0, 70.2, 70.1), control='open')])
  return verdicts(('random', 'lottery'), (0.98,), ladders=True, controls=Controls(False, (finding,), tuple(control)))


def with_judgement(made, number, **changes):
  """Returns `Verdicts` with one judgement changed; `name__part` changes a part of a value."""
  parts = {key: value for key, value in changes.items() if '__' in key}
  changes = {key: value for key, value in changes.items() if '__' not in key}
  judgement = dataclasses.replace(made.judgements[number], **changes)
  for key, value in parts.items():
    name, part = key.split('__')
    judgement = dataclasses.replace(judgement, **{
        name: dataclasses.replace(getattr(judgement, name), **{part: value})})
  return dataclasses.replace(made, judgements=(*made.judgements[:number], judgement, *made.judgements[number + 1:]))


def with_profile(made, number, **changes):
  """Returns `Verdicts` with the keep ratios at one place changed."""
  profile = dataclasses.replace(made.keep_ratios[number], **changes)
  return dataclasses.replace(made, keep_ratios=(*made.keep_ratios[:number], profile, *made.keep_ratios[number + 1:]))


def sample(accuracies):
  """Returns a `Sample` of accuracies in percent."""
  values = np.array(_rounded(accuracies))
  return Sample(tuple(values.tolist()), float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None)


def _of_rule(rule, ratio, checks, luck, spread, rng):
  """Yields the evidence on a rule at one ratio: against every check, and against luck."""
  seeds = len(luck)
  original = 94 - 40 * (ratio - 0.9) + rng.normal(0, spread, seeds)
  for check in checks:
    checked = original - _drop(rule, check, ratio) * (1 + 20 * (ratio - 0.9)) + rng.normal(0, spread, seeds)
    identical = rule == 'random' and check in ('random_labels', 'random_pixels', 'half_dataset')
    cut = tuple((False, check == 'invert' and ratio == 0.98 and seed % 2 == 0) for seed in range(seeds))
    checked[[other for _, other in cut]] = GUESSING
    yield evidence(rule, ratio, check, original, original if identical else checked, identical=identical, cut=cut)
  yield evidence(rule, ratio, 'luck', original, luck, subject='its difference from luck')


def _steps(rule, ratio, luck, spread, rng):
  """Yields the evidence on each step of a rule's ladder."""
  levels = [luck + above + rng.normal(0, spread, len(luck)) for above in (6, 2, 0, -3)]
  for check, before, after in zip(STEPS, levels, levels[1:], strict=False):
    yield evidence(rule, ratio, check, before, after, subject=STEPS[check])


def _ladder(rule, ratio, steps):
  return Ladder(rule, RULES.get(rule, 'global'), ratio, ('original', 'rearrange', 'luck', 'uniform'),
                (*(step.original for step in steps), steps[-1].checked), tuple(steps), 'erk',
                {'erk': 0.02, 'smart': 0.05})


def _drop(rule, check, ratio):
  uses = rule in ('lottery', 'lr_rewinding', 'hybrid')
  return {'rearrange': 4 * uses, 'shuffle_weights': 3 * uses, 'reinitialise': 2.5 * uses,
          'invert': 6 * (rule != 'random'), 'half_dataset': 0.7 * uses}.get(check, 0.9 * uses * (ratio > 0.95))


def _rounded(values):
  return tuple(float(value) for value in np.round(values, 2))


def _profile(ratio, rule):
  falling = np.linspace(1, 0.05, len(LAYERS))**(len(rule) / 3)
  values = np.clip((1 - ratio) * falling / falling.mean(), 0, 1)
  if rule == 'grasp' and ratio > 0.97:
    values[-4:-2] = 0
  return tuple(values.round(5).tolist())
