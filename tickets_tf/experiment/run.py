"""One experiment, from settings to record, in stages that each return at once where their work is done."""

import contextlib
import dataclasses
import fcntl
import functools
import pathlib
import shutil
import time

from absl import logging
import tensorflow as tf
import tf_keras as keras

from tickets_tf.training import checkpoints
from tickets_tf import data
from tickets_tf import environment
from tickets_tf.training import evaluation
from tickets_tf import export
from tickets_tf.experiment import finding
from tickets_tf.runs import lineage
from tickets_tf import models
from tickets_tf.pruning import patterns
from tickets_tf.runs import records
from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf import training
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

_EVALUATION_BATCH = 500
# The data sets of the last runs stay in memory: a run and its pre-training have the same, and so have many runs.
_load_dataset = functools.lru_cache(maxsize=2)(data.load_dataset)


def train(settings, say=print):
  """Finds a ticket, trains it and leaves a folder with all that it was and is.

  The folder holds `settings.json`, `environment.json`, `start.weights.h5`, `proof.json`, `mask.npz`, `metrics.jsonl`,
  `final.weights.h5`, `ticket/` (a SavedModel) and, last of all, `record.json`. Killed at any moment, the same call goes
  on and ends with the same bits; where the work is done already it is read back. Runs that this one needs, such as the
  training of the dense network that a score sees, come first and get folders of their own, to be shared.

  Args:
    settings: the run's `Settings`.
    say: takes lines for the user.

  Returns:
    The run's record, a dictionary.

  Raises:
    UsageError: for settings or data that cannot be used; nothing is left behind then.
    TicketsError: where the work cannot be done.
  """
  settings = lineage.canonical(settings)
  folder = settings.folder()
  if (folder / records.NAME).exists():
    say(f'{folder}: already done')
  _do(settings, [records.NAME], _Run.finish, say)
  return records.read(folder)


def find(settings, say=print):
  """Finds a ticket as `train` does, and leaves it untrained in the run's folder, where `train` goes on from it.

  Args:
    settings: the run's `Settings`.
    say: takes lines for the user.

  Raises:
    As `train`.
  """
  _do(lineage.canonical(settings), finding.TICKET, _Run.ticket, say)


def _do(settings, results, stage, say):
  """Does a run up to the stage that leaves the files `results`, after the runs that it needs."""
  folder = settings.folder()

  def is_done():
    return all((folder / name).exists() for name in results)

  if is_done():
    return
  training.use_threads(settings.threads)
  strategy = training.make_strategy(settings.strategy, settings.replicas)
  if settings.deterministic:
    tf.config.experimental.enable_op_determinism()
  with _Stopwatch() as data_time:
    dataset = _load_dataset(settings.dataset, settings.data_dir or None, settings.image_size, settings.train_examples,
                            settings.validation_split)
  # Before any folder is made: what cannot be built or cut into shares leaves nothing behind.
  pipeline = _pipeline(settings, finding.changed_data(settings.trained_on, dataset, settings.seed)[0])
  _check_shares(settings, pipeline, strategy)
  model = _network(settings, dataset, strategy, 'initialisation')
  if settings.jit:
    training.check_jit(model, settings.deterministic)
  if not finding.is_found(folder):
    for other in lineage.needed(settings):
      # Records from another machine come without weights, which are made again where something goes on from them.
      _do(other, [finding.MASK, finding.FINAL, records.NAME], _Run.finish, say)
    if settings.check and not lineage.data_check(settings):
      find(lineage.original(settings), say)
  with _locked(folder, is_done, say) as locked:
    if locked:
      say(f'{model.name} of width {settings.width or "its own"} on {dataset.name}: {len(dataset.train):,} training '
          f'images, {settings.epochs} epochs, on {training.describe(strategy)}\n{folder}')
      stage(_Run(settings, folder, strategy, dataset, pipeline, model, data_time.seconds, say))


