"""What an export is, for people: the table of its files and the model card."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd

from tickets_tf.export import choice
from tickets_tf.export.export_report import ExportedFile, ExportedOnnx, ExportReport, Latency, Quartiles, SparseLayers
from tickets_tf.export.size import Reference
from tickets_tf.judging import collapses

_TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader('tickets_tf.export'), undefined=jinja2.StrictUndefined,
                                trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
_BUSY = 0.5  # load per core
_CLASSES = 50  # that the card lists at most


def table(report: ExportReport) -> str:
  """Returns as text what an export wrote and measured: tables of the files, and a line of the best."""
  parts = [_tflite_tables(report)]
  if report.onnx:
    parts += [_text(_onnx_rows(report)), '\n'.join([_text(_costs(report.onnx)), *_how_timed(report, report.onnx)])]
  return '\n\n'.join(parts)


def _tflite_tables(report: ExportReport) -> str:
  last = f'SavedModel: {report.saved_model.bytes:,} bytes, test accuracy {report.saved_model.accuracy:.2%}'
  failed = [f'{each.file}: {each.reason}' for each in report.failed]
  if not report.tflite:
    return '\n'.join([*failed, last])
  chosen = f'{report.chosen_examples:,} {report.chosen_on} images'
  over = [f'reference: what there is to know, {_known(report.reference)}, in numbers of the file\'s kind; no limit, '
          'as trained values can be compressed'] if report.reference else []
  lines = [_text(_rows(report)), *failed, *over,
           f'points lost: against the SavedModel on the same {chosen}, interval of 95%; a file is within '
           f'--tolerance={report.tolerance:g} unless more is shown to be lost',
           '', _text(_costs(report.tflite)), *_how_timed(report, report.tflite),
           'computed sparse: the other sparse layers, convolutions among them, are made dense first, so that only the '
           'file is smaller', '',
           f'{last}; {choice.words(report.best_by)} TFLite file within {report.tolerance:g} points of it: '
           f'{report.best}']
  return '\n'.join(lines)


def _text(rows: Sequence[Mapping[str, str]]) -> str:
  return pd.DataFrame(rows).to_string(index=False)


def _known(reference: Reference) -> str:
  """Returns in words what there is to know of a network."""
  return (f'{reference.kept:,} kept weights, {reference.others:,} other parameters and the positions of the kept '
          f'weights ({reference.position_bits / max(1, reference.kept):.2f} bits each)')


def _how_timed(report: ExportReport, rows: Sequence[ExportedFile] | Sequence[ExportedOnnx]) -> list[str]:
  """Returns lines that say what the figures of time and memory are, and whether the machine was busy."""
  dense = baseline(rows)
  over = f'; over dense: over {dense.file}, timed in turn; in its own row all but 1 is noise' if dense else ''
  busy = busy_machine(report, rows)
  return [f'one image on {report.environment.get("processor")}, median (quartiles){over}',
          'start-up: load and first inference, one thread; memory: the most up to then beyond Python with the runtime',
          *([busy] if busy else [])]


def baseline(rows: Sequence[ExportedFile] | Sequence[ExportedOnnx]) -> ExportedFile | ExportedOnnx | None:
  """Returns the dense file that latencies are compared with, the first of a table; None if none was timed."""
  return rows[0] if rows and rows[0].latency and rows[0].latency[0].over_dense is not None else None


def busy_machine(report: ExportReport, rows: Sequence[ExportedFile] | Sequence[ExportedOnnx]) -> str | None:
  """Returns a line that latencies are not to be relied on, and why; None if nothing says so.

  A machine is busy if half of its cores or more had work before the export, or if the dense file took another time than
  itself: a quartile of that ratio, with one thread, is off by more than the difference that counts as faster.

  Args:
    report: the report.
    rows: its TFLite or its ONNX files.
  """
  before, after = report.load_per_core
  dense = baseline(rows)
  spreads = {each.threads: each.over_dense_quartiles for each in dense.latency} if dense else {}
  low, high = spreads.get(1) or (1.0, 1.0)
  if max(1 - low, high - 1) <= choice.NOISE and (before is None or before < _BUSY):
    return None
  ranges = [f'{each[0]:.2f} to {each[1]:.2f} times as long as itself with {threads} thread{"s" * (threads > 1)}'
            for threads, each in spreads.items() if each]
  why = []
  if before is not None and after is not None:
    why.append(f'load average per core {before:.2f} before, {after:.2f} after')
  if dense and ranges:
    why.append(f'{dense.file} took {", ".join(ranges)}, so that ratios in this range say nothing')
  return f'the machine was busy: {"; ".join(why)}'


def model_card(description: Mapping[str, Any], report: ExportReport) -> str:
  """Returns the model card, Markdown.

  Args:
    description: that of the ticket's `Classifier`.
    report: what the export wrote beside the card.
  """
  layers = description.get('layers', ())
  height, width, channels = description['image_shape']
  best = next((row for row in report.tflite if row.file == report.best), None)
  classes = _classes(description['class_names'], report)
  return _TEMPLATES.get_template('model_card.md').render(
      ticket={'mask': None, 'compaction': None, 'settled': False, **description}, settings=description['settings'],
      record=description.get('record'), report=report, rows=_rows(report), kept=sum(layer['kept'] for layer in layers),
      weights=sum(math.prod(layer['shape']) for layer in layers), height=height, width=width, channels=channels,
      file=report.best, onnx=_onnx_rows(report), integer=bool(best and best.integers), costs=_costs(report.tflite),
      dense=baseline(report.tflite), onnx_costs=_costs(report.onnx),
      busy=busy_machine(report, report.tflite or report.onnx),
      known=_known(report.reference) if report.reference else None, versions=_versions(report),
      guesses=100 * report.saved_model.accuracy <= collapses.guessing(len(description['class_names']),
                                                                      report.test_examples),
      classes=classes[:_CLASSES], more_classes=len(classes) - len(classes[:_CLASSES]))


def _versions(report: ExportReport) -> str:
  """Returns the versions of what made the files and of what ran them."""
  used = ['tickets_tf', 'tensorflow', *(['ai-edge-litert'] if report.tflite else []),
          *(['onnxruntime'] if report.onnx else [])]
  found = report.environment.get('packages', {})
  commit = report.environment.get('commit')
  return ', '.join(f'{name} {found.get(name) or "of unknown version"}' +
                   (f' (commit {commit[:12]})' if name == 'tickets_tf' and commit else '') for name in used)


def _rows(report: ExportReport) -> list[dict[str, str]]:
  """Returns for every file its texts by column."""
  return [{
      'file': row.file,
      **_sizes(row),
      'accuracy': f'{row.accuracy:.2%}',
      'points lost': f'{row.loss[0]:.1f} to {row.loss[1]:.1f}' if row.loss else '-',
      'logits off by': f'{row.largest_logit_difference:.1e}',
      'on the front': 'yes' if row.file in report.front else '-',
      'kept': 'best' if row.file == report.best else 'yes' if row.kept else 'no'} for row in report.tflite]


def _onnx_rows(report: ExportReport) -> list[dict[str, str]]:
  """Returns for every ONNX file its texts by column."""
  return [{
      'file': row.file,
      **_sizes(row),
      'accuracy': f'{row.accuracy:.2%}',
      'same class': f'{row.same_class:.2%}',
      'logits off by': f'{row.largest_logit_difference:.1e}',
      'weights not zero': f'{row.kept_weights:,}',
      'kept': 'yes' if row.kept else 'no'} for row in report.onnx]


def _sizes(row: ExportedFile | ExportedOnnx) -> dict[str, str]:
  known = row.reference_bytes
  return {'bytes': f'{row.bytes:,}', 'gzipped': f'{row.gzip_bytes:,}',
          'over the reference': f'{row.bytes / known:.2f}, gzipped {row.gzip_bytes / known:.2f}' if known else '-'}


def _costs(rows: Sequence[ExportedFile] | Sequence[ExportedOnnx]) -> list[dict[str, str]]:
  """Returns for every file by column what it costs in time and memory."""
  dense = baseline(rows)
  return [{
      'file': row.file + (' against itself' if row is dense else ''),
      **_latency(row.latency),
      'start-up': _spread(row.startup.milliseconds, row.startup.quartiles, ' ms') if row.startup else 'not measured',
      'memory': f'{row.startup.peak_bytes / 2**20:.1f} MiB' if row.startup and row.startup.peak_bytes else '-',
      **({'computed sparse': _computed_sparse(row.sparse_layers)} if isinstance(row, ExportedFile) else {})}
      for row in rows]


def _latency(measured: Sequence[Latency]) -> dict[str, str]:
  texts = {}
  for each in measured:
    name = f'{each.threads} thread{"s" * (each.threads > 1)}'
    texts[name] = _spread(each.milliseconds, each.milliseconds_quartiles, ' ms')
    if each.over_dense is not None:
      texts[f'{name}, over dense'] = _spread(each.over_dense, each.over_dense_quartiles)
  return texts


def _spread(middle: float, quartiles: Quartiles | None, unit: str = '') -> str:
  digits = max(2, 1 - math.floor(math.log10(middle))) if middle > 0 else 2  # two figures of what is small
  between = f' ({quartiles[0]:.{digits}f} to {quartiles[1]:.{digits}f})' if quartiles else ''
  return f'{middle:.{digits}f}{unit}{between}'


def _computed_sparse(layers: SparseLayers) -> str:
  return f'{layers.as_they_are} of {layers.stored} layers' if layers.stored else '-'


def _classes(names: Sequence[str], report: ExportReport) -> list[dict[str, str]]:
  """Returns by column how many images of every class are right, the least accurate class first."""
  best = next((row for row in report.tflite if row.file == report.best), None)
  if not report.class_examples:
    return []
  counts = [report.class_examples, report.saved_model.class_right, *([best.class_right] if best else [])]
  columns = ['SavedModel', *([best.file] if best else [])]
  rows = []
  for name, images, *right in zip(names, *counts, strict=True):
    low, high = collapses.rate(right[0], images)
    accuracies = [count / images if images else math.nan for count in right]
    texts = {column: f'{each:.2%}' if images else '-' for column, each in zip(columns, accuracies, strict=True)}
    rows.append((accuracies[0] if images else 2.0, {
        'class': name, 'test images': f'{images:,}', **texts, '95% interval': f'{low:.1%} to {high:.1%}'}))
  return [texts for _, texts in sorted(rows, key=lambda row: row[0])]  # without images last
