"""The page over a folder in which runs still end: a server for this machine alone.

It is bound to 127.0.0.1 and has two paths: the page, which is made anew if there is something new, and the stamp of
what there is, by which the page finds out. Every other request is refused. A site that has its own name lead to
127.0.0.1 (DNS rebinding) sends that name as the host, and is refused as well.
"""

from collections.abc import Callable
from collections.abc import Iterable
import hashlib
from http import HTTPStatus
import http.server
import os
import signal
import socketserver
import sys
import threading
import time
import webbrowser

from absl import logging

from tickets_tf import storage
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.report.scoreboard import found

ADDRESS = '127.0.0.1'
PAGE, STAMP = '/', '/stamp'
_HOSTS = (ADDRESS, 'localhost')
_HEADERS = {'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer',
            'Cross-Origin-Resource-Policy': 'same-origin', 'Content-Security-Policy': 'frame-ancestors \'none\''}
# Looking at thousands of folders takes a while: at most a tenth of the time is spent on it.
_PAUSE, _SHARE = 1.0, 10.0
_AGAIN = {'Refresh': '5'}  # in seconds


class Watched:
  """The page over some folders, made anew when a record or verdicts have come, changed or gone.

  Args:
    folders: folders of runs and verdicts, see `found.find`.
    make: takes the stamp and returns the page.
  """

  def __init__(self, folders: Iterable[str | os.PathLike[str]], make: Callable[[str], str]) -> None:
    self._folders, self._make = tuple(folders), make
    # A stamp is told while a page is being made, which may take seconds. Plots are not made by two threads at a time.
    self._looking, self._making = threading.Lock(), threading.Lock()
    self._stamp, self._next_look = '', 0.0
    self._page, self._page_stamp = '', ''

  def stamp(self) -> str:
    """Returns a text that is another one if a record or verdicts have come, changed or gone."""
    with self._looking:
      begun = time.monotonic()
      if begun >= self._next_look:
        self._stamp = stamp(self._folders)
        ended = time.monotonic()
        self._next_look = ended + max(_PAUSE, _SHARE * (ended - begun))
      return self._stamp

  def page(self) -> str:
    """Returns the page, made anew if there is something new.

    Raises:
      TicketsError: if it cannot be made.
    """
    with self._making:
      # What comes while the page is made is in it or not; the next stamp is another one in any case.
      now = self.stamp()
      if now != self._page_stamp:
        self._page, self._page_stamp = self._make(now), now
      return self._page


def stamp(folders: Iterable[str | os.PathLike[str]]) -> str:
  """Returns a digest of the names and times of all files that `found.find` would read; none is read.

  Args:
    folders: folders of runs and verdicts.
  """
  digest = hashlib.sha256()
  for path in found.files(folders):
    try:
      status = os.stat(path)
    except OSError:  # It has gone meanwhile.
      continue
    digest.update(f'{path}\0{status.st_mtime_ns}\0{status.st_size}\n'.encode('utf-8', 'surrogateescape'))
  return digest.hexdigest()[:16]


def serve(folders: Iterable[str | os.PathLike[str]], port: int, make: Callable[[str], str]) -> None:
  """Serves the page until Ctrl-C; prints where, and opens it if there is a desktop to open it on.

  Args:
    folders: folders of runs and verdicts, see `found.find`.
    port: of 127.0.0.1; 0: any that is free.
    make: takes the stamp and returns the page, see `page.html`.

  Raises:
    UsageError: if the port cannot be had.
  """
  with server(port, Watched(folders, make)) as serving:
    where = f'http://{ADDRESS}:{serving.server_port}{PAGE}'
    print(f'{where} follows {", ".join(map(str, folders))}; Ctrl-C ends it', flush=True)
    if sys.stdout.isatty() and _has_desktop():
      webbrowser.open(where)
    try:
      serving.serve_forever()
    except KeyboardInterrupt as stop:
      if stop.args and stop.args[0] != signal.SIGINT:
        raise
      print('ended', flush=True)


def server(port: int, watched: Watched) -> http.server.ThreadingHTTPServer:
  """Returns a server that listens; `serve_forever` begins to answer.

  Args:
    port: of 127.0.0.1; 0: any that is free.
    watched: the page.

  Raises:
    UsageError: if the port cannot be had.
  """
  if not 0 <= port <= 65535:
    raise UsageError(f'--port={port}: expected 0 to 65535; 0 takes any that is free')
  try:
    return _Server((ADDRESS, port), lambda *of_request: _Handler(watched, *of_request))
  except OSError as error:
    raise UsageError(f'--port={port}: {ADDRESS} cannot be listened on there: {error.strerror}; --port=0 takes any that '
                     'is free') from error


class _Server(http.server.ThreadingHTTPServer):
  """A server that tells what went wrong with a request in one line."""

  def handle_error(self, request: object, client_address: object) -> None:
    """Tells of a request that could not be answered; a browser that has gone away is none."""
    error = sys.exc_info()[1]
    if error is not None and not isinstance(error, ConnectionError | TimeoutError):
      logging.error('a request could not be answered: %s: %s', type(error).__name__, storage.one_line(error))


class _Handler(http.server.BaseHTTPRequestHandler):
  """Answers one request."""

  server_version, sys_version = 'tickets-report', ''
  timeout = 10  # seconds in which a request has to be sent

  def __init__(self, watched: Watched, request: 'socketserver._RequestType', client_address: object,
               of: socketserver.BaseServer) -> None:
    self._watched = watched
    super().__init__(request, client_address, of)

  def do_GET(self) -> None:
    """Answers a GET."""
    self._send(*self._answer())

  def do_HEAD(self) -> None:
    """Answers a HEAD, which is a GET without the body."""
    self._send(*self._answer())

  def log_message(self, *_: object) -> None:
    """Says nothing: a line every two seconds is no news."""

  def _answer(self) -> tuple[HTTPStatus, str, str]:
    """Returns status, type and text of the answer."""
    hosts = self.headers.get_all('Host') or []
    if len(hosts) != 1 or hosts[0].partition(':')[0].lower() not in _HOSTS:
      return HTTPStatus.FORBIDDEN, 'text/plain', f'expected one of {", ".join(_HOSTS)} as the host\n'
    if self.path == STAMP:
      return HTTPStatus.OK, 'text/plain', self._watched.stamp()
    if self.path != PAGE:
      return HTTPStatus.NOT_FOUND, 'text/plain', f'there is only {PAGE}\n'
    try:
      return HTTPStatus.OK, 'text/html', self._watched.page()
    except TicketsError as error:
      logging.error('the page cannot be made: %s', storage.one_line(error))
      return HTTPStatus.SERVICE_UNAVAILABLE, 'text/plain', f'The page cannot be made: {storage.one_line(error)}\n'

  def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
    body = text.encode('utf-8', 'replace')
    again = _AGAIN if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    self.send_response(status)
    for name, value in {**_HEADERS, **again, 'Content-Type': f'{kind}; charset=utf-8',
                        'Content-Length': str(len(body))}.items():
      self.send_header(name, value)
    self.end_headers()
    if self.command != 'HEAD':
      self.wfile.write(body)


def _has_desktop() -> bool:
  return sys.platform in ('darwin', 'win32') or any(os.environ.get(name) for name in ('DISPLAY', 'WAYLAND_DISPLAY'))
