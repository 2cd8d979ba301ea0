"""Whose layer ratios a ticket takes if its allocation is `like:RULE` or `like:MASKFILE`."""

import os
import pathlib

from tickets_tf import exchange
from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules


def liked(allocation: object) -> tuple[str, str]:
  """Returns (name of the rule, path of the file) whose layer ratios an allocation takes; at most one is not empty.

  Raises:
    UsageError: for a rule that has no layer ratios of its own, or is not known.
  """
  name = registry.ALLOCATIONS.liked(allocation) if isinstance(allocation, str) else ''
  if not name:
    return '', ''
  if os.sep in name or pathlib.Path(name).suffix in exchange.SUFFIXES:
    return '', name
  try:
    rule = rules.RULES.get(name)
  except UsageError as error:
    raise UsageError(f'--allocation=like:{name}: {error}, or a file of a mask') from None
  again = isinstance(rule.allocation, str) and registry.ALLOCATIONS.liked(rule.allocation)
  if not rule.prunes or rule.given or again:
    raise UsageError(f'--allocation=like:{name}: expected a rule that has layer ratios of its own')
  return name, ''
