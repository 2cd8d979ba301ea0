"""Several workers do one run: the chief leaves its files, the others compute the same and leave nothing.

All workers take the same decisions, since they see the same files: a worker that is not the chief copies what is there
of the run, and of those before it, before it meets the others. It then works in its copy. So nobody waits for a lock
that another worker holds while that one waits in a collective operation.
"""

from collections.abc import Iterator
import contextlib
import pathlib
import shutil
import tempfile

from tickets_tf import training
from tickets_tf.runs.run import Run


@contextlib.contextmanager
def as_this_worker(run: Run) -> Iterator[Run]:
  """Gives the run that this process does: the run itself, or its copy in a folder that is removed at the end.

  Args:
    run: the run that all workers are to do.
  """
  if run.settings.strategy != 'multi_worker' or training.is_chief():
    yield run
    return
  with tempfile.TemporaryDirectory(prefix='tickets-worker-') as folder:
    for each in _with_before(run):
      if each.folder.path.is_dir():
        shutil.copytree(each.folder.path, pathlib.Path(folder) / each.name)
    yield run.replace(output_dir=folder, progress=False)


def _with_before(run: Run) -> set[Run]:
  found: set[Run] = set()
  waiting = [run]
  while waiting:
    each = waiting.pop()
    if each not in found:
      found.add(each)
      waiting += each.before()
  return found
