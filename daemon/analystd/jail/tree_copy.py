"""Copy and describe files that hostile code may have created: by descriptor, within a budget, never following links."""

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
    """The maximum amount to read; exceeding it raises OSError (EFBIG)."""

    entries: int = 50_000
    size_bytes: int = 1 << 30
    depth: int = 64

    def take(self, *, entries: int = 0, size_bytes: int = 0, depth: int = 0) -> None:
        """Subtract from the budget.

        Raises:
            OSError: when the budget is exceeded.
        """
        self.entries -= entries
        self.size_bytes -= size_bytes
        if self.entries < 0 or self.size_bytes < 0 or depth > self.depth:
            raise OSError(errno.EFBIG, "it is too large or too deeply nested")


@dataclass
class Description:
    """The content of a file or folder."""

    files: list[tuple[str, int]] = field(default_factory=list)
    """Paths and sizes in bytes, at most as many as requested."""
    count: int = 0
    size_bytes: int = 0
    digest: str = ""
    """A digest of all names, permissions and contents; a copy has the same digest."""


def describe(folder: int, name: str, budget: Budget, most: int) -> Description:
    """Read `name` in a folder completely and describe it, listing at most `most` files.

    Raises:
        OSError: when it cannot be read or exceeds the budget.
    """
    description, digest = Description(), hashlib.sha256()
    for path, status, descriptor in _entries(folder, name, budget):
        kind = stat.S_IFMT(status.st_mode)
        digest.update(b"\0".join([os.fsencode(_inner(path)), f"{kind} {_permissions(status)}".encode(), b""]))
        if kind == stat.S_IFREG:
            size = sum(map(len, _updating(digest, _chunks(descriptor, budget))))
            description.size_bytes += size
        if kind == stat.S_IFLNK:
            digest.update(os.fsencode(os.readlink("", dir_fd=descriptor)) + b"\0")
        if kind != stat.S_IFDIR:
            description.count += 1
            if len(description.files) < most:
                description.files.append((path, status.st_size))
    description.digest = digest.hexdigest()
    return description


def fill(source_folder: int, name: str, target: int, budget: Budget) -> None:
    """Copy the content of the file or folder `name` into an empty one of the same kind, the descriptor `target`.

    Pipes, sockets and devices in it are skipped.

    Raises:
        OSError: when it cannot be read or written, or exceeds the budget.
    """
    for path, status, descriptor in _entries(source_folder, name, budget):
        if inner := _inner(path):
            _make(target, inner, status, descriptor, budget)
            continue
        if stat.S_ISREG(status.st_mode):
            _write_all(target, descriptor, budget)
        os.fchmod(target, _permissions(status))


def _make(target: int, path: str, status: os.stat_result, descriptor: int, budget: Budget) -> None:
    """Copy one entry of a folder; its parent folders exist already."""
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
    """Return a path without its first component."""
    return path.partition("/")[2]


def _permissions(status: os.stat_result) -> int:
    """Return the permissions for a copy: without set-user-ID, and with full access to folders for their owner."""
    return status.st_mode & _PERMISSIONS | (_OWNER_ALL if stat.S_ISDIR(status.st_mode) else 0)


def _entries(folder: int, name: str, budget: Budget) -> Iterator[tuple[str, os.stat_result, int]]:
    """Yield `name` and everything below it, folders before their content, names sorted, each with a descriptor open meanwhile."""
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
    """Open a file or folder for reading, anything else (links, pipes) with `O_PATH`."""
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
