import pytest

from tickets_tf.runs import records
from tickets_tf.errors import UsageError


@pytest.mark.parametrize('text', ['{"format": 1', '[]', '{}', '{"format": 99}', ''])
def test_a_damaged_record_is_named(text, tmp_path):
  (tmp_path / records.NAME).write_text(text)
  with pytest.raises(UsageError, match='record.json: ') as caught:
    records.read(tmp_path)
  assert '{' in text and text.endswith('}') or 'without this file the run is made again' in str(caught.value)
