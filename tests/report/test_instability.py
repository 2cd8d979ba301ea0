"""The table and the picture of lines between trainings."""

import xml.etree.ElementTree as ElementTree

from tests.judging import lines
from tickets_tf.judging.instability import Instability
from tickets_tf.report import instability


def test_the_table_has_a_line_for_each_number_of_shared_epochs():
  head, first, second, conclusion = instability.instability_table(lines.found((0, 0.3), (2, 0.89))).splitlines()
  assert head.split('  ')[0] == 'shared epochs' and len(head) == len(first) == len(second)
  assert first.split() == ['0', '90.00', '90.00', '30.00', 'at', '0.5', '60.00', '0.6000', 'no']
  assert second.split() == ['2', '90.00', '90.00', '89.00', 'at', '0.5', '1.00', '0.0100', 'yes']
  assert conclusion == 'connected from 2 shared epochs on: no barrier of more than 2 points (tried: 0, 2)'


def test_trainings_that_guess_show_no_barrier():
  guesses = Instability('first', 1, 2.0, (lines.line(3, 0.1, 0.1, 0.11),), 10.0)
  table, conclusion = instability.instability_table(guesses).splitlines()[-2:]
  assert table.endswith('cannot show')
  assert conclusion.startswith('no barrier could show after 3 shared epochs: the trainings are at most 2 points better')


def test_trainings_that_are_never_connected_are_told_as_such():
  assert instability.instability_sentence(lines.found((0, 0.3), (2, 0.5))) == (
      'not connected after 2 shared epochs: a barrier of more than 2 points (tried: 0, 2)')


def test_the_picture_is_an_svg_with_a_curve_for_each_line(tmp_path):
  instability.write_instability(lines.found((0, 0.3), (2, 0.89)), tmp_path / 'instability.svg')
  assert ElementTree.parse(tmp_path / 'instability.svg').getroot().tag == '{http://www.w3.org/2000/svg}svg'
  assert [path.name for path in tmp_path.iterdir()] == ['instability.svg']
