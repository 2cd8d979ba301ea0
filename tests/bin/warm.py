"""Programs of bin/ in processes of their own that need not import TensorFlow first, for tests that call many.

Importing TensorFlow takes far longer than most of what is asked of a program here. One process imports it, computes
nothing with it, and then forks a process for every call, which runs the program's file as Python would.
"""

import dataclasses
import functools
import json
import os
import pathlib
import resource
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).parents[2]


def call(program, *arguments, cwd, **options):
  """Returns the `subprocess.CompletedProcess` of a program, e.g. `'train'`, as `subprocess.run` does."""
  return start(program, *arguments, cwd=cwd, **options).completed()


def start(program, *arguments, cwd, variables=None, file_bytes=None):
  """Starts a program.

  Args:
    program: name of a file in bin/.
    *arguments: its command line.
    cwd: the folder that it works in.
    variables: what it has in its environment beside what is there.
    file_bytes: how large a file it may write; None: any.

  Returns:
    The `Process`.
  """
  words = [str(ROOT / 'bin' / program), *map(str, arguments)]
  folder = tempfile.TemporaryDirectory()
  pid = _ask(words=words, cwd=str(cwd), folder=folder.name, variables=variables or {}, file_bytes=file_bytes)
  return Process(words, pid, folder)


@dataclasses.dataclass
class Process:
  """A program at work, in part as `subprocess.Popen`."""
  args: list[str]
  pid: int
  folder: tempfile.TemporaryDirectory
  returncode: int | None = None

  def poll(self):
    """Returns how it has ended, negative if by a signal; None if it has not."""
    if self.returncode is None:
      self.returncode = _ask(ended=self.pid)
    return self.returncode

  def kill(self):
    if self.poll() is None:
      os.kill(self.pid, signal.SIGKILL)

  def completed(self, timeout=240):
    """Waits until it has ended, at most `timeout` seconds; returns its `subprocess.CompletedProcess`."""
    deadline = time.monotonic() + timeout
    while self.poll() is None:
      if time.monotonic() > deadline:
        self.kill()
        raise TimeoutError(' '.join(self.args))
      time.sleep(0.02)
    with self.folder:
      out, err = (pathlib.Path(self.folder.name, name).read_text() for name in ('1', '2'))
    return subprocess.CompletedProcess(self.args, self.returncode, out, err)


def _ask(**asked):
  server = _server()
  server.stdin.write(json.dumps(asked) + '\n')
  server.stdin.flush()
  return json.loads(server.stdout.readline())


@functools.cache
def _server():
  # It ends when this process does, at the end of its standard input.
  path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
  return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, 'PYTHONPATH': path})


def _serve():
  from tickets_tf import collecting
  with collecting.paused():
    import sklearn.datasets  # noqa: F401
    import tickets_tf.experiment.instability
    import tickets_tf.experiment.sanity_check
    import tickets_tf.experiment.sweep
    import tickets_tf.experiment.train
    import tickets_tf.export.bundle
    import tickets_tf.export.predict
    import tickets_tf.report  # noqa: F401
  from absl import app
  app._init_callbacks.clear()  # TensorFlow would look for devices as soon as absl has parsed the flags.
  for line in sys.stdin:
    asked = json.loads(line)
    if 'ended' in asked:
      pid, status = os.waitpid(asked['ended'], os.WNOHANG)
      answer = os.waitstatus_to_exitcode(status) if pid else None
    else:
      answer = os.fork() or _run(**asked)
    print(json.dumps(answer), flush=True)


def _run(words, cwd, folder, variables, file_bytes):
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  for number in (1, 2):
    os.dup2(os.open(os.path.join(folder, str(number)), os.O_WRONLY | os.O_CREAT), number)
  os.chdir(cwd)
  os.environ.update(variables)
  tempfile.tempdir = None  # TMPDIR may be among the variables.
  if file_bytes is not None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
  sys.argv = words
  sys.path[0] = os.path.dirname(words[0])
  code = 1
  try:
    runpy.run_path(words[0], run_name='__main__')
    code = 0
  except SystemExit as end:
    code = end.code or 0
  except BaseException:
    traceback.print_exc()
  finally:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == '__main__':
  _serve()
