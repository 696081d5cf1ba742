"""How much room a folder takes and how much memory is free."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from analystd.jail.tree_walk import Folder, Visitor, walk

BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the file system's own is (stat(2))."""

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Memory:
    """Memory of the machine, or of the control group that this process may use, in bytes."""

    total: int
    available: int

    @property
    def free_percent(self) -> float:
        """The share that could be used without swapping."""
        return 100.0 * self.available / self.total


def folder_bytes(folder: Path) -> int:
    """The allocated bytes of all that lies in `folder`: links are not followed, hard links count once, other file systems not at all."""
    counter = ByteCounter()
    walk(folder, counter)
    return counter.total


class ByteCounter(Visitor):
    """Adds up what a walk finds, as `folder_bytes` does."""

    def __init__(self) -> None:
        self.total = 0
        self._counted: set[tuple[int, int]] = set()

    def enters(self, folder: Folder) -> bool:
        """Not another file system."""
        return not folder.is_foreign

    def visits(self, folder: Folder, entry: os.DirEntry[str]) -> bool:
        """Add an entry's bytes."""
        status = entry.stat(follow_symlinks=False)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            if (status.st_dev, status.st_ino) in self._counted:
                return False
            self._counted.add((status.st_dev, status.st_ino))
        self.total += status.st_blocks * BLOCK_BYTES
        return True


def memory() -> Memory:
    """What is free now; in a container with a limit of its own, what is left of that."""
    machine = psutil.virtual_memory()
    smallest = Memory(machine.total, machine.available)
    for group in _own_cgroups():
        limited = _cgroup_memory(group, machine.total)
        if limited is not None and limited.free_percent < smallest.free_percent:
            smallest = limited
    return smallest


def _own_cgroups() -> Iterator[Path]:
    """The control groups (version 2) that this process is in, from the innermost out."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        if line.startswith("0::"):
            group = _CGROUPS / line[len("0::/") :]
            yield group
            yield from (parent for parent in group.parents if parent.is_relative_to(_CGROUPS))


def _cgroup_memory(group: Path, machine_total: int) -> Memory | None:
    try:
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        caches = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not 0 < limit < machine_total:
        return None
    return Memory(limit, max(0, limit - used + int(caches.get("inactive_file", 0))))
