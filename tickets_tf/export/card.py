"""What an export is, for people: the table of its files and the model card."""

import math

import jinja2
import pandas as pd

_TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader('tickets_tf.export'), undefined=jinja2.StrictUndefined,
                                trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def table(report):
  """Returns what an export wrote and what was measured of it, as text: a line for each TFLite file, and a last one.

  Args:
    report: what is in `export.json`.
  """
  last = f'SavedModel: {report["saved_model"]["bytes"]:,} bytes, test accuracy {report["saved_model"]["accuracy"]:.2%}'
  if not report['tflite']:
    return last
  return (f'{pd.DataFrame(_rows(report)).to_string(index=False)}\n'
          'computed sparse: the other sparse layers, convolutions among them, are made dense first and gain size '
          'alone\n'
          f'{last}; smallest TFLite file within {report["tolerance"]:g} points of it: {report["best"]}')


def model_card(description, report):
  """Returns the model card, Markdown.

  Args:
    description: the `description` of the ticket's `Classifier`.
    report: what is in `export.json`, but for the card.
  """
  layers = description.get('layers', ())
  height, width, channels = description['image_shape']
  return _TEMPLATES.get_template('model_card.md').render(
      ticket={'mask': None, 'compaction': None, **description}, settings=description['settings'],
      record=description.get('record'), report=report, rows=_rows(report), kept=sum(layer['kept'] for layer in layers),
      weights=sum(math.prod(layer['shape']) for layer in layers), height=height, width=width, channels=channels,
      file=report['best'], integer='int8' in (report['best'] or ''))


def _rows(report):
  """Returns a dictionary of column -> text for every file."""
  rows = []
  for row in report['tflite']:
    latency = {f'{each["threads"]} thread{"s" * (each["threads"] > 1)}':
               f'{each["milliseconds"]:.2f} ms, {each["over_dense"]:.2f} x' for each in row['latency']}
    rows.append({
        'file': row['file'],
        'bytes': f'{row["bytes"]:,}',
        'gzipped': f'{row["gzip_bytes"]:,}',
        'of the limit': _of_limit(row, report),
        'accuracy': f'{row["accuracy"]:.2%}',
        'logits off by': f'{row["largest_logit_difference"]:.1e}',
        'computed sparse': _computed_sparse(row['sparse_layers']),
        **latency,
        'kept': 'best' if row['file'] == report['best'] else 'yes' if row['kept'] else 'no'})
  return rows


def _computed_sparse(layers):
  stored = sum(layers.values())
  return f'{layers["as_they_are"]} of {stored} layers' if stored else '-'


def _of_limit(row, report):
  # The limit is that of float32 weights.
  if 'float32' not in row['file'] or not report['limit_bytes']:
    return '-'
  return ', gzipped '.join(f'{row[key] / report["limit_bytes"]:.2f}' for key in ('bytes', 'gzip_bytes'))
