"""A ticket as a folder of files that an engineer can ship, each proven on the test set."""

import dataclasses
import pathlib
import shutil

import tensorflow as tf

from tickets_tf.training import checkpoints
from tickets_tf import data
from tickets_tf import environment
from tickets_tf import files
from tickets_tf import models
from tickets_tf.runs import records
from tickets_tf import seeds
from tickets_tf.runs import settings as settings_lib
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import load_mask
from tickets_tf.export import card
from tickets_tf.export import compact
from tickets_tf.export import fold
from tickets_tf.export import lite
from tickets_tf.export import saved_model
from tickets_tf.export import size
from tickets_tf.export import tflite
from tickets_tf.export import verify

REPORT = 'export.json'
SAVED_MODEL = 'saved_model'
_CALIBRATION_IMAGES = 200
_ROUNDING = 1e-9  # of a difference of accuracies that is the tolerance exactly


@dataclasses.dataclass(frozen=True)
class Options:
  """How a ticket is exported.

  Attributes:
    tflite: `'best'`: keep the smallest file within the tolerance, and the dense fallback; `'all'`; or `'none'`.
    tolerance: points of test accuracy that the best file may lose against the SavedModel.
    variants: names in `tflite.VARIANTS` to try, beside the dense fallback; empty: all.
    rounds: pairs of measurements of latency.
    compact: remove the channels that the mask leaves without weights.
    data_dir: replaces that of the ticket's settings, where the data set has moved; empty keeps it.
  """
  tflite: str = 'best'
  tolerance: float = 0.5
  variants: tuple = ()
  rounds: int = 11
  compact: bool = False
  data_dir: str = ''

  def __post_init__(self):
    unknown = [name for name in self.variants if name not in tflite.VARIANTS]
    if unknown:
      raise UsageError(f'--variants={",".join(self.variants)}: {unknown[0]!r} is unknown; known: '
                       f'{", ".join(tflite.VARIANTS)}')


def export_run(folder, output=None, options=Options(), say=print):
  """Exports the ticket that a run trained, and adds what came of it to the run's record.

  Args:
    folder: the folder of a finished run.
    output: the folder to write, whole or not at all; an earlier export there is replaced. None: `export` in the run's.
    options: `Options`.
    say: takes lines for the user.

  Returns:
    What is in `export.json`, a dictionary.

  Raises:
    UsageError: where the run has not finished, or `output` holds other things.
    TicketsError: where something cannot be built, written or run.
  """
  folder = pathlib.Path(folder)
  record = records.read(folder)
  output = _free(output or folder / 'export')
  dataset = _dataset(record['settings'], options)
  network, compaction = _network(folder, record, dataset, options)
  extra = {'mask': record['mask'], 'layers': _layers(network), 'compaction': compaction,
           'settings': record['settings'],
           'record': {key: value for key, value in record.items() if key not in ('settings', 'export')}}

  def write_saved_model(path):
    saved_model.export_saved_model(network, dataset, path, extra)

  report = _bundle(write_saved_model, dataset, output, options, say)
  records.write(folder, {**record, 'export': {'folder': str(output), **report}})
  return report


def export_saved_model(folder, output=None, options=Options(), say=print):
  """Exports a ticket that is a SavedModel already; arguments and errors as `export_run`, but for:

  Args:
    folder: the SavedModel, as `export_run` or a run left it.
    output: None: `export` beside the SavedModel.
  """
  folder = pathlib.Path(folder)
  if not saved_model.is_ticket(folder):
    raise UsageError(f'--saved_model={folder}: not the SavedModel of a ticket')
  if options.compact:
    raise UsageError('--compact: works on the network of a --run, not on a --saved_model')
  output = _free(output or folder.absolute().parent / 'export')
  if output in folder.absolute().parents:
    raise UsageError(f'--output={output}: holds the SavedModel that is to be exported')
  ticket = saved_model.LoadedTicket(folder)
  if 'float_images' not in ticket.signatures:
    raise UsageError(f'--saved_model={folder}: an earlier version wrote it, without what a TFLite file needs; '
                     'use --run')
  dataset = _dataset(ticket.description['settings'], options)
  return _bundle(lambda path: shutil.copytree(folder, path), dataset, output, options, say)


def _free(output):
  output = pathlib.Path(output).absolute()
  if output.exists() and not (output / REPORT).is_file() and not (output.is_dir() and not any(output.iterdir())):
    raise UsageError(f'--output={output}: is there and holds no {REPORT}; give a folder that is new, empty or an '
                     'earlier export')
  return output


def _dataset(used, options):
  used = settings_lib.from_dict(used)
  return data.load_dataset(used.dataset, options.data_dir or used.data_dir or None, used.image_size,
                           used.train_examples, used.validation_split)


