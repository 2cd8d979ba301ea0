"""One experiment, from settings to record, in stages that each return at once where their work is done."""

import contextlib
import dataclasses
import fcntl
import os
import pathlib
import platform
import shutil
import subprocess
import time
from importlib import metadata

from absl import logging
import tensorflow as tf
import tf_keras as keras

from tickets_tf import checkpoints
from tickets_tf import data
from tickets_tf import evaluation
from tickets_tf import export
from tickets_tf import masks
from tickets_tf import models
from tickets_tf import records
from tickets_tf import rules
from tickets_tf import seeds
from tickets_tf import sparse
from tickets_tf import tickets
from tickets_tf import training
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

_PACKAGES = ('tickets_tf', 'tensorflow', 'tf_keras', 'tensorflow-model-optimization', 'tensorflow-datasets', 'numpy')
_EVALUATION_BATCH = 500


def train(settings, say=print):
  """Finds a ticket, trains it and leaves a folder with all that it was and is.

  The folder holds `settings.json`, `environment.json`, `initial.weights.h5`, `mask.npz`, `metrics.jsonl`,
  `final.weights.h5`, `ticket/` (a SavedModel) and, last of all, `record.json`. Killed at any moment, the same call goes
  on and ends with the same bits; where the work is done already it is read back.

  Args:
    settings: the run's `Settings`.
    say: takes lines for the user.

  Returns:
    The run's record, a dictionary.

  Raises:
    UsageError: for settings or data that cannot be used; nothing is left behind then.
    TicketsError: where the work cannot be done, or `on_collapse` is `fail` and the ticket has collapsed.
  """
  settings = _canonical(settings)
  folder = settings.folder()
  if (folder / records.NAME).exists():
    say(f'{folder}: already done')
    return records.read(folder)
  strategy = training.make_strategy(settings.strategy, settings.replicas)
  if settings.deterministic:
    tf.config.experimental.enable_op_determinism()
  with _Stopwatch() as data_time:
    dataset = data.load_dataset(settings.dataset, settings.data_dir or None, settings.image_size,
                                settings.train_examples, settings.validation_split)
  # Before the folder is made: what cannot be built or cut into shares leaves nothing behind.
  pipeline = _pipeline(settings, dataset)
  _check_shares(settings, pipeline, strategy)
  model = _initial_model(settings, dataset, strategy)
  with _locked(folder, say):
    if (folder / records.NAME).exists():
      say(f'{folder}: already done')
      return records.read(folder)
    say(f'{model.name} of width {settings.width or "its own"} on {dataset.name}: {len(dataset.train):,} training '
        f'images, {settings.epochs} epochs, on {", ".join(strategy.extended.worker_devices)}\n{folder}')
    run = _Run(settings, folder, strategy, dataset, pipeline, model, say)
    return run.finish({'data': data_time.seconds})


