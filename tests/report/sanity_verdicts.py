"""Verdicts as bin/sanity_check makes them, of made-up accuracies."""

import dataclasses

import numpy as np

import tickets_tf
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import judge
from tickets_tf.judging.forecast import seeds_to_decide

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
  """Returns verdicts of every rule, ratio and check; `more` replaces what is at the top."""
  rng = np.random.default_rng(20)
  resolution = 0.01
  judgements, comparisons = [], []
  for rule in rules:
    uses = rule in ('lottery', 'lr_rewinding', 'hybrid')
    for ratio in ratios:
      original = 94 - 40 * (ratio - 0.9) + rng.normal(0, spread, seeds)
      for check in checks:
        drop = {'rearrange': 4 * uses, 'shuffle_weights': 3 * uses, 'reinitialise': 2.5 * uses,
                'invert': 6 * (rule != 'random'), 'half_dataset': 0.7 * uses}.get(check, 0.9 * uses * (ratio > 0.95))
        checked = original - drop * (1 + 20 * (ratio - 0.9)) + rng.normal(0, spread, seeds)
        cut = [check == 'invert' and ratio == 0.98 and seed % 2 == 0 for seed in range(seeds)]
        checked[cut] = 10
        each = [np.round(values, 2).tolist() for values in (original, checked)]
        comparisons.append(compare(*each, margin=margin, resolution=resolution))
        judgements.append({'rule': rule, 'allocation': RULES.get(rule, 'global'), 'ratio': ratio, 'check': check,
                           'question': CHECKS.get(check, 'does it matter?'), 'seeds': list(range(seeds)),
                           'proofs': [{'labels_agreeing': round(rng.uniform(0.08, 0.12), 3), 'expected': 0.1}
                                      for _ in range(seeds)],
                           'collapsed': [int(value) for value in cut]})
        judgements[-1].update(zip(('original', 'checked'), map(_summary, each)))
  for judgement, comparison, verdict in zip(judgements, comparisons, judge(comparisons)):
    forecast = verdict.outcome == 'undecided' and seeds_to_decide(comparison, verdict.level)
    judgement.update({
        'verdict': verdict.outcome, 'passes': {'sensitive': True, 'insensitive': False}.get(verdict.outcome),
        'sentence': f'{judgement["rule"]} {_WORDS[verdict.outcome].format(check=judgement["check"])}',
        'difference': {'mean': comparison.drop, 'deviation': comparison.deviation,
                       'interval': comparison.interval and list(comparison.interval)},
        'p_equivalent': verdict.p_equivalent, 'p_drop': verdict.p_drop,
        'forecast': dataclasses.asdict(forecast) if forecast else None})
  return {'format': 1, 'command': f'bin/sanity_check --pruner={",".join(rules)} --ratio=0.9 --seeds={seeds}',
          'commit': '0123abc', 'environment': {'python': '3.11.2', 'packages': {'numpy': '2.4.6'}},
          'settings': dataclasses.asdict(tickets_tf.Settings(dataset='cifar10', model='resnet20', data_dir='data')),
          'margin': margin, 'alpha': 0.05, 'resolution': resolution, 'seeds': list(range(seeds)), 'looks': None,
          'stopped': None, 'failures': [],
          'controls': {'passed': True, 'findings': ['random (smart) is insensitive to random_labels, as it must be'],
                       'judgements': []},
          'dense': _summary((94.5 + rng.normal(0, 0.2, seeds)).round(2).tolist()), 'judgements': judgements,
          'keep_ratios': [{'rule': rule, 'allocation': RULES.get(rule, 'global'), 'ratio': ratio, 'layers': LAYERS,
                           'original': _profile(ratio, rule)} for rule in rules for ratio in ratios], **more}


def minimal(**more):
  """Returns the verdict of one check on one seed, and nothing that can be left out."""
  return verdicts(('snip',), (0.95,), ('random_labels',), seeds=1, **{
      'commit': None, 'controls': None, 'dense': None, 'keep_ratios': [], 'resolution': 0.0, **more})


def undecided():
  """Returns verdicts of checks that a few, scattered seeds leave open, looked at twice."""
  return verdicts(('lottery',), (0.98,), seeds=3, spread=0.8, stopped='the budget of 30 minutes was spent',
                  controls=None,
                  looks={'kind': 'pocock', 'sizes': [3, 5, 8], 'levels': [0.024, 0.013, 0.013], 'done': 1})


def failed():
  """Returns verdicts whose planted controls came out wrong."""
  return verdicts(('random', 'lottery'), (0.98,), controls={
      'passed': False, 'findings': ['random (smart) came out sensitive to rearrange at ratio 0.98'],
      'judgements': [3, 10]})


def _summary(accuracies):
  values = np.array(accuracies)
  return {'accuracies': accuracies, 'mean': float(values.mean()),
          'deviation': float(values.std(ddof=1)) if len(values) > 1 else None}


def _profile(ratio, rule):
  falling = np.linspace(1, 0.05, len(LAYERS))**(len(rule) / 3)
  values = np.clip((1 - ratio) * falling / falling.mean(), 0, 1)
  if rule == 'grasp' and ratio > 0.97:
    values[-4:-2] = 0
  return values.round(5).tolist()
