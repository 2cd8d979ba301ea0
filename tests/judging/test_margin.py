"""Margins in points, and as a share of the gap between the dense network and luck."""

import pytest

from tickets_tf.errors import UsageError
from tickets_tf.judging.margin import Margin


@pytest.mark.parametrize('text, gap, points', [
    ('0.5', None, 0.5), ('0.5', 4.0, 0.5), ('0.2gap', 4.0, 0.8), ('1e-1gap', 10.0, 1.0), ('0.2gap', None, None),
    ('0.2gap', 0.0, None), ('0.2gap', -3.0, None)])
def test_points(text, gap, points):
  assert Margin.parse(text).points(gap) == (None if points is None else pytest.approx(points))


@pytest.mark.parametrize('text', ['0.5', '0.2gap', '12'])
def test_it_is_written_as_it_was_given(text):
  assert str(Margin.parse(text)) == text


@pytest.mark.parametrize('text', ['0', '-1', 'nan', 'inf', 'gap', 'wide', '0.2 of gap', '-0.2gap', ''])
def test_what_is_no_margin_is_named(text):
  with pytest.raises(UsageError, match=f'--margin={text}: expected percent points above 0'):
    Margin.parse(text)