@dataclasses.dataclass
class _Run:
  """What the stages of one run share."""
  settings: object
  folder: pathlib.Path
  strategy: object
  dataset: object
  pipeline: object
  model: object
  say: object

  def finish(self, seconds):
    """Does the stages that are left, in order, and returns the record."""
    _keep(self.folder / 'settings.json', dataclasses.asdict(self.settings))
    environment = _keep(self.folder / 'environment.json', _environment())
    with _Stopwatch() as find_time:
      kernels = models.prunable_kernels(self.model)
      dense_macs = models.multiply_accumulates(kernels, [kernel.size for kernel in kernels])
      mask = self._ticket()
      sparse_macs = models.multiply_accumulates(kernels, mask.counts)
      collapse = models.collapse(self.model, mask)
    _report_collapse(collapse, self.settings.on_collapse, self.say)
    with self.strategy.scope():
      wrapped = sparse.wrap(self.model, mask)
    epochs = training.train(wrapped, self.pipeline, self._evaluation_batches(), self.settings, self.folder,
                            self.strategy)
    with _Stopwatch() as export_time:
      trained = sparse.strip(wrapped)
      checkpoints.save_weights(trained, self.folder / 'final.weights.h5')
      final = evaluation.accuracy(self._classify(trained), self.dataset.test, _EVALUATION_BATCH)
      export.export_saved_model(trained, self.dataset, self.folder / 'ticket',
                                {'mask': mask.digest(), 'settings': dataclasses.asdict(self.settings)})
    best = max(epochs, key=lambda epoch: epoch['evaluation_accuracy'])
    record = {
        'settings': dataclasses.asdict(self.settings),
        'digest': self.settings.digest(),
        'seed': self.settings.seed,
        'network': self.model.name,
        'dataset': {'name': self.dataset.name, 'train': len(self.dataset.train), 'test': len(self.dataset.test),
                    'validation': len(self.dataset.validation or ()), 'classes': self.dataset.num_classes,
                    'image_shape': list(self.dataset.image_shape)},
        'mask': mask.digest(),
        'layers': [{'name': kernel.name, 'shape': list(kernel.shape), 'weights': kernel.size, 'kept': kept,
                    'dense_macs': dense, 'sparse_macs': pruned}
                   for kernel, kept, dense, pruned in zip(kernels, mask.counts, dense_macs, sparse_macs)],
        **collapse,
        'final_accuracy': final,
        'best_accuracy': best['evaluation_accuracy'],
        'best_epoch': best['epoch'],
        'best_on': 'test' if self.dataset.validation is None else 'validation',
        'seconds': {**seconds, 'find': find_time.seconds, 'train': round(sum(epoch['seconds'] for epoch in epochs), 3),
                    'export': export_time.seconds},
        'environment': environment,
    }
    record = records.write(self.folder, record)
    shutil.rmtree(self.folder / 'checkpoints', ignore_errors=True)
    return record

  def _ticket(self):
    """Finds the ticket, or reads back what an earlier process found, and puts its weights into the model."""
    mask_path, weights_path = self.folder / 'mask.npz', self.folder / 'initial.weights.h5'
    if mask_path.exists():
      checkpoints.load_weights(self.model, weights_path)
      return masks.load(mask_path)
    checkpoints.save_weights(self.model, weights_path)
    images, labels = self._scoring_batch()
    ticket = tickets.find_ticket(self.model, rules.resolve(self.settings.pruner, self.settings.allocation),
                                 self.settings.ratio, images, labels, self.settings.seed)
    ticket.mask.save(mask_path)
    return ticket.mask

  def _scoring_batch(self):
    dataset = self.dataset
    indices = data.scoring_batches(dataset.train, dataset.num_classes, self.settings.samples_per_class,
                                   self.settings.seed, dataset.class_names)
    return data.scoring_images(dataset.train, indices, dataset.mean, dataset.std)

  def _evaluation_batches(self):
    examples = self.dataset.test if self.dataset.validation is None else self.dataset.validation
    return data.evaluation_batches(examples, _EVALUATION_BATCH, self.dataset.mean, self.dataset.std)

  def _classify(self, model):
    return tf.function(lambda images: model(data.normalise(images, self.dataset.mean, self.dataset.std),
                                            training=False), reduce_retracing=True)


def evaluate(folder, say=print):
  """Recomputes the test accuracy of a finished run from its SavedModel.

  Args:
    folder: the run's folder.
    say: takes lines for the user.

  Returns:
    (accuracy of the SavedModel, that of the record), floats in [0, 1].

  Raises:
    UsageError: where the folder holds no finished run, or the data cannot be had.
  """
  record = records.read(folder)
  ticket = export.load_ticket(folder)
  used = record['settings']
  test = data.load_dataset(used['dataset'], used['data_dir'] or None, used['image_size']).test
  found = evaluation.accuracy(ticket.predict, test, _EVALUATION_BATCH)
  say(f'{folder}: test accuracy {found:.2%} from the SavedModel, {record["final_accuracy"]:.2%} in the record')
  return found, record['final_accuracy']


