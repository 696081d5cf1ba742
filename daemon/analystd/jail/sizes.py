"""How much room a folder takes and how much memory is free."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from analystd.jail.cgroups import memory_usage, own_groups

BLOCK_BYTES = 512
"""The unit of `st_blocks`, whatever the file system's own is (stat(2))."""

_LONGEST_RELATIVE = 2000


@dataclass(frozen=True)
class Memory:
    """Memory of the machine, or of the control group that this process may use."""

    total: int
    """In bytes: the smallest of what the machine has and what the groups allow."""
    available: int
    free_percent: float
    """The share that could be used without swapping, where it is smallest."""


def folder_bytes(folder: Path) -> int:
    """The allocated bytes of all that lies in `folder`: links are not followed, hard links count once, other file systems not at all."""
    counted: set[tuple[int, int]] = set()
    total = 0
    for status in _statuses(folder):
        if status.st_nlink > 1:
            if (status.st_dev, status.st_ino) in counted:
                continue
            counted.add((status.st_dev, status.st_ino))
        total += status.st_blocks * BLOCK_BYTES
    return total


def memory() -> Memory:
    """Return what is free now; in a container with a limit of its own, what is left of that."""
    machine = psutil.virtual_memory()
    total, available = [machine.total], [machine.available]
    for own in own_groups("memory"):
        for group in own.outwards():
            if (usage := memory_usage(group, machine.total)) is not None:
                total.append(usage.limit)
                available.append(max(0, usage.limit - usage.used))
    shares = [100.0 * free / whole for free, whole in zip(available, total, strict=True)]
    return Memory(min(total), min(available), min(shares))


class _Anchor:
    """An open folder that paths are relative to; closed with its last user."""

    def __init__(self, path: str, within: int | None = None) -> None:
        self.descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


def _statuses(folder: Path) -> Iterator[os.stat_result]:
    """The status of everything below `folder`, however deep it was nested to hide from a measurement by path."""
    device = folder.stat().st_dev
    todo = [(_Anchor(str(folder)), ".")]
    while todo:
        anchor, relative = todo.pop()
        # Folders come and go while they are counted.
        with contextlib.suppress(OSError):
            if len(relative) > _LONGEST_RELATIVE:
                anchor, relative = _Anchor(relative, anchor.descriptor), "."
            for entry, status in _entries(anchor, relative):
                yield status
                if entry.is_dir(follow_symlinks=False) and status.st_dev == device:
                    todo.append((anchor, f"{relative}/{entry.name}"))


def _entries(anchor: _Anchor, relative: str) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    descriptor = os.open(relative, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=anchor.descriptor)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    yield entry, entry.stat(follow_symlinks=False)
    finally:
        os.close(descriptor)
