"""verdicts.json: what is written is read back, and a file that cannot be used says what is wrong."""

import dataclasses
import json
import math
import pathlib
import re

import pytest

from tests.report import sanity_verdicts
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.judging import verdicts

ROOT = pathlib.Path(__file__).parents[2]
STORED = sorted((ROOT / 'results').glob('*/verdicts.json'))


def stored(tmp_path, **changes):
  """Writes verdicts whose values at the top are changed; None leaves one out. Returns the path."""
  path = tmp_path / 'verdicts.json'
  verdicts.write(path, sanity_verdicts.verdicts(('snip',), (0.9,), ('invert', 'rearrange')))
  values = {**json.loads(path.read_text()), **changes}
  path.write_text(json.dumps({key: value for key, value in values.items() if value is not ...}))
  return path


def test_there_are_stored_verdicts():
  assert len(STORED) >= 4


@pytest.mark.parametrize('path', STORED, ids=lambda path: path.parent.name)
def test_stored_verdicts_are_read_and_written_back_as_they_are(path, tmp_path):
  verdicts.write(tmp_path / 'verdicts.json', verdicts.read(path))
  # They are older than the epochs of a comparison.
  written = re.sub(r',\n *"epochs": null(?=\n)', '', (tmp_path / 'verdicts.json').read_text())
  assert written == path.read_text()


@pytest.mark.parametrize('case', ['verdicts', 'minimal', 'undecided', 'failed'])
def test_what_is_written_is_read_back(case, tmp_path):
  made = getattr(sanity_verdicts, case)()
  verdicts.write(tmp_path / 'verdicts.json', made)
  assert verdicts.read(tmp_path / 'verdicts.json') == made


def test_the_file_has_the_format_first_and_every_judgement_its_interval_and_statements(tmp_path):
  made = sanity_verdicts.failed()
  verdicts.write(tmp_path / 'verdicts.json', made)
  values = json.loads((tmp_path / 'verdicts.json').read_text())
  assert list(values)[:3] == ['format', 'command', 'commit'] and values['format'] == 2
  for judgement, written in zip(made.judgements, values['judgements'], strict=True):
    assert (written['rule'], written['ratio'], written['check'], written['drop']) == (
        judgement.rule, judgement.ratio, judgement.check, judgement.drop)
    assert written['interval'] == {name: ends and list(ends) for name, ends in (
        ('rule_family', judgement.interval.rule_family), ('whole_call', judgement.interval.whole_call))}
    assert written['statements'] == list(judgement.statements) and written['statements']
  assert values['controls']['judgements'][0]['control'] == 'open'
  assert verdicts.read(tmp_path / 'verdicts.json') == made


def test_numbers_that_json_cannot_hold_are_none():
  sample = verdicts.Sample((93.0, math.nan, -math.inf), math.nan, 1.0)
  assert verdicts.finite(sample) == verdicts.Sample((93.0, None, None), None, 1.0)
  looks = verdicts.Looks('pocock', (3,), (math.inf,), 1)
  assert verdicts.finite(looks).levels == (None,)
  made = dataclasses.replace(sanity_verdicts.minimal(), environment={'a': [math.nan, {'b': math.inf}], 'c': 1})
  assert verdicts.finite(made).environment == {'a': [None, {'b': None}], 'c': 1}
  assert verdicts.finite(verdicts.finite(made)) == verdicts.finite(made)


@pytest.mark.parametrize('changes, message', [
    ({'margin': ...}, 'lacks margin;'),
    ({'format': ..., 'alpha': ..., 'keep_ratios': ...}, 'lacks format, alpha, keep_ratios;'),
    ({'format': 3}, 'format 3: expected 2'),
    ({'format': 1}, 'format 1: expected 2'),
    ({'format': 'new'}, 'format new: expected 2'),
    ({'margin': 0.5}, r'Expected `str`, got `float` - at `\$.margin`'),
    ({'dense': {'mean': 1.0}}, r'missing required field `accuracies` - at `\$.dense`'),
    ({'judgements': [{}]}, r'missing required field `rule` - at `\$.judgements\[0\]`'),
    ({'settings': None}, r'Expected `object`, got `null` - at `\$.settings`'),
])
def test_a_file_that_cannot_be_used_says_what_is_wrong(changes, message, tmp_path):
  path = stored(tmp_path, **changes)
  with pytest.raises(UsageError, match=message) as caught:
    verdicts.read(path)
  assert str(caught.value).startswith(f'{path}: ') and '\n' not in str(caught.value)


def test_a_statement_is_one_of_six(tmp_path):
  path = stored(tmp_path)
  values = json.loads(path.read_text())
  values['judgements'][1]['statements'] = ['guilty']
  path.write_text(json.dumps(values))
  with pytest.raises(UsageError, match=r"'guilty' - at `\$.judgements\[1\].statements\[0\]`"):
    verdicts.read(path)


def test_a_file_that_is_no_json_is_named(tmp_path):
  path = tmp_path / 'verdicts.json'
  with pytest.raises(UsageError, match=r'verdicts\.json: cannot be read'):
    verdicts.read(path)
  path.write_text('[1]')
  with pytest.raises(UsageError, match=r'verdicts\.json: expected a JSON object'):
    verdicts.read(path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
  with pytest.raises(TicketsError, match=r'nowhere/verdicts\.json: cannot be written'):
    verdicts.write(tmp_path / 'nowhere' / 'verdicts.json', sanity_verdicts.minimal())
