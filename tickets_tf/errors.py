"""The two ways in which this package says no; everything else that escapes is a bug."""


class TicketsError(Exception):
  """Work that could not be done. Commands print the message on one line and end with exit code 1."""


class UsageError(TicketsError, ValueError):
  """A setting, file or argument that cannot be used. Commands print one line and end with exit code 2.

  The message names the flag or file, the value that came, and what would be right.
  """
