"""Copying and describing what hostile code has made, by descriptor, within bounds; links are copied as links and never followed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from analystd.jail.openat2 import open_beneath

_CHUNK_BYTES = 1 << 20
_READ_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777
_OWNER_ALL = 0o700


@dataclass
class Budget:
    """What may be read at the most; what goes beyond it raises OSError (EFBIG)."""

    entries: int = 50_000
    size_bytes: int = 1 << 30
    depth: int = 64

    def take(self, *, entries: int = 0, size_bytes: int = 0, depth: int = 0) -> None:
        """Count something in."""
        self.entries -= entries
        self.size_bytes -= size_bytes
        if self.entries < 0 or self.size_bytes < 0 or depth > self.depth:
            raise OSError(errno.EFBIG, "there is too much of it")


@dataclass
class Description:
    """What a file or folder holds."""

    files: list[tuple[str, int]] = field(default_factory=list)
    """Paths and sizes in bytes, at most as many as were asked for."""
    count: int = 0
    size_bytes: int = 0
    digest: str = ""
    """Of all names inside, permissions and contents: the same for a copy."""


def describe(folder: int, name: str, budget: Budget, most: int) -> Description:
    """Read `name` in a folder to its end.

    Raises:
        OSError: when it cannot be read, or is more than the budget.
    """
    told, digest = Description(), hashlib.sha256()
    for path, status, descriptor in _entries(folder, name, budget):
        kind = stat.S_IFMT(status.st_mode)
        digest.update(b"\0".join([os.fsencode(_inner(path)), f"{kind} {_permissions(status)}".encode(), b""]))
        if kind == stat.S_IFREG:
            size = sum(map(len, _updating(digest, _chunks(descriptor, budget))))
            told.size_bytes += size
        if kind == stat.S_IFLNK:
            digest.update(os.fsencode(os.readlink("", dir_fd=descriptor)) + b"\0")
        if kind != stat.S_IFDIR:
            told.count += 1
            if len(told.files) < most:
                told.files.append((path, status.st_size))
    told.digest = digest.hexdigest()
    return told


def fill(source_folder: int, name: str, target: int, budget: Budget) -> None:
    """Copy the content of the file or folder `name` into an empty one of the same kind, which the descriptor `target` names.

    Raises:
        OSError: when it cannot be read or written, or is more than the budget. Pipes, sockets and devices in it are left out.
    """
    for path, status, descriptor in _entries(source_folder, name, budget):
        if inner := _inner(path):
            _make(target, inner, status, descriptor, budget)
            continue
        if stat.S_ISREG(status.st_mode):
            _write_all(target, descriptor, budget)
        os.fchmod(target, _permissions(status))


def _make(target: int, path: str, status: os.stat_result, descriptor: int, budget: Budget) -> None:
    """One entry of a copied folder; the folders around it are there already."""
    kind, mode = stat.S_IFMT(status.st_mode), _permissions(status)
    around, _, name = path.rpartition("/")
    folder = open_beneath(target, around or ".", os.O_PATH | os.O_DIRECTORY)
    try:
        if kind == stat.S_IFDIR:
            os.mkdir(name, mode, dir_fd=folder)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink("", dir_fd=descriptor), name, dir_fd=folder)
        elif kind == stat.S_IFREG:
            new = os.open(name, _NEW_FILE, mode, dir_fd=folder)
            try:
                _write_all(new, descriptor, budget)
                os.fchmod(new, mode)
            finally:
                os.close(new)
    finally:
        os.close(folder)


def _inner(path: str) -> str:
    """A path without the name of the whole."""
    return path.partition("/")[2]


def _permissions(status: os.stat_result) -> int:
    """Those that a copy gets: without set-user-ID, and a folder can be entered."""
    return status.st_mode & _PERMISSIONS | (_OWNER_ALL if stat.S_ISDIR(status.st_mode) else 0)


def _entries(folder: int, name: str, budget: Budget) -> Iterator[tuple[str, os.stat_result, int]]:
    """`name` and all below it, folders before what is in them and names in order, each with a descriptor that is open for the moment."""
    todo = [(name, 0)]
    while todo:
        path, depth = todo.pop()
        budget.take(entries=1, depth=depth)
        with _opened(folder, path) as (descriptor, status):
            yield path, status, descriptor
            if stat.S_ISDIR(status.st_mode):
                with os.scandir(descriptor) as inside:
                    names = sorted((entry.name for entry in inside), reverse=True)
                todo += [(f"{path}/{each}", depth + 1) for each in names]


@contextmanager
def _opened(folder: int, path: str) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor for reading, or of what cannot be read (links, pipes) one that only names it."""
    named = open_beneath(folder, path, os.O_PATH)
    try:
        status = os.fstat(named)
        flags = {stat.S_IFREG: _READ_FILE, stat.S_IFDIR: _READ_FOLDER}.get(stat.S_IFMT(status.st_mode))
        if flags is None:
            yield named, status
            return
        descriptor = os.open(f"/proc/self/fd/{named}", flags)
        try:
            yield descriptor, status
        finally:
            os.close(descriptor)
    finally:
        os.close(named)


def _chunks(descriptor: int, budget: Budget) -> Iterator[bytes]:
    while chunk := os.read(descriptor, _CHUNK_BYTES):
        budget.take(size_bytes=len(chunk))
        yield chunk


def _updating(digest: hashlib._Hash, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _write_all(target: int, source: int, budget: Budget) -> None:
    for chunk in _chunks(source, budget):
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
