"""One run, from settings to record, after the runs that it needs."""

from collections.abc import Callable
import dataclasses
import functools

from absl import logging
import tensorflow as tf

from tickets_tf import data
from tickets_tf import training
from tickets_tf.data import Dataset
from tickets_tf.errors import TicketsError
from tickets_tf.experiment import following
from tickets_tf.experiment import locking
from tickets_tf.experiment import moving
from tickets_tf.experiment import networks
from tickets_tf.experiment import patience
from tickets_tf.experiment import ticket_stage
from tickets_tf.experiment.stages import Stages
from tickets_tf.experiment.stages import Stopwatch
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

# The data sets of the last runs stay in memory: a run and its pre-training have the same, and so have many runs.
_load_dataset = functools.lru_cache(maxsize=2)(data.load_dataset)


def train(settings: Settings, say: Callable[[str], None] = print) -> Record:
  """Finds a ticket, trains it and leaves a folder with all that it was and is.

  Killed at any moment, the same call resumes and ends with the same bits; if the work is done already it is read back.
  Runs that this one needs, such as the training of the dense network that a score sees, come first and get folders of
  their own, to be shared. `tickets_tf.runs.folder` says what is in a folder.

  Args:
    settings: the run's settings.
    say: takes lines for the user.

  Returns:
    The run's record.

  Raises:
    UsageError: for settings or data that cannot be used; nothing is left behind then.
    TicketsError: if the work cannot be done.
  """
  run = Run(settings)
  if run.folder.is_done():
    say(f'{run.folder}: already done')
  try:
    with following.as_this_worker(run) as own:
      _do(own, RunFolder.is_done, Stages.finish, say)
      return dataclasses.replace(records.read(own.folder.path), settings=run.settings)
  except (tf.errors.UnavailableError, tf.errors.AbortedError) as error:
    if run.settings.strategy != 'multi_worker':
      raise
    raise TicketsError('another worker has ended or cannot be reached; start all workers again to resume '
                       f'({str(error).splitlines()[0]})') from error


def with_weights(run: Run, say: Callable[[str], None] = print) -> None:
  """Does a run as `train` does, again if it is done and its weights are missing; errors as `train`."""
  _do(run, RunFolder.is_trained, Stages.finish, say)


def find(run: Run, say: Callable[[str], None] = print) -> None:
  """Finds a ticket as `train` does, and leaves it untrained in the run's folder, where `train` resumes from it.

  Args:
    run: the run.
    say: takes lines for the user.

  Raises:
    UsageError: as `train`.
    TicketsError: as `train`.
  """
  _do(run, RunFolder.has_ticket, Stages.ticket, say)


def _do(run: Run, is_done: Callable[[RunFolder], bool], stage: Callable[[Stages], object],
        say: Callable[[str], None]) -> None:
  """Does a run up to a stage, after the runs before it; from its last checkpoint again if its folder was away."""
  # A worker cannot begin again by itself: the others wait for it in the middle of a step.
  tries = 1 if run.settings.strategy == 'multi_worker' else patience.TRIES
  patience.resuming(lambda: _try(run, is_done, stage, say), run.folder.path, tries)


def _try(run: Run, is_done: Callable[[RunFolder], bool], stage: Callable[[Stages], object],
         say: Callable[[str], None]) -> None:
  if is_done(run.folder):
    return
  settings = run.settings
  training.use_threads(settings.threads)
  strategy = training.make_strategy(settings.strategy, settings.replicas)
  if settings.deterministic:
    tf.config.experimental.enable_op_determinism()
  with Stopwatch() as data_time:
    dataset = _load_dataset(settings.dataset, settings.data_dir or None, settings.image_size, settings.train_examples,
                            settings.validation_split, settings.images_in, settings.image_memory)
  # Before any folder is made: what cannot be built or cut into shares leaves nothing behind.
  seen, _ = ticket_stage.changed_data(settings.trained_on, dataset, settings.seed)
  pipeline = networks.pipeline(run, seen, strategy)
  model = networks.again(run, dataset, strategy)
  moving.timing_of(run, pipeline)
  if settings.jit:
    training.check_jit(model, settings.deterministic)
  if not run.folder.has_ticket():
    _do_before(run, say)
  with locking.locked(run.folder, lambda: is_done(run.folder), say) as has_work:
    if has_work:
      narrowed, width = networks.narrowed(run, dataset), networks.network_width(run, dataset)
      say(f'{model.name} of width {width or "its own"} on {dataset.name}: {len(dataset.train):,} training '
          f'images, {settings.epochs} epochs, on {training.describe_devices(strategy)}\n{run.folder}')
      _tell_data(dataset, say)
      if narrowed:
        say(narrowed.told())
      model = networks.again(run, dataset, strategy)  # The runs before may have used it.
      stage(Stages(run, strategy, dataset, pipeline, model, data_time.seconds, say))


def _tell_data(dataset: Dataset, say: Callable[[str], None]) -> None:
  """Says what became of the images, and warns of classes that have too few to judge by."""
  for line in dataset.notes:
    say(line)
  few = data.small_classes(dataset)
  if few:
    logging.warning('classes with under %d test images, whose accuracy says little: %s', data.FEW, few)


def _do_before(run: Run, say: Callable[[str], None]) -> None:
  for other in run.before():
    if run.needs_ticket_of(other):
      find(other, say)
    else:
      _do(other, RunFolder.is_trained, Stages.finish, say)
