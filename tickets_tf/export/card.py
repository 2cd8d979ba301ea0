"""What an export is, for people: the table of its files and the model card."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd

from tickets_tf.export import choice
from tickets_tf.export.export_report import ExportedFile, ExportReport, Latency, SparseLayers

_TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader('tickets_tf.export'), undefined=jinja2.StrictUndefined,
                                trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def table(report: ExportReport) -> str:
  """Returns as text what an export wrote and measured: a line for each file, and a line of the best."""
  if not report.onnx:
    return _tflite_table(report)
  return f'{_tflite_table(report)}\n\n{pd.DataFrame(_onnx_rows(report)).to_string(index=False)}'


def _tflite_table(report: ExportReport) -> str:
  last = f'SavedModel: {report.saved_model.bytes:,} bytes, test accuracy {report.saved_model.accuracy:.2%}'
  failed = [f'{each.file}: {each.reason}' for each in report.failed]
  if not report.tflite:
    return '\n'.join([*failed, last])
  chosen = f'{report.chosen_examples:,} {report.chosen_on} images'
  lines = [pd.DataFrame(_rows(report)).to_string(index=False), *failed,
           f'points lost: against the SavedModel on the same {chosen}, interval of 95%; a file is within '
           f'--tolerance={report.tolerance:g} unless more is shown to be lost',
           'computed sparse: the other sparse layers, convolutions among them, are made dense first, so that only the '
           'file is smaller',
           f'{last}; {choice.words(report.best_by)} TFLite file within {report.tolerance:g} points of it: '
           f'{report.best}']
  return '\n'.join(lines)


def model_card(description: Mapping[str, Any], report: ExportReport) -> str:
  """Returns the model card, Markdown.

  Args:
    description: that of the ticket's `Classifier`.
    report: what the export wrote beside the card.
  """
  layers = description.get('layers', ())
  height, width, channels = description['image_shape']
  return _TEMPLATES.get_template('model_card.md').render(
      ticket={'mask': None, 'compaction': None, 'settled': False, **description}, settings=description['settings'],
      record=description.get('record'), report=report, rows=_rows(report), kept=sum(layer['kept'] for layer in layers),
      weights=sum(math.prod(layer['shape']) for layer in layers), height=height, width=width, channels=channels,
      file=report.best, onnx=_onnx_rows(report), integer='int8' in (report.best or ''))


def _rows(report: ExportReport) -> list[dict[str, str]]:
  """Returns for every file its texts by column."""
  rows = []
  for row in report.tflite:
    rows.append({
        'file': row.file,
        'bytes': f'{row.bytes:,}',
        'gzipped': f'{row.gzip_bytes:,}',
        'of the limit': _of_limit(row, report.limit_bytes),
        'accuracy': f'{row.accuracy:.2%}',
        'points lost': f'{row.loss[0]:.1f} to {row.loss[1]:.1f}' if row.loss else '-',
        'logits off by': f'{row.largest_logit_difference:.1e}',
        'computed sparse': _computed_sparse(row.sparse_layers),
        **_latency(row.latency),
        'on the front': 'yes' if row.file in report.front else '-',
        'kept': 'best' if row.file == report.best else 'yes' if row.kept else 'no'})
  return rows


def _onnx_rows(report: ExportReport) -> list[dict[str, str]]:
  """Returns for every ONNX file its texts by column."""
  return [{
      'file': row.file,
      'bytes': f'{row.bytes:,}',
      'gzipped': f'{row.gzip_bytes:,}',
      'accuracy': f'{row.accuracy:.2%}',
      'same class': f'{row.same_class:.2%}',
      'logits off by': f'{row.largest_logit_difference:.1e}',
      'weights not zero': f'{row.kept_weights:,}',
      **_latency(row.latency),
      'kept': 'yes' if row.kept else 'no'} for row in report.onnx]


def _latency(measured: Sequence[Latency]) -> dict[str, str]:
  return {f'{each.threads} thread{"s" * (each.threads > 1)}':
          f'{each.milliseconds:.2f} ms' + ('' if each.over_dense is None else f', {each.over_dense:.2f} x')
          for each in measured}


def _computed_sparse(layers: SparseLayers) -> str:
  return f'{layers.as_they_are} of {layers.stored} layers' if layers.stored else '-'


def _of_limit(row: ExportedFile, limit: float | None) -> str:
  # The limit is that of float32 weights.
  if 'float32' not in row.file or not limit:
    return '-'
  return f'{row.bytes / limit:.2f}, gzipped {row.gzip_bytes / limit:.2f}'
