import dataclasses
import subprocess
import sys

import pytest

from tickets_tf.runs import settings
from tickets_tf.errors import UsageError
from tickets_tf.runs.settings import Settings


@pytest.mark.parametrize('change, expected', [
    ({'ratio': 1.0}, r'--ratio=1.0: expected a number at least 0 and below 1'),
    ({'ratio': -0.1}, r'--ratio=-0.1: '),
    ({'ratio': float('nan')}, r'--ratio=nan: expected a finite number'),
    ({'epochs': -3}, r'--epochs=-3: expected a number at least 0'),
    ({'epochs': 2.5}, r'--epochs=2.5: expected int'),
    ({'jit': 'yes'}, r'--jit=yes: expected bool'),
    ({'seed': True}, r'--seed=True: expected int'),
    ({'strategy': 'mirorred'}, r'--strategy=mirorred: expected one of auto, one_device, mirrored, multi_worker'),
    ({'pruner': 'randm'}, r"--pruner: unknown pruner 'randm' \(did you mean 'random'\?\); known: random, "),
    ({'pruner': ''}, r"--pruner: unknown pruner ''"),
    ({'dataset': 'cifar11'}, r"did you mean 'cifar10'"),
    ({'model': 'resent20'}, r"did you mean 'resnet'"),
    ({'allocation': 'smrt'}, r"--allocation: .*did you mean 'smart'"),
    ({'milestones': '0.75,0.5'}, r'--milestones=0.75,0.5: expected rising numbers'),
    ({'milestones': 'half'}, r'--milestones=half: '),
    ({'milestones': '0.5,0.5'}, r'--milestones=0.5,0.5: expected rising numbers between 0 and 1'),
    ({'milestones': '0,0.5'}, r'--milestones=0,0.5: '),
    ({'milestones': '0.5,1'}, r'--milestones=0.5,1: '),
    ({'scored_at': 'none'}, r'--scored_at=none: expected init or trained or a number of epochs up to 20'),
    ({'rewound_to': 'trained'}, r'--rewound_to=trained: expected init or none or a number of epochs up to 20'),
    ({'order_seed': -2}, r'--order_seed=-2: expected a number at least -1'),
    ({'order_seed': 1, 'order_epoch': 20}, r'--order_epoch=20: expected less than --epochs, 20'),
    ({'stop_epoch': 21}, r'--stop_epoch=21: expected at most --epochs, 20'),
])
def test_bad_settings_are_named(change, expected):
  with pytest.raises(UsageError, match=expected) as caught:
    Settings(**change)
  assert '\n' not in str(caught.value)


def test_good_settings_pass():
  Settings(ratio=0, pruner='my.module:score', model='vgg19', allocation='erk', milestones='')
  assert Settings(milestones='0.25, 0.5').milestone_shares() == (0.25, 0.5)
  Settings(epochs=5, stop_epoch=5, scored_at='trained', rewound_to='none')
  Settings(epochs=5, scored_at='5', rewound_to='init')


def test_settings_survive_a_record():
  chosen = Settings(pruner='magnitude', ratio=0.5, seed=7, milestones='0.3')
  assert settings.from_dict(dataclasses.asdict(chosen)) == chosen
  with pytest.raises(UsageError, match='unknown settings: rtaio'):
    settings.from_dict({'rtaio': 0.5})


def test_every_field_is_a_flag_with_help():
  program = ('from absl import flags; from tickets_tf.cli.flags import define_flags, from_flags; define_flags(); '
             'flags.FLAGS(["x", "--ratio=0.5", "--nojit", "--pruner=dense"]); print(from_flags())')
  out = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True).stdout.strip()
  assert out == repr(Settings(ratio=0.5, pruner='dense'))
  assert all(field.metadata['help'] for field in dataclasses.fields(Settings))


def test_no_tensorflow_is_needed():
  program = 'import sys; from tickets_tf.cli import command, flags; sys.exit("tensorflow" in sys.modules)'
  assert subprocess.run([sys.executable, '-c', program]).returncode == 0


def test_options_are_literals_or_strings():
  assert Settings(score_options='curvature=hutchinson, samples=20').options('score_options') == {
      'curvature': 'hutchinson', 'samples': 20}
  with pytest.raises(UsageError, match=r'--allocation_options=0.3: expected name=value'):
    Settings(allocation_options='0.3')


def test_settings_are_what_each_of_their_groups_is():
  groups = [settings.TicketSettings, settings.PhaseSettings, settings.DataSettings, settings.NetworkSettings,
            settings.TrainingSettings, settings.MachineSettings, settings.OutputSettings]
  names = [field.name for group in groups for field in dataclasses.fields(group)]
  assert sorted(names) == sorted(field.name for field in dataclasses.fields(Settings)), 'every setting is in one group'
  chosen = Settings(dataset='cifar10', epochs=7)
  assert all(isinstance(chosen, group) for group in groups)
  assert chosen.group(settings.DataSettings) == settings.DataSettings(dataset='cifar10')


@pytest.mark.parametrize('changes, same', [
    ({'pruner': 'snip', 'ratio': 0.5, 'check': 'rearrange', 'seed': 3, 'stop_epoch': 2,
      'trained_on': 'half_dataset'}, True),
    ({'output_dir': 'x', 'progress': False, 'checkpoint_seconds': 3.0}, True),
    ({'epochs': 7}, False), ({'dataset': 'cifar10'}, False), ({'width': 8}, False), ({'threads': 1}, False),
    ({'jit': True}, False), ({'momentum': 0.0}, False), ({'augmentation': 'none'}, False)])
def test_what_can_change_a_training_step(changes, same):
  assert (Settings(**changes).step() == Settings().step()) == same
