import json

import pytest

from tickets_tf import exchange
from tickets_tf.errors import UsageError
from tickets_tf.exchange import Told


def test_what_is_written_is_read(tmp_path):
  told = {'a': Told('x'), 'b': Told('y', True, (2, 3, 4)), 'c': Told('z', True), 'd': Told('', True, (1, 1, 5))}
  exchange.write_names(tmp_path / 'names.json', told)
  assert exchange.read_names(tmp_path / 'names.json') == told


def test_a_template_is_to_be_completed(tmp_path):
  exchange.write_template(tmp_path / 'names.json', ['a', 'b', 'c'], {'a': 'x', 'c': 'z'}, {'c'})
  found = json.loads((tmp_path / 'names.json').read_text())
  assert list(found) == ['a', 'b', 'c'] and (found['a'], found['b'], found['c']['module']) == ('x', None, 'z')
  with pytest.raises(UsageError, match=r'names.json: c: flattened=.*: expected \[height, width, channels\], or null'):
    exchange.read_names(tmp_path / 'names.json')
  (tmp_path / 'names.json').write_text(json.dumps(found | {'c': {'flattened': None}}))
  assert exchange.read_names(tmp_path / 'names.json') == {'a': Told('x'), 'c': Told('', True)}


@pytest.mark.parametrize('text, expected', [
    ('[1]', 'expected an object'), ('{', 'cannot be read as JSON'), ('{"a": 3}', 'a: expected a name, null'),
    ('{"a": {"mod": "x"}}', 'a: expected a name'), ('{"a": {"flattened": [2, 0, 1]}}', r'a: flattened=\[2, 0, 1\]')])
def test_bad_maps_are_one_line(text, expected, tmp_path):
  (tmp_path / 'names.json').write_text(text)
  with pytest.raises(UsageError, match=f'^--names=.*names.json: {expected}'):
    exchange.read_names(tmp_path / 'names.json')
