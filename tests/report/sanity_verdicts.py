"""Verdicts as bin/sanity_check makes them, of made-up accuracies."""

import dataclasses

import numpy as np

import tickets_tf
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import judge
from tickets_tf.judging.forecast import seeds_to_decide
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import Difference
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Looks
from tickets_tf.judging.verdicts import Sample
from tickets_tf.judging.verdicts import Verdicts

CHECKS = {
    'random_labels': 'does the rule use the labels?',
    'random_pixels': 'does it use the images?',
    'half_dataset': 'does it need all the data?',
    'rearrange': 'does the architecture it finds matter, beyond the layer ratios?',
    'shuffle_weights': 'do the weights\' positions matter?',
    'reinitialise': 'do the weights matter?',
    'invert': 'does the score matter?',
}
RULES = {'random': 'smart', 'lottery': 'global_convolutions', 'snip': 'global', 'grasp': 'global',
         'lr_rewinding': 'global_convolutions', 'hybrid': 'smart', 'magnitude': 'global'}
LAYERS = ['conv1', *(f'stage{stage}_block{block}_{part}' for stage in (1, 2, 3) for block in (1, 2, 3)
                     for part in ('conv1', 'conv2', 'shortcut') if part != 'shortcut' or block == 1 < stage),
          'classifier']
_WORDS = {'insensitive': 'keeps its accuracy under {check}: it does not use what that takes away',
          'sensitive': 'loses accuracy under {check}: it uses what that takes away',
          'undecided': 'may or may not lose accuracy under {check}'}


def verdicts(rules=tuple(RULES), ratios=(0.9, 0.95, 0.98), checks=tuple(CHECKS), seeds=5, margin=0.5, spread=0.12,
             **more):
  """Returns `Verdicts` of every rule, ratio and check; `more` replaces what is at the top."""
  rng = np.random.default_rng(20)
  made, comparisons = [], []
  for rule in rules:
    for ratio in ratios:
      original = 94 - 40 * (ratio - 0.9) + rng.normal(0, spread, seeds)
      for check in checks:
        checked = original - _drop(rule, check, ratio) * (1 + 20 * (ratio - 0.9)) + rng.normal(0, spread, seeds)
        cut = [check == 'invert' and ratio == 0.98 and seed % 2 == 0 for seed in range(seeds)]
        checked[cut] = 10
        each = [tuple(np.round(values, 2).tolist()) for values in (original, checked)]
        proofs = tuple({'labels_agreeing': round(rng.uniform(0.08, 0.12), 3), 'expected': 0.1} for _ in range(seeds))
        comparisons.append(compare(*each, margin=margin, resolution=0.01))
        made.append((rule, ratio, check, each, tuple(cut), proofs))
  judgements = tuple(_judgement(*values, comparison, verdict)
                     for values, comparison, verdict in zip(made, comparisons, judge(comparisons), strict=True))
  of_dense = tuple((94.5 + rng.normal(0, 0.2, seeds)).round(2).tolist())
  return Verdicts(**{
      'command': f'bin/sanity_check --pruner={",".join(rules)} --ratio=0.9 --seeds={seeds}', 'commit': '0123abc',
      'environment': {'python': '3.11.2', 'packages': {'numpy': '2.4.6'}},
      'settings': dataclasses.asdict(tickets_tf.Settings(dataset='cifar10', model='resnet20', data_dir='data')),
      'margin': margin, 'alpha': 0.05, 'resolution': 0.01, 'seeds': tuple(range(seeds)), 'looks': None,
      'stopped': None, 'failures': (),
      'controls': Controls(True, ('random (smart) is insensitive to random_labels, as it must be',), ()),
      'dense': _sample(of_dense), 'judgements': judgements,
      'keep_ratios': tuple(KeepRatios(rule, RULES.get(rule, 'global'), ratio, tuple(LAYERS), _profile(ratio, rule))
                           for rule in rules for ratio in ratios), **more})


def minimal(**more):
  """Returns the verdict of one check on one seed, and nothing that can be left out."""
  return verdicts(('snip',), (0.95,), ('random_labels',), seeds=1, **{
      'commit': None, 'controls': None, 'dense': None, 'keep_ratios': (), 'resolution': 0.0, **more})


def undecided():
  """Returns verdicts of checks that a few, scattered seeds leave open, looked at twice."""
  return verdicts(('lottery',), (0.98,), seeds=3, spread=0.8, stopped='the budget of 30 minutes was spent',
                  controls=None, looks=Looks('pocock', (3, 5, 8), (0.024, 0.013, 0.013), 1))


def failed():
  """Returns verdicts whose planted controls came out wrong."""
  finding = 'random (smart) came out sensitive to rearrange at ratio 0.98'
  return verdicts(('random', 'lottery'), (0.98,), controls=Controls(False, (finding,), (3, 10)))


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


def _drop(rule, check, ratio):
  uses = rule in ('lottery', 'lr_rewinding', 'hybrid')
  return {'rearrange': 4 * uses, 'shuffle_weights': 3 * uses, 'reinitialise': 2.5 * uses,
          'invert': 6 * (rule != 'random'), 'half_dataset': 0.7 * uses}.get(check, 0.9 * uses * (ratio > 0.95))


def _judgement(rule, ratio, check, each, cut, proofs, comparison, verdict):
  return Judgement(
      rule=rule, allocation=RULES.get(rule, 'global'), ratio=ratio, check=check,
      question=CHECKS.get(check, 'does it matter?'), verdict=verdict.outcome,
      passes={'sensitive': True, 'insensitive': False}.get(verdict.outcome),
      sentence=f'{rule} {_WORDS[verdict.outcome].format(check=check)}', seeds=tuple(range(comparison.n)),
      original=_sample(each[0]), checked=_sample(each[1]),
      difference=Difference(comparison.drop, comparison.deviation, comparison.interval),
      p_equivalent=verdict.p_equivalent, p_drop=verdict.p_drop,
      forecast=seeds_to_decide(comparison, verdict.level) if verdict.outcome == 'undecided' else None,
      proofs=proofs, collapsed=cut)


def _sample(accuracies):
  values = np.array(accuracies)
  return Sample(accuracies, float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else None)


def _profile(ratio, rule):
  falling = np.linspace(1, 0.05, len(LAYERS))**(len(rule) / 3)
  values = np.clip((1 - ratio) * falling / falling.mean(), 0, 1)
  if rule == 'grasp' and ratio > 0.97:
    values[-4:-2] = 0
  return tuple(values.round(5).tolist())
