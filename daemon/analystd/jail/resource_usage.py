"""How much room a folder takes and how much memory is free."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import psutil

from analystd.jail.cgroups import memory_usage, own_groups
from analystd.jail.tree_walk import Folder, TreeVisitor, walk

BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the file system's own is (stat(2))."""


@dataclass(frozen=True)
class MemoryUsage:
    """Memory of the machine, or of the control group that this process may use."""

    total: int
    """In bytes: the smallest of what the machine has and what the groups allow."""
    available: int
    free_percent: float
    """The share that could be used without swapping, where it is smallest."""


def folder_bytes(folder: Path) -> int:
    """The allocated bytes of all that lies in `folder`: links are not followed, hard links count once, other file systems not at all."""
    counter = ByteCounter()
    walk(folder, counter)
    return counter.total


class ByteCounter(TreeVisitor):
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


def memory() -> MemoryUsage:
    """Return what is free now; in a container with a limit of its own, what is left of that."""
    machine = psutil.virtual_memory()
    total, available = [machine.total], [machine.available]
    for own in own_groups("memory"):
        for group in own.outwards():
            if (usage := memory_usage(group, machine.total)) is not None:
                total.append(usage.limit)
                available.append(max(0, usage.limit - usage.used))
    shares = [100.0 * free / whole for free, whole in zip(available, total, strict=True)]
    return MemoryUsage(min(total), min(available), min(shares))