def _network(folder, record, dataset, options):
  """Returns (the trained network of a run with batch norm folded, report of its compaction or None)."""
  used = settings_lib.from_dict(record['settings'])
  network = models.build_model(used.model, dataset.image_shape, dataset.num_classes, width=used.width)
  checkpoints.load_weights(network, folder / 'final.weights.h5')
  if not options.compact:
    return fold.fold_batch_norm(network), None
  smaller = compact.compact(network, load_mask(folder / 'mask.npz'))
  return fold.fold_batch_norm(smaller), compact.compaction(network, smaller)


def _layers(network):
  return [{'name': kernel.name, 'shape': list(kernel.shape), 'kept': int((kernel.variable.numpy() != 0).sum())}
          for kernel in models.prunable_kernels(network)]


def _bundle(write_saved_model, dataset, output, options, say):
  with files.replacing(output) as temporary:
    temporary.mkdir(parents=True)
    write_saved_model(temporary / SAVED_MODEL)
    ticket = saved_model.LoadedTicket(temporary / SAVED_MODEL)
    if tuple(ticket.class_names) != tuple(dataset.class_names) or ticket.image_shape != dataset.image_shape:
      raise UsageError(f'data set {dataset.name!r} has other classes or images than the ticket was trained on')
    verifier = verify.Verifier(ticket, dataset.test, options.rounds)
    _check_accuracy(verifier.accuracy, ticket.description, options.tolerance)
    rows = _tflite_files(ticket, dataset, verifier, temporary, options, say)
    report = {
        'saved_model': {'bytes': _folder_bytes(temporary / SAVED_MODEL), 'accuracy': verifier.accuracy},
        'tflite': rows,
        'best': _keep_best(rows, verifier.accuracy, temporary, options),
        'tolerance': options.tolerance,
        'test_examples': len(dataset.test),
        'limit_bytes': _limit(ticket.description),
        'environment': environment.describe([device.name for device in tf.config.list_logical_devices()]),
    }
    files.write_text(temporary / lite.LABELS, '\n'.join(ticket.class_names) + '\n')
    files.write_text(temporary / 'README.md', card.model_card(ticket.description, report))
    records.write_json(temporary / REPORT, report)
  return report


def _check_accuracy(accuracy, description, tolerance):
  recorded = description.get('record', {}).get('final_accuracy', accuracy)
  if abs(accuracy - recorded) > tolerance / 100:
    raise TicketsError(f'the SavedModel has test accuracy {accuracy:.2%}, the record says {recorded:.2%}: the data set '
                       'or the weights have changed since')


def _tflite_files(ticket, dataset, verifier, folder, options, say):
  """Writes the TFLite files and returns what `Verifier.verify` finds about each; the fallback is the first."""
  if options.tflite == 'none':
    return []
  calibration = _calibration_images(dataset.train, ticket.description['settings']['seed'])
  rows, dense = [], None
  for variant in tflite.VARIANTS.values():
    if options.variants and variant.name not in (tflite.FALLBACK, *options.variants):
      continue
    say(f'{variant.name}: converting it, and running it on {len(dataset.test):,} test images')
    content = tflite.convert(ticket, variant, calibration)
    dense = dense or content
    rows.append({'file': f'{variant.name}.tflite', **verifier.verify(content, dense)})
    (folder / rows[-1]['file']).write_bytes(content)
  return rows


def _calibration_images(examples, seed):
  count = min(_CALIBRATION_IMAGES, len(examples))
  return examples.take(seeds.generator(seed, 'calibration').choice(len(examples), count, replace=False)).images


def _keep_best(rows, accuracy, folder, options):
  """Deletes the files that are not asked for, and returns the smallest within the tolerance, None without any."""
  if not rows:
    return None
  good = [row for row in rows if accuracy - row['accuracy'] <= options.tolerance / 100 + _ROUNDING]
  if not good:
    raise TicketsError(f'no TFLite file is within --tolerance={options.tolerance:g} points of the SavedModel, '
                       f'{accuracy:.2%}: ' + ', '.join(f'{row["file"]} {row["accuracy"]:.2%}' for row in rows))
  best = min(good, key=lambda row: row['bytes'])['file']
  for row in rows:
    row['kept'] = options.tflite == 'all' or row['file'] in (best, f'{tflite.FALLBACK}.tflite')
    if not row['kept']:
      (folder / row['file']).unlink()
  return best


def _limit(description):
  layers = description.get('layers')
  return layers and size.information_limit([layer['shape'] for layer in layers], [layer['kept'] for layer in layers])


def _folder_bytes(folder):
  return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())
