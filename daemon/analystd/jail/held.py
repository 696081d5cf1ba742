"""Files without a name that processes keep alive: held open, mapped, or on their way through a socket."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analystd.jail.process_tree import threads_of
from analystd.jail.resource_usage import BLOCK_BYTES

_MEMORY_FILE = "/memfd:"
_KCMP = {"x86_64": 312, "aarch64": 272}.get(platform.machine())
_KCMP_FILES = 2
_IN_FLIGHT = re.compile(rb"^scm_fds:\s*([1-9]\d*)", re.MULTILINE)
_MAPPED = re.compile(r"^([0-9a-f]+-[0-9a-f]+) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) +/.* \(deleted\)$", re.MULTILINE)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class NamelessFiles:
    """What some processes keep alive that no name leads to any more."""

    disk_bytes: int = 0
    """On the file system that was asked about."""
    memory_bytes: int = 0
    """In files that were never anywhere else (memfd_create)."""
    unmeasured: bool = False
    """Whether there is more whose size nobody tells: on its way through a socket, or mapped where only root may look."""


def held_files(pids: Sequence[int], device: int) -> NamelessFiles:
    """Find what those processes hold, on the file system of that number, beside what lies there under a name."""
    disk: dict[int, int] = {}
    in_memory: dict[tuple[int, int], int] = {}
    unmeasured = False
    for pid in pids:
        for place, status in _open_files(pid):
            if stat.S_ISSOCK(status.st_mode):
                unmeasured |= _sends_files(place)
            elif status.st_nlink or not stat.S_ISREG(status.st_mode):
                continue
            elif status.st_dev == device:
                disk[status.st_ino] = status.st_blocks * BLOCK_BYTES
            elif _is_memory_file(place):
                in_memory[status.st_dev, status.st_ino] = status.st_blocks * BLOCK_BYTES
        for inode, size in _mapped_files(pid, device):
            unmeasured |= size is None and inode not in disk
            disk.setdefault(inode, size or 0)
    return NamelessFiles(sum(disk.values()), sum(in_memory.values()), unmeasured)


def _open_files(pid: int) -> Iterator[tuple[str, os.stat_result]]:
    for table in _descriptor_tables(pid):
        try:
            descriptors = list(os.scandir(table))
        except OSError:
            continue
        for descriptor in descriptors:
            try:
                yield descriptor.path, descriptor.stat()
            except OSError:
                continue


def _descriptor_tables(pid: int) -> list[Path]:
    """Return the folders in `/proc` of a process's open files: one, unless some of its threads have descriptors of their own."""
    tables: dict[int, Path] = {}
    for thread in threads_of(pid):
        number = int(thread.name)
        if not any(_share_descriptors(number, other) for other in tables):
            tables[number] = thread / "fd"
    return list(tables.values())


def _share_descriptors(thread: int, other: int) -> bool:
    return _KCMP is not None and _libc.syscall(_KCMP, thread, other, _KCMP_FILES, 0, 0) == 0


def _is_memory_file(place: str) -> bool:
    try:
        return os.readlink(place).startswith(_MEMORY_FILE)  # noqa: PTH115
    except OSError:
        return False


def _mapped_files(pid: int, device: int) -> Iterator[tuple[int, int | None]]:
    """Yield the inode and the size of each file without a name that a process has mapped; no size where it may not be asked for."""
    seen: set[int] = set()
    for place, major, minor, inode in _MAPPED.findall(_maps(pid)):
        if os.makedev(int(major, 16), int(minor, 16)) != device or int(inode) in seen:
            continue
        seen.add(int(inode))
        try:
            status = os.stat(f"/proc/{pid}/map_files/{place}")  # noqa: PTH116
        except OSError:
            yield int(inode), None
        else:
            # A name may end in " (deleted)" by itself.
            if status.st_nlink == 0:
                yield int(inode), status.st_blocks * BLOCK_BYTES


def _maps(pid: int) -> str:
    for place in (Path(f"/proc/{pid}"), *threads_of(pid)):
        try:
            if maps := (place / "maps").read_text("utf-8", "replace"):
                return maps
        except OSError:
            continue
    return ""


def _sends_files(place: str) -> bool:
    """Tell whether descriptors wait in a socket for somebody to take them (Linux 5.6 says so)."""
    try:
        return _IN_FLIGHT.search(Path(place.replace("/fd/", "/fdinfo/")).read_bytes()) is not None
    except OSError:
        return False
