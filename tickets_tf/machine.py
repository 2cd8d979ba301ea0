"""What this process may use of the machine: cores and memory, less what its containers and its limits forbid."""

from collections.abc import Iterator
import os
import pathlib

import psutil

_CGROUPS = pathlib.Path('/sys/fs/cgroup')
# Of the second version of control groups and of the first: the most memory, and what is taken.
_MEMORY = (('memory.max', 'memory.current'), ('memory.limit_in_bytes', 'memory.usage_in_bytes'))


def cores() -> int:
  """Returns how many cores this process may use, at least 1."""
  count = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
  for group in _groups():
    try:
      quota, period = (group / 'cpu.max').read_text().split()
      count = min(count, int(quota) // int(period))
    except (OSError, ValueError):  # not there, or `max`
      continue
  return max(count, 1)


def memory() -> int:
  """Returns the bytes of memory of this machine, or of the control group that this process is in if that has less."""
  return min([psutil.virtual_memory().total, *(most for most, _ in _limits())])


def free_memory() -> int:
  """Returns the bytes that this process may still take: of the machine, of its containers, and of its own limits."""
  of_groups = (most - taken for most, taken in _limits())
  return max(0, min([psutil.virtual_memory().available, *of_groups, *_of_process()]))


def own_memory() -> int:
  """Returns the bytes of memory that this process has."""
  return int(psutil.Process().memory_info().rss)


def _limits() -> Iterator[tuple[int, int]]:
  """Yields (most, taken), in bytes of memory, of the control groups that this process is in, if they are limited."""
  for group in _groups():
    for limit, used in _MEMORY:
      try:
        most, taken = (int((group / name).read_text()) for name in (limit, used))
      except (OSError, ValueError):  # of the other version, or `max`
        continue
      yield most, taken - _given_back(group)


def _given_back(group: pathlib.Path) -> int:
  # Pages of files that were read are counted as used, and given back when they are needed.
  try:
    counted = dict(line.split() for line in (group / 'memory.stat').read_text().splitlines())
    return int(counted.get('total_inactive_file', counted.get('inactive_file', 0)))
  except (OSError, ValueError):
    return 0


def _groups() -> list[pathlib.Path]:
  """Returns the folders of the control groups that this process is in; a group is limited by those above it, too."""
  try:
    lines = pathlib.Path('/proc/self/cgroup').read_text().splitlines()
  except OSError:  # Linux alone has it
    return []
  names = {kinds: name for _, kinds, name in (line.split(':', 2) for line in lines)}
  ends = [(_CGROUPS, names.get('')), (_CGROUPS / 'memory', names.get('memory'))]
  inner = [(root, root / name.lstrip('/')) for root, name in ends if name]
  return [folder for root, end in inner for folder in (end, *end.parents) if folder.is_relative_to(root)]


def _of_process() -> list[int]:
  """Returns what the limits of the process leave (`ulimit -v` and `-d`), if it has any."""
  process = psutil.Process()
  if not hasattr(process, 'rlimit'):  # Linux alone has it
    return []
  used = process.memory_info()
  limits = ((process.rlimit(psutil.RLIMIT_AS)[0], used.vms), (process.rlimit(psutil.RLIMIT_DATA)[0], used.data))
  return [limit - taken for limit, taken in limits if limit != psutil.RLIM_INFINITY]
