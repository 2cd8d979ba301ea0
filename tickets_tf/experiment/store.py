"""Folders of finished runs in an object store: anything that fsspec has an address for, such as s3:// or gs://."""

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import functools
import pathlib
from typing import Any
from typing import TypeVar

from tickets_tf import files
from tickets_tf.errors import UsageError
from tickets_tf.experiment import locking
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.run import Run

_Result = TypeVar('_Result')


class StoreError(OSError):
  """The store could not be reached or has refused; it may work when tried again."""


@dataclasses.dataclass(frozen=True)
class Store:
  """An object store with a folder for every finished run.

  A store cannot rename. As in a run's folder on disk, the record is written last, and what has no record is not there.

  Args:
    address: where the folders go, such as `s3://bucket/runs`.

  Raises:
    UsageError: if no installed package knows the address.
  """
  address: str

  def __post_init__(self) -> None:
    try:
      self._opened  # noqa: B018  # It fails here or never.
    except (ImportError, ValueError) as error:
      raise UsageError(f'--store={self.address}: cannot be used: {" ".join(str(error).split())}') from error

  def has(self, run: Run) -> bool:
    """Returns whether a run is there, whole; raises StoreError if the store cannot be reached."""
    return self._tried(lambda: bool(self._files.exists(f'{self._path(run)}/{run.folder.record.name}')))

  def put(self, run: Run) -> None:
    """Copies the folder of a finished run to the store, unless it is there; raises StoreError."""
    if self.has(run):
      return
    folder = run.folder
    found = [path.relative_to(folder.path).as_posix() for path in sorted(folder.path.rglob('*')) if path.is_file()]
    for name in _record_last(name for name in found if not name.startswith('.')):
      self._tried(functools.partial(self._write, f'{self._path(run)}/{name}', folder.path / name))

  def fetch(self, run: Run) -> None:
    """Copies a run from the store to its folder, unless it is done there.

    Args:
      run: the run; the store has it.

    Raises:
      StoreError: if the store cannot be reached.
      TicketsError: if the folder cannot be written to.
    """
    if run.folder.is_done():
      return
    with locking.locked(run.folder, run.folder.is_done, say=lambda line: None) as has_work:
      if not has_work:
        return
      start = f'{self._path(run).rstrip("/")}/'
      found = self._tried(lambda: list(self._files.find(start)))
      for name in _record_last(path[path.index(start) + len(start):] for path in found):
        content = self._tried(functools.partial(self._files.cat_file, start + name))
        path = run.folder.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
          temporary.write_bytes(content)

  @functools.cached_property
  def _opened(self) -> tuple[Any, str]:
    import fsspec  # Here, since it comes with an extra.
    files_of_store, path = fsspec.core.url_to_fs(self.address)
    return files_of_store, str(path)

  @property
  def _files(self) -> Any:
    return self._opened[0]

  def _path(self, run: Run) -> str:
    return f'{self._opened[1].rstrip("/")}/{run.name}'

  def _write(self, target: str, source: pathlib.Path) -> None:
    self._files.makedirs(target.rsplit('/', 1)[0], exist_ok=True)  # Stores without folders do nothing.
    self._files.pipe_file(target, source.read_bytes())

  def _tried(self, act: Callable[[], _Result]) -> _Result:
    try:
      return act()
    except Exception as error:  # Each store has errors of its own.
      raise StoreError(f'--store={self.address}: {type(error).__name__}: {" ".join(str(error).split())}') from error


def _record_last(names: Iterable[str]) -> list[str]:
  record = RunFolder(pathlib.Path()).record.name
  return sorted(names, key=lambda name: name == record)
