"""The table of a sweep's runs that TensorBoard's HParams plugin makes of what they leave, read as TensorBoard does."""

import dataclasses

import pytest
import tensorflow as tf
from tensorboard import context
from tensorboard.backend.event_processing import data_provider
from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import backend_context
from tensorboard.plugins.hparams import list_session_groups

from tests import small_network
import tickets_tf
from tickets_tf.experiment import train
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.training import hparams

BASE = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=2, ratio=0.8,
                           pruner='snip', samples_per_class=2, progress=False, export=False)


def quiet(line):
  del line


class Killed(BaseException):
  """Ends a process where it stands, as no exception that is caught does."""


@pytest.fixture(scope='module')
def sweep(tmp_path_factory):
  """The folder of three runs, of which the first was killed twice as it ended, and their records by name."""
  base = dataclasses.replace(BASE, output_dir=str(tmp_path_factory.mktemp('sweep')))
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(records, 'write', lambda *of: (_ for _ in ()).throw(Killed()))
    for _ in range(2):
      with pytest.raises(Killed):
        train.train(base, quiet)
  found = {}
  for changes in ({}, {'seed': 1}, {'check': 'rearrange'}):
    run = Run(dataclasses.replace(base, **changes))
    found[run.name] = train.train(run.settings, quiet)
  return base.output_dir, found


def shown(folder):
  """Returns the rows that TensorBoard shows of a folder, and its columns."""
  multiplexer = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={'scalars': 0})
  multiplexer.AddRunsFromDirectory(str(folder)).Reload()
  provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
  backend = backend_context.Context(base_plugin.TBContext(data_provider=provider, logdir=str(folder)))
  asked = context.RequestContext()
  request = api_pb2.ListSessionGroupsRequest(
      allowed_statuses=api_pb2.Status.values(), start_index=0, slice_size=100, include_metrics=True)
  rows = list_session_groups.Handler(asked, backend, '', request).run().session_groups
  experiment = backend.experiment_from_metadata(asked, '', True, backend.hparams_metadata(asked, ''), None)
  return rows, experiment


def values(row):
  return {name: getattr(value, value.WhichOneof('kind')) for name, value in row.hparams.items()}


def test_every_run_is_a_row_with_its_accuracies(sweep):
  folder, of_runs = sweep
  rows, _ = shown(folder)
  assert {row.name for row in rows} == set(of_runs)
  for row in rows:
    record, [session] = of_runs[row.name], row.sessions
    assert session.name.startswith(row.name) and session.status == api_pb2.STATUS_SUCCESS
    assert session.start_time_secs < session.end_time_secs
    metrics = {metric.name.tag: (metric.training_step, metric.value) for metric in row.metric_values}
    assert metrics == {name: (2, pytest.approx(getattr(record, name), abs=1e-6)) for name in hparams.METRICS}
    found = values(row)
    assert (found['pruner'], found['ratio'], found['seed'], found['model'], found['width']) == (
        'snip', 0.8, record.seed, small_network.NAME, 4)
    assert found['check'] == (record.settings.check or 'none')
    # What was left to the rule stands there as the rule has it.
    assert (found['allocation'], found['scored_at'], found['rounds']) == ('global', 'init', 1)
    assert 'output_dir' not in found and 'progress' not in found


def test_columns_that_differ_come_first(sweep):
  _, experiment = shown(sweep[0])
  assert [info.name for info in experiment.hparam_infos if info.differs] == ['check', 'seed']
  assert [info.name for info in experiment.hparam_infos][:2] == ['check', 'seed']
  infos = {info.name: info for info in experiment.hparam_infos}
  assert sorted(word.string_value for word in infos['check'].domain_discrete.values) == ['none', 'rearrange']
  assert (infos['seed'].domain_interval.min_value, infos['seed'].domain_interval.max_value) == (0, 1)
  assert {info.name.tag for info in experiment.metric_infos} == set(hparams.METRICS), 'no sparsity of a layer'


def test_a_run_that_was_killed_as_it_ended_writes_its_row_once(sweep, tmp_path):
  run = Run(dataclasses.replace(BASE, output_dir=sweep[0]))
  [path] = (run.folder.tensorboard / 'hparams').iterdir()
  tags = [value.tag for event in tf.compat.v1.train.summary_iterator(str(path)) for value in event.summary.value]
  assert sorted(tags) == sorted(['_hparams_/session_start_info', *hparams.METRICS, '_hparams_/session_end_info'])
  # Killed before the row had its name.
  (tmp_path / '.0.tmp.hparams').mkdir()
  (tmp_path / '.0.tmp.hparams' / path.name).write_bytes(path.read_bytes())
  hparams.write(tmp_path, run.name, records.read(run.folder.path))
  assert [each.name for each in tmp_path.iterdir()] == ['hparams']
  assert [len(row.sessions) for row in shown(tmp_path)[0]] == [1]
