"""Programs end within seconds, whatever they are at."""

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import ctypes, sys, time
from tickets_tf.cli import command

def main():
  print('ready', flush=True)
  if sys.argv[1:] == ['busy']:
    ctypes.CDLL(None).sleep(60)  # A call that is not Python's.
  time.sleep(60)

command.run(lambda words: main(), 'words')
"""


@pytest.mark.parametrize('number, code', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize('at', ['rest', 'busy'])
def test_a_signal_ends_a_program_soon(number, code, at):
  process = subprocess.Popen([sys.executable, '-c', PROGRAM, at], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
  assert process.stdout.readline() == 'ready\n'
  time.sleep(0.2)
  process.send_signal(number)
  _, errors = process.communicate(timeout=30)
  assert process.returncode == code
  assert errors.splitlines() == ['-c: error: interrupted; the same command resumes from here']
