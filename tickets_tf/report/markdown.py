"""Text as Markdown that says what the text says, whatever letters are in it."""

from collections.abc import Iterable
from collections.abc import Sequence
import re

from tickets_tf.report import wording

# An underscore inside a word is only that.
_SPECIAL = re.compile(r'([\\`*\[\]#+|~$]|(?<![^\W_])_|_(?![^\W_]))')


def escaped(text: str) -> str:
  """Returns text on one line, every letter of it as itself, in a cell of a table too."""
  text = wording.one_line(text).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
  return _SPECIAL.sub(r'\\\1', text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  """Returns a table of plain text."""
  return marked_table([escaped(cell) for cell in header], ([escaped(cell) for cell in row] for row in rows))


def marked_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  """Returns a table whose cells are Markdown, each on one line and with no bare `|`."""
  return '\n'.join(f'| {" | ".join(line)} |' for line in (header, ['---'] * len(header), *rows))


def bullets(lines: Iterable[str]) -> str:
  """Returns lines of plain text as a list."""
  return '\n'.join(f'- {escaped(line)}' for line in lines)


def fenced(text: str) -> str:
  """Returns text as a block of code."""
  # A fence has to be longer than any run of backticks inside.
  fence = '`' * max(3, 1 + max(map(len, re.findall('`+', text)), default=0))
  return f'{fence}\n{text}\n{fence}'