def _report_collapse(collapse, on_collapse, say):
  """Says what of a ticket is on no path; warns or raises TicketsError where it has collapsed."""
  units = collapse['unreachable_units'] or {}
  if any(units.values()):
    say(f'{sum(units.values())} units are on no path from input to output ('
        + ', '.join(f'{name} {count}' for name, count in units.items() if count)
        + f'); effective sparsity {collapse["effective_sparsity"]:.4f}')
  found = ['no path leads from the input to the output'] if collapse['connected'] is False else []
  if collapse['empty_layers']:
    found.append(f'layers that kept nothing: {", ".join(collapse["empty_layers"])}')
  if found and on_collapse == 'fail':
    raise TicketsError(f'the ticket has collapsed: {"; ".join(found)} (--on_collapse=warn trains it all the same)')
  if found:
    logging.warning('the ticket has collapsed: %s', '; '.join(found))


def _canonical(settings):
  # A rule that does not prune is the same run at every ratio, and is shared.
  if rules.resolve(settings.pruner).prunes:
    return settings
  return dataclasses.replace(settings, ratio=0.0, allocation='')


def _pipeline(settings, dataset):
  augmentation = dataset.augmentation if settings.augmentation == 'auto' else settings.augmentation
  return data.Pipeline(dataset.train, settings.batch_size, settings.seed, augmentation, dataset.crop_padding,
                       dataset.mean, dataset.std)


def _check_shares(settings, pipeline, strategy):
  if pipeline.batch_size % strategy.num_replicas_in_sync:
    raise UsageError(f'--batch_size={settings.batch_size}: batches of {pipeline.batch_size} images cannot be shared '
                     f'equally by {strategy.num_replicas_in_sync} replicas')


def _initial_model(settings, dataset, strategy):
  keras.utils.set_random_seed(seeds.integer(settings.seed, 'initialisation'))
  with strategy.scope(), _precision(settings.mixed_precision):
    return models.build_model(settings.model, dataset.image_shape, dataset.num_classes, width=settings.width)


@contextlib.contextmanager
def _precision(name):
  # Keras knows only a process-wide policy; layers keep the one that they were made under.
  before = keras.mixed_precision.global_policy()
  keras.mixed_precision.set_global_policy('float32' if name == 'none' else f'mixed_{name}')
  try:
    yield
  finally:
    keras.mixed_precision.set_global_policy(before)


@contextlib.contextmanager
def _locked(folder, say):
  """Makes a run's folder and keeps other processes out of it; they wait, and then find the work done."""
  try:
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / '.lock', 'w')
  except OSError as error:
    raise UsageError(f'--output_dir={folder.parent}: cannot be written to: {error.strerror}') from error
  with lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      say(f'{folder}: another process is at work here; waiting for it')
      fcntl.flock(lock, fcntl.LOCK_EX)
    yield


class _Stopwatch:
  """Seconds spent in a `with` block."""

  def __enter__(self):
    self._start = time.monotonic()
    return self

  def __exit__(self, *_):
    self.seconds = round(time.monotonic() - self._start, 3)


def _keep(path, value):
  if not path.exists():
    records.write_json(path, value)
  return records.read_json(path)


def _environment():
  return {
      'python': platform.python_version(),
      'platform': platform.platform(),
      'packages': {name: metadata.version(name) for name in _PACKAGES},
      'devices': [device.name for device in tf.config.list_logical_devices()],
      'onednn': os.environ.get('TF_ENABLE_ONEDNN_OPTS'),
      'commit': _commit(),
  }


def _commit():
  # The package's own commit, where it is run from a checkout.
  here = pathlib.Path(__file__).resolve().parent
  try:
    found = subprocess.run(['git', '-C', here, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return found.stdout.strip()
