"""The server of a page: for this machine alone, made anew if there is something new, and ended by Ctrl-C."""

import http.client
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest

from tests.report.scoreboard import example_runs
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.report.scoreboard import serve

ROOT = pathlib.Path(__file__).parents[3]


class Served:
  """A server in a thread, and what it made."""

  def __init__(self, folder):
    self.made, self.problem = [], ''
    self.watched = serve.Watched([folder], self.make)
    self.server = serve.server(0, self.watched)
    threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

  def make(self, stamp):
    if self.problem:
      raise TicketsError(self.problem)
    self.made.append(stamp)
    return f'<p>{stamp} ü'

  def ask(self, path='/', method='GET', **headers):
    connection = http.client.HTTPConnection('127.0.0.1', self.server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host='Host' in headers)
    for name, values in headers.items():
      for value in [values] if isinstance(values, str) else values:
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    return answer, answer.read().decode()

  def look_again(self):
    self.watched._next_look = 0.0


@pytest.fixture
def served(tmp_path):
  made = Served(tmp_path)
  yield made
  made.server.shutdown()
  made.server.server_close()


def test_a_page_is_made_anew_if_there_is_something_new(served, tmp_path):
  answer, text = served.ask()
  assert (answer.status, answer.headers['Content-Type']) == (200, 'text/html; charset=utf-8')
  first, = served.made
  assert text == f'<p>{first} ü' and served.ask('/stamp')[1] == first
  served.look_again()
  assert served.ask()[1] == text and len(served.made) == 1
  folder, = example_runs.write(tmp_path, (90.0,))
  assert served.ask('/stamp')[1] == first, 'one look a second is enough'
  served.look_again()
  second = served.ask('/stamp')[1]
  assert second != first and served.ask()[1] == f'<p>{second} ü' and served.made == [first, second]
  os.utime(folder / 'record.json', (1, 1))
  served.look_again()
  third = served.ask('/stamp')[1]
  assert third not in (first, second)
  (folder / 'record.json').unlink()
  served.look_again()
  assert served.ask('/stamp')[1] == first


def test_files_that_no_report_reads_are_no_news(served, tmp_path):
  example_runs.write(tmp_path, (90.0,))
  before = served.ask('/stamp')[1]
  (tmp_path / 'notes.txt').write_text('news')
  (tmp_path / '.hidden').mkdir()
  (tmp_path / '.hidden' / 'verdicts.json').write_text('{}')
  served.look_again()
  assert served.ask('/stamp')[1] == before
  (tmp_path / 'verdicts.json').write_text('{}')
  served.look_again()
  assert served.ask('/stamp')[1] != before


@pytest.mark.parametrize('host', ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', '', 'localhost.evil',
                                  '0.0.0.0', ['localhost', 'evil.example']])
def test_other_hosts_are_refused(served, host):
  answer, text = served.ask(Host=host)
  assert answer.status == 403 and text == 'expected one of 127.0.0.1, localhost as the host\n' and not served.made


@pytest.mark.parametrize('host', ['localhost', 'LOCALHOST:9000', '127.0.0.1:1'])
def test_this_machine_is_let_in_through_any_forwarded_port(served, host):
  assert served.ask(Host=host)[0].status == 200


@pytest.mark.parametrize('path', ['/report.html', '/../etc/passwd', '/?', '/stamp/', 'http://evil.example/',
                                  '/%2e%2e/'])
def test_other_paths_are_refused(served, path):
  assert served.ask(path, Host='localhost')[0].status == 404 and not served.made


def test_only_reading_is_answered(served):
  assert served.ask(method='POST')[0].status == 501 and not served.made
  answer, text = served.ask(method='HEAD')
  assert answer.status == 200 and text == '' and int(answer.headers['Content-Length']) > 10


def test_answers_are_kept_nowhere_and_framed_nowhere(served):
  headers = served.ask()[0].headers
  assert headers['Cache-Control'] == 'no-store' and headers['Content-Security-Policy'] == "frame-ancestors 'none'"
  assert 'Python' not in headers['Server']


def test_what_cannot_be_made_is_told_and_tried_again(served):
  served.problem = 'runs: no such\nfolder'
  answer, text = served.ask()
  assert (answer.status, answer.headers['Refresh']) == (503, '5')
  assert text == 'The page cannot be made: runs: no such folder\n'
  assert answer.headers['Content-Type'].startswith('text/plain')
  served.problem = ''
  assert served.ask()[0].status == 200


def test_it_listens_on_this_machine_alone(served):
  assert served.server.server_address[0] == '127.0.0.1'


def test_a_port_that_cannot_be_had_is_one_line(served):
  taken = served.server.server_port
  with pytest.raises(UsageError, match=rf'^--port={taken}: .* Address already in use; --port=0 takes any'):
    serve.server(taken, served.watched)
  for port in (-1, 65536):
    with pytest.raises(UsageError, match=f'^--port={port}: expected 0 to 65535'):
      serve.server(port, served.watched)


def test_ctrl_c_ends_the_program_cleanly(tmp_path):
  example_runs.write(tmp_path / 'runs', (90.0, 90.5, 90.2), pruner='snip', ratio=0.95)
  program = subprocess.Popen([sys.executable, ROOT / 'bin' / 'report', f'--runs={tmp_path / "runs"}', '--serve',
                              '--port=0'], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
  try:
    line = program.stdout.readline()
    port = int(re.match(r'http://127\.0\.0\.1:(\d+)/ follows ', line)[1])
    with socket.create_connection(('127.0.0.1', port), timeout=60) as asking:
      asking.sendall(b'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n')
      answer = b''.join(iter(lambda: asking.recv(65536), b'')).decode()
    assert answer.startswith('HTTP/1.0 200 ') and 'data-stamp="' in answer and '90.23 ± 0.25' in answer
    program.send_signal(signal.SIGINT)
    out, error = program.communicate(timeout=60)
  finally:
    program.kill()
  assert (program.returncode, out, error) == (0, 'ended\n', '')
  assert not (tmp_path / 'report').exists()
