"""Prints the class of images.

    tickets-predict --model=PATH images...

PATH is a .tflite or .onnx file, a SavedModel or the folder of a run; images are files, folders and globs. An image that
cannot be read is named and skipped, and the exit code is then 1.
"""

import json
import sys

from absl import flags

from tickets_tf.cli import command
from tickets_tf.errors import TicketsError, UsageError

_NAMED = 8  # skipped files that are named before the rest is counted


def define_flags() -> None:
  """Defines the program's flags."""
  flags.DEFINE_string('model', '', 'a .tflite or .onnx file or a SavedModel of tickets-export, or the folder of a run')
  flags.DEFINE_integer('top', 1, 'classes to print of each image, the most probable first', lower_bound=1)
  flags.DEFINE_bool('json', False, 'print one JSON object per image')


def main(images: list[str]) -> bool:
  """Prints a line for each image; returns whether all could be read."""
  values = flags.FLAGS
  if not values.model:
    raise UsageError('--model is needed: a .tflite or .onnx file, a SavedModel or the folder of a run')
  with command.loading_tensorflow():
    from tickets_tf import export
    from tickets_tf.export import predict
  skipped: list[str] = []
  paths = predict.find_images(images, skipped.append)
  broken: list[TicketsError] = []
  for each in predict.classify_files(export.load_ticket(values.model), paths, values.top, broken.append):
    classes = ', '.join(f'{one["class"]} {one["probability"]:.2%}' for one in each['classes'])
    print(json.dumps(each) if values.json else f'{each["image"]}: {classes}')
  if skipped:
    print(f'{sys.argv[0]}: skipped {len(skipped)}, which are hidden or no images: {", ".join(skipped[:_NAMED])}'
          + (f' and {len(skipped) - _NAMED} more' if len(skipped) > _NAMED else ''), file=sys.stderr)
  for error in broken:
    print(f'{sys.argv[0]}: error: {error}', file=sys.stderr)
  return not broken


def run() -> None:
  """Runs the program: `tickets-predict` and `bin/predict`."""
  command.run(main, 'images', define=define_flags, text=__doc__)
