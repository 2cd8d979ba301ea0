"""The standard metadata of a TFLite file, by which tools that know nothing of tickets read it.

It is a flatbuffer of its own inside the file, with TensorFlow's `metadata_schema.fbs` (version 1.5.0 of the schema).
The packages that have generated code for it, mediapipe and tflite-support, bring OpenCV and sound along, and
tflite-support asks for an older protobuf than TensorFlow does. So the few tables are written here, by the numbers of
their fields.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tickets_tf.export.classifier import LABELS

_NAME = b'TFLITE_METADATA'
_IDENTIFIER = b'M001'
_PARSER = '1.0.0'  # the first version of the schema knows all that is written here
# Numbers in the schema's enumerations.
_FEATURES, _IMAGE = 1, 2  # ContentProperties
_NORMALIZATION = 1  # ProcessUnitOptions
_COLORS = {3: 1, 1: 2}  # ColorSpaceType by channels: RGB, GRAYSCALE
_AXIS_LABELS = 2  # AssociatedFileType: a name for each value of the output


@dataclasses.dataclass(frozen=True)
class _Table:
  """A table of a flatbuffer.

  Attributes:
    fields: by number. A whole number is an enumeration of one byte; a list is of tables or of floating-point numbers.
  """
  fields: Mapping[int, 'int | str | _Table | list[Any]']


def add(model: schema.ModelT, description: Mapping[str, Any]) -> None:
  """Adds metadata: what the image and the probabilities are, and which file of the zip at the end names the classes.

  The normalisation that it asks for is none, mean 0 and std 1, because the file has the ticket's inside: a tool that
  normalised as well would do it twice.

  Args:
    model: is changed in place.
    description: that of a `Classifier`.
  """
  buffer = schema.BufferT()
  buffer.data = np.frombuffer(_packed(_metadata(description)), np.uint8)
  model.buffers.append(buffer)
  entry = schema.MetadataT()
  entry.name, entry.buffer = _NAME, len(model.buffers) - 1
  model.metadata = [*(model.metadata or ()), entry]


def _metadata(description: Mapping[str, Any]) -> _Table:
  channels = description['image_shape'][-1]
  content = _Table({0: _IMAGE, 1: _Table({0: _COLORS[channels]})} if channels in _COLORS else
                   {0: _FEATURES, 1: _Table({})})
  no_normalisation = _Table({0: _NORMALIZATION, 1: _Table({0: [0.0], 1: [1.0]})})
  image = _Table({0: 'image', 1: 'pixels from 0 to 255; the model normalises them itself', 3: content,
                  4: [no_normalisation], 5: _Table({0: [255.0], 1: [0.0]})})
  labels = _Table({0: LABELS, 2: _AXIS_LABELS})
  probabilities = _Table({0: 'probability', 1: 'of every class', 3: _Table({0: _FEATURES, 1: _Table({})}),
                          5: _Table({0: [1.0], 1: [0.0]}), 6: [labels]})
  return _Table({0: 'ticket', 1: 'image classifier', 3: [_Table({2: [image], 3: [probabilities]})], 7: _PARSER})


def _packed(table: _Table) -> bytes:
  builder = flatbuffers.Builder(1024)
  builder.Finish(_write(builder, table), file_identifier=_IDENTIFIER)
  return bytes(builder.Output())


def _write(builder: flatbuffers.Builder, value: 'str | _Table | list[Any]') -> int:
  """Writes a value, after those inside it, and returns where it is."""
  where: int
  if isinstance(value, str):
    where = builder.CreateString(value)
  elif isinstance(value, _Table):
    inside = {number: _write(builder, each) for number, each in value.fields.items() if not isinstance(each, int)}
    builder.StartObject(max(value.fields, default=-1) + 1)
    for number, each in value.fields.items():
      if isinstance(each, int):
        builder.PrependUint8Slot(number, each, 0)
      else:
        builder.PrependUOffsetTRelativeSlot(number, inside[number], 0)
    where = builder.EndObject()
  elif isinstance(value[0], _Table):
    tables = [_write(builder, each) for each in value]
    builder.StartVector(4, len(tables), 4)
    for each in reversed(tables):
      builder.PrependUOffsetTRelative(each)
    where = builder.EndVector()
  else:
    where = builder.CreateNumpyVector(np.asarray(value, np.float32))
  return where
