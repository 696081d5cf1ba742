"""Measure deleted files that processes keep alive: held open, mapped, or in transit through a socket."""

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
    """The sizes of files that processes keep alive and that have no name any more."""

    disk_bytes: int = 0
    """On the file system in question."""
    memory_bytes: int = 0
    """In files that exist in memory only (memfd_create)."""
    unmeasured: bool = False
    """Whether there are more files of unknown size: in transit through a socket, or mapped where only root may look."""


def held_files(pids: Sequence[int], device: int) -> NamelessFiles:
    """Return the nameless files that processes hold in memory and on the file system with the number `device`."""
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
    """Return the `/proc` folders of a process's open files: one, unless some of its threads have their own descriptor table."""
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
    """Yield the inode and size of each nameless file that a process has mapped; None where the size may not be read."""
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
            # A file's real name may end in " (deleted)".
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
    """Return whether descriptors are in transit through a socket (reported since Linux 5.6)."""
    try:
        return _IN_FLIGHT.search(Path(place.replace("/fd/", "/fdinfo/")).read_bytes()) is not None
    except OSError:
        return False
