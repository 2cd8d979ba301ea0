"""Ctrl-C and SIGTERM end a program within seconds, also while TensorFlow computes and Python gets no turn."""

import os
import signal
import socket
import sys
import threading
import types

_GRACE = 5.0  # seconds until a program that does not end by itself is ended
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
  """A signal asked the program to end; its number is the argument."""


def end_on_signals() -> None:
  """Makes a signal raise `Stopped` in the main thread, and end the process if that has not ended it soon after.

  Python runs no handler of a signal while it waits for a call into TensorFlow, a collective operation for instance; a
  thread that waits for the signal's number in a socket gets its turn all the same.
  """
  reading, writing = socket.socketpair()
  writing.setblocking(False)
  signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
  for number in _SIGNALS:
    signal.signal(number, _stop)
  threading.Thread(target=_end_after_grace, args=(reading, writing), daemon=True).start()


def _stop(number: int, frame: types.FrameType | None) -> None:
  del frame
  raise Stopped(number)


def _end_after_grace(reading: socket.socket, writing: socket.socket) -> None:
  del writing  # Kept open for as long as this thread runs.
  while (number := reading.recv(1)[0]) not in _SIGNALS:
    pass
  threading.Event().wait(_GRACE)
  message = f'{sys.argv[0]}: error: interrupted; the same command resumes from here\n'
  os.write(2, message.encode())
  os._exit(128 + number)
