"""Measure the size of a folder and the free memory."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

import psutil

from analystd.jail.cgroups import memory_usage, own_groups
from analystd.jail.tree_walk import Folder, TreeVisitor, walk

BLOCK_BYTES = 512
"""The unit of `st_blocks`, independent of the file system's block size (stat(2))."""


@dataclass(frozen=True)
class MemoryUsage:
    """Memory of the machine, or of this process's control group if that has a limit."""

    total: int
    """In bytes: the smallest of the machine's memory and the groups' limits."""
    available: int
    free_percent: float
    """The smallest share, among the machine and the groups, that could be used without swapping."""


def folder_bytes(folder: Path) -> int:
    """Return the allocated bytes in `folder`: links are not followed, hard links count once, other file systems are not counted."""
    counter = ByteCounter()
    walk(folder, counter)
    return counter.total


class ByteCounter(TreeVisitor):
    """Add up the sizes that a walk finds, as `folder_bytes` does."""

    def __init__(self) -> None:
        self.total = 0
        self._counted: set[tuple[int, int]] = set()

    def enters(self, folder: Folder) -> bool:
        """Enter folders on the same file system only."""
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
    """Return the memory that is free now; in a container with its own limit, what is left of that."""
    machine = psutil.virtual_memory()
    total, available = [machine.total], [machine.available]
    for own in own_groups("memory"):
        for group in own.outwards():
            if (usage := memory_usage(group, machine.total)) is not None:
                total.append(usage.limit)
                available.append(max(0, usage.limit - usage.used))
    shares = [100.0 * free / whole for free, whole in zip(available, total, strict=True)]
    return MemoryUsage(min(total), min(available), min(shares))