@dataclasses.dataclass
class _Run:
  """What the stages of one run share."""
  settings: object
  folder: pathlib.Path
  strategy: object
  dataset: object
  pipeline: object
  model: object
  data_seconds: float
  say: object

  def ticket(self):
    """Finds the ticket, or reads back what was found before, and puts its weights into the model."""
    _keep(self.folder / 'settings.json', dataclasses.asdict(self.settings))
    mask = finding.load_ticket(self.folder, self.model)
    if mask is not None:
      return mask
    return finding.find_ticket(self.settings, self.folder, self.dataset, self.model, self._fresh,
                               self.say)

  def finish(self):
    """Does the stages that are left, in order; the record is the last."""
    found_on = _keep(self.folder / 'environment.json', environment.describe())
    with _Stopwatch() as find_time:
      mask = self.ticket()
      collapse = models.collapse(self.model, mask)
    _report_collapse(collapse, self.settings.on_collapse, self.say)
    judged = self.dataset.test if self.dataset.validation is None else self.dataset.validation
    epochs = training.train(self.model, mask, self.pipeline, judged, self.settings, self.folder, self.strategy)
    with _Stopwatch() as export_time:
      checkpoints.save_weights(self.model, self.folder / finding.FINAL)
      final = evaluation.accuracy(self._classify(), self.dataset.test, _EVALUATION_BATCH)
      if self.settings.export:
        export.export_saved_model(self.model, self.dataset, self.folder / 'ticket',
                                  {'mask': mask.digest(), 'settings': dataclasses.asdict(self.settings)})
    seconds = {'data': self.data_seconds, 'find': find_time.seconds,
               'train': round(sum(epoch['seconds'] for epoch in epochs), 3), 'export': export_time.seconds}
    records.write(self.folder, {**self._description(mask), 'collapse': collapse, **_accuracies(final, epochs),
                                'best_on': 'test' if self.dataset.validation is None else 'validation',
                                'seconds': seconds, 'environment': found_on})
    shutil.rmtree(self.folder / 'checkpoints', ignore_errors=True)

  def _description(self, mask):
    settings, dataset, rule = self.settings, self.dataset, self.settings.rule()
    return {
        'settings': dataclasses.asdict(settings),
        'digest': settings.digest(),
        'seed': settings.seed,
        'rule': {name: getattr(rule, name) for name in ('score', 'allocation', 'scored_at', 'rewound_to', 'rounds')},
        'needed': [other.run_name() for other in lineage.needed(settings)],
        'proof': records.read_json(self.folder / finding.PROOF),
        'network': self.model.name,
        'dataset': {'name': dataset.name, 'train': len(dataset.train), 'test': len(dataset.test),
                    'validation': len(dataset.validation or ()), 'classes': dataset.num_classes,
                    'image_shape': list(dataset.image_shape)},
        'mask': mask.digest(),
        'pattern': {'name': settings.pattern,
                    'broken_by': patterns.broken_by(registry.PATTERNS.get(settings.pattern), mask)},
        'layers': _layers(models.prunable_kernels(self.model), mask),
    }

  def _fresh(self):
    return _network(self.settings, self.dataset, self.strategy, 'reinitialisation')

  def _classify(self):
    # Eagerly: some calls are over before a graph of them would be built.
    return lambda images: self.model(data.normalise(images, self.dataset.mean, self.dataset.std), training=False)


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


def _layers(kernels, mask):
  dense_macs = models.multiply_accumulates(kernels, [kernel.size for kernel in kernels])
  sparse_macs = models.multiply_accumulates(kernels, mask.counts)
  return [{'name': kernel.name, 'shape': list(kernel.shape), 'weights': kernel.size, 'kept': kept,
           'dense_macs': dense, 'sparse_macs': pruned}
          for kernel, kept, dense, pruned in zip(kernels, mask.counts, dense_macs, sparse_macs)]


def _accuracies(final, epochs):
  best = max(epochs, key=lambda epoch: epoch['evaluation_accuracy'])
  return {'final_accuracy': final, 'best_accuracy': best['evaluation_accuracy'], 'best_epoch': best['epoch']}


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


def _pipeline(settings, dataset):
  augmentation = dataset.augmentation if settings.augmentation == 'auto' else settings.augmentation
  return data.Pipeline(dataset.train, settings.batch_size, settings.seed, augmentation, dataset.crop_padding,
                       dataset.mean, dataset.std)


def _check_shares(settings, pipeline, strategy):
  if pipeline.batch_size % strategy.num_replicas_in_sync:
    raise UsageError(f'--batch_size={settings.batch_size}: batches of {pipeline.batch_size} images cannot be shared '
                     f'equally by {strategy.num_replicas_in_sync} replicas')


def _network(settings, dataset, strategy, purpose):
  keras.utils.set_random_seed(seeds.integer(settings.seed, purpose))
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
def _locked(folder, is_done, say):
  """Makes a run's folder and keeps other processes out of it, or waits until another has done the work.

  Yields:
    True where the folder is ours, False where the work is done.
  """
  try:
    folder.mkdir(parents=True, exist_ok=True)
    lock = open(folder / '.lock', 'w')
  except OSError as error:
    raise UsageError(f'--output_dir={folder.parent}: cannot be written to: {error.strerror}') from error
  with lock:
    waiting = False
    while not _try_lock(lock):
      if not waiting:
        say(f'{folder}: another process is at work here; waiting for it')
      waiting = True
      if is_done():
        break
      time.sleep(0.2)
    yield not is_done()


def _try_lock(file):
  try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
  except BlockingIOError:
    return False
  return True


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
