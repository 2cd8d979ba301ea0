"""The kinds of error that this package raises; any other exception is a bug."""


class TicketsError(Exception):
  """Work that could not be done. Commands print the message on one line and exit with code 1."""


class UsageError(TicketsError, ValueError):
  """A setting, file or argument that cannot be used. Commands print the message on one line and exit with code 2.

  The message names the flag or file, the value that was given, and what would be right.
  """


class StorageError(TicketsError):
  """A file or folder that the system refuses to write or read: a full disk, a folder that does not answer.

  Args:
    message: one line that names the file or folder, and the reason in the system's words.
    code: the system's number of the reason, one of `errno`.
  """

  def __init__(self, message: str, code: int = 0) -> None:
    super().__init__(message)
    self.code = code
