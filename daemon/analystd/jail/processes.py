"""A process with all that it started: who they are, what memory they take, which deleted files they hold open."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from analystd.jail.sizes import BLOCK_BYTES

_KILOBYTE = 1024


def process_tree(pid: int) -> list[int]:
    """`pid` and its descendants that are alive; empty when it has ended."""
    found, todo = [], [pid]
    while todo:
        process = todo.pop()
        try:
            todo += _children(process)
        except OSError:
            continue
        found.append(process)
    return found


def memory_bytes(pids: Sequence[int]) -> int:
    """Memory that would come free if those processes ended: their private pages, swapped or not, and their shared memory once."""
    private, shared = 0, 0
    for pid in pids:
        sizes = _status_sizes(pid)
        private += sizes.get("RssAnon", 0) + sizes.get("VmSwap", 0)
        shared = max(shared, sizes.get("RssShmem", 0))
    return private + shared


def proportional_bytes(pids: Sequence[int]) -> int:
    """Memory of those processes with each shared page counted once (their Pss): what `memory_bytes` overstates after a fork.

    Takes milliseconds for each process, so it is for when the quick sum gives cause.
    """
    return sum(_proportional_size(pid) for pid in pids)


def deleted_open_bytes(pids: Sequence[int], folder: Path) -> int:
    """Bytes on the file system of `folder` that belong to no name any more, held open by those processes."""
    device = folder.stat().st_dev
    held: dict[int, int] = {}
    for pid in pids:
        for status in _open_files(pid):
            if status.st_nlink == 0 and status.st_dev == device and stat.S_ISREG(status.st_mode):
                held[status.st_ino] = status.st_blocks * BLOCK_BYTES
    return sum(held.values())


def _children(pid: int) -> list[int]:
    """The children of a process, whichever of its threads started them.

    Raises:
        OSError: when the process has ended.
    """
    children: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (thread / "children").read_text().split())
    except FileNotFoundError:
        if not Path("/proc/self/task", str(os.getpid()), "children").exists():
            return _children_by_search(pid)
        if not Path(f"/proc/{pid}").exists():
            raise
    return children


def _children_by_search(pid: int) -> list[int]:
    """The same for a kernel without CONFIG_PROC_CHILDREN."""
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error as exc:
        raise ProcessLookupError(pid) from exc


def _status_sizes(pid: int) -> dict[str, int]:
    """The lines of /proc/PID/status that are sizes, in bytes; none when the process has ended."""
    return _sizes(Path(f"/proc/{pid}/status"))


def _proportional_size(pid: int) -> int:
    sizes = _sizes(Path(f"/proc/{pid}/smaps_rollup"))
    return sizes["Pss"] + sizes.get("SwapPss", 0) if "Pss" in sizes else memory_bytes([pid])


def _sizes(path: Path) -> dict[str, int]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    sized = (line.split() for line in lines if line.endswith(" kB"))
    return {name.rstrip(":"): int(kilobytes) * _KILOBYTE for name, kilobytes, _ in sized}


def _open_files(pid: int) -> Iterator[os.stat_result]:
    try:
        descriptors = list(os.scandir(f"/proc/{pid}/fd"))
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield descriptor.stat()
        except OSError:
            continue
