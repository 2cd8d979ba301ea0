"""What the Python processes of a command do, by looking at their main threads.

`verdict_time` puts this file on the path of a command under the name `sitecustomize`, so that every Python process that
it starts watches itself, whatever code it runs. A process looks at its main thread a hundred times a second, and counts
the looks by the part of the work that the stack shows. When it first sees a training step at work, it notes the time.
It imports nothing of this package.
"""

import json
import os
import pathlib
import sys
import threading
import time
import types

FOLDER = 'TICKETS_STACK_TIMES'
_EVERY = 0.01  # seconds between two looks
_WRITE = 0.5  # seconds between two states of the file

# Part of the work -> parts of file names, each with the functions of that file; none: all of them. A look counts for
# the part that the innermost frame of those named here is in.
PARTS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    'start-up': (('<frozen importlib', ()), ('multiprocessing/spawn.py', ('_main', 'prepare'))),
    'building and tracing': (
        ('framework/func_graph.py', ('func_graph_from_py_func',)), ('polymorphic_function/', ('_initialize',
                                     'trace_function', 'maybe_trace', '_maybe_define_function')),
        ('models/build.py', ()), ('experiment/networks.py', ()), ('sparse/masked_model.py', ('wrap', 'strip')),
        ('training/loop.py', ('_prepared', '_compile'))),
    'data': (('tickets_tf/data/', ()),),
    'evaluation': (('engine/training.py', ('evaluate',)), ('training/evaluation.py', ()), ('training/settling.py', ()),
                   ('tickets_tf/experiment/stages.py', ('_judgements',))),
    'files and export': (('tickets_tf/export/', ()), ('training/checkpoints.py', ()), ('sparse/summaries.py', ()),
                         ('runs/records.py', ()), ('runs/lines.py', ()), ('tickets_tf/files.py', ()),
                         ('src/callbacks.py', ('_write_keras_model_train_graph', 'set_model')),
                         ('checkpoint/checkpoint_management.py', ())),
    'training': (('training/loop.py', ()), ('engine/training.py', ('fit', 'train_step'))),
    'tickets': (('experiment/ticket_stage.py', ()), ('experiment/tickets.py', ()), ('tickets_tf/scores/', ()),
                ('tickets_tf/models/', ()), ('tickets_tf/pruning/', ()), ('tickets_tf/checks/', ())),
    'judging and report': (('tickets_tf/judging/', ()), ('tickets_tf/report/', ())),
    'waiting': (('multiprocessing/connection.py', ()), ('multiprocessing/resource_tracker.py', ()),
                ('concurrent/futures/_base.py', ('wait', 'result')),
                ('experiment/locking.py', ()), ('multiprocessing/queues.py', ()), ('threading.py', ('join', 'wait')),
                ('selectors.py', ()), ('multiprocessing/synchronize.py', ())),
}
OTHER = 'other'


def part_of(frame: types.FrameType | None) -> str:
  """Returns the part of the work that a stack is in, a key of `PARTS`, or `OTHER`.

  Args:
    frame: the innermost frame.
  """
  while frame is not None:
    file, function = frame.f_code.co_filename, frame.f_code.co_name
    for part, places in PARTS.items():
      if any(place in file and (not functions or function in functions) for place, functions in places):
        return part
    frame = frame.f_back
  return OTHER


def is_step(frame: types.FrameType | None) -> bool:
  """Returns whether a stack is in a compiled training step: in the call that TensorFlow executes graphs by.

  Args:
    frame: the innermost frame.
  """
  if frame is None or not frame.f_code.co_filename.endswith('eager/execute.py') or part_of(frame) != 'training':
    return False
  while frame is not None and frame.f_code.co_name != 'fit':
    frame = frame.f_back
  return frame is not None


def watch(folder: pathlib.Path) -> None:
  """Counts seconds by part of the work until the process ends, in a file of the folder; runs in a thread.

  The file's name is the number of the process. `NUMBER.step` holds the time of the first step, of `time.monotonic`.
  """
  main = threading.main_thread().ident
  counts: dict[str, float] = {}
  written = before = time.monotonic()
  path = folder / f'{os.getpid()}.json'
  step = path.with_suffix('.step')
  while True:
    time.sleep(_EVERY)
    now = time.monotonic()
    frame = sys._current_frames().get(main or 0)
    if not step.exists() and is_step(frame):
      step.write_text(str(now))
    part = part_of(frame)
    counts[part] = counts.get(part, 0.0) + now - before
    before = now
    if now - written >= _WRITE:
      written = now
      temporary = path.with_suffix('.tmp')
      temporary.write_text(json.dumps(counts))
      temporary.replace(path)


if FOLDER in os.environ:
  threading.Thread(target=watch, args=(pathlib.Path(os.environ[FOLDER]),), daemon=True).start()
