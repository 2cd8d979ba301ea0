"""Programs of bin/ in processes of their own that need not import TensorFlow first, for tests that call many.

Importing TensorFlow takes far longer than finding that a flag is wrong. Here one process imports it, computes nothing
with it, and then forks a process for every call, which runs the program's file as Python would.
"""

import functools
import json
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import traceback


def call(program, *arguments, cwd):
  """Returns the `subprocess.CompletedProcess` of a program, e.g. `'train'`, as `subprocess.run` does."""
  words = [str(pathlib.Path(__file__).parents[2] / 'bin' / program), *map(str, arguments)]
  with tempfile.TemporaryDirectory() as folder:
    server = _server()
    server.stdin.write(json.dumps({'words': words, 'cwd': str(cwd), 'folder': folder}) + '\n')
    server.stdin.flush()
    code = int(server.stdout.readline())
    out, err = (pathlib.Path(folder, name).read_text() for name in ('1', '2'))
  return subprocess.CompletedProcess(words, code, out, err)


@functools.cache
def _server():
  # It ends when this process does, at the end of its standard input.
  path = os.pathsep.join([str(pathlib.Path(__file__).parents[2]), os.environ.get('PYTHONPATH', '')])
  return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env={**os.environ, 'PYTHONPATH': path})


def _serve():
  import tickets_tf.experiment.sanity_check
  import tickets_tf.experiment.sweep
  import tickets_tf.experiment.train
  import tickets_tf.export.bundle
  import tickets_tf.report  # noqa: F401
  from absl import app
  app._init_callbacks.clear()  # TensorFlow would look for devices as soon as absl has parsed the flags.
  for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
      _run(**asked)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(words, cwd, folder):
  os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
  for number in (1, 2):
    os.dup2(os.open(os.path.join(folder, str(number)), os.O_WRONLY | os.O_CREAT), number)
  os.chdir(cwd)
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
