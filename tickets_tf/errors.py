"""The two kinds of error that this package raises; any other exception is a bug."""


class TicketsError(Exception):
  """Work that could not be done. Commands print the message on one line and exit with code 1."""


class UsageError(TicketsError, ValueError):
  """A setting, file or argument that cannot be used. Commands print the message on one line and exit with code 2.

  The message names the flag or file, the value that was given, and what would be right.
  """
