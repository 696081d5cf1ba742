"""Files that are read by position; all formats read through them."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from analystd.wire.errors import AnalystdError, WorkspaceError

FileKey = tuple[int, int, int, int, int]
"""Device, inode, size, and modification and change times in nanoseconds; while they are equal, cached content is valid."""


class ViewCancelledError(AnalystdError):
    """The request was cancelled; its result is not needed."""

    kind = "cancelled"


def _nothing(_fraction: float) -> None:
    return None


@dataclass(frozen=True)
class ProgressListener:
    """The cancellation flag and the progress callback of a request."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when the request is cancelled; the next read raises."""
    report: Callable[[float], None] = _nothing
    """Called with the finished part of long work, from 0 to 1; any thread may call it at any rate."""


@dataclass(frozen=True)
class PositionedFile:
    """An open regular file, with the size it had when it was opened. Reading never moves the descriptor's position."""

    name: str
    """The caller's name for the file, used in messages."""
    descriptor: int
    key: FileKey
    listener: ProgressListener = field(default_factory=ProgressListener)

    @classmethod
    def of_descriptor(cls, name: str, descriptor: int, listener: ProgressListener | None = None) -> PositionedFile:
        """Return the file behind a descriptor, which the caller owns and closes.

        Raises:
            WorkspaceError: when it is not a regular file.
        """
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise WorkspaceError(f"Not a regular file: {name}")
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return cls(name, descriptor, key, listener or ProgressListener())

    @property
    def size(self) -> int:
        """The size in bytes when the file was opened; bytes appended later are not read."""
        return self.key[2]

    def read(self, offset: int, length: int) -> bytes:
        """Return `length` bytes from `offset`, fewer only at the end.

        Raises:
            WorkspaceError: when the file has become shorter.
            ViewCancelledError: when the request was cancelled.
        """
        length = max(0, min(length, self.size - offset))
        self.raise_if_cancelled()
        data = os.pread(self.descriptor, length, offset)
        while len(data) < length:
            # Only a signal, an unusual file system or a truncated file returns fewer bytes than requested.
            self.raise_if_cancelled()
            more = os.pread(self.descriptor, length - len(data), offset + len(data))
            if not more:
                raise self.shortened()
            data += more
        return data

    def shortened(self) -> WorkspaceError:
        """Return the error for a file that ends too early."""
        return WorkspaceError(f"{self.name} became shorter while it was read", "Try again when it is complete")

    def done(self, offset: int) -> float:
        """Return the part of the file before `offset`, from 0 to 1."""
        return min(1.0, offset / self.size) if self.size else 1.0

    def reopened(self) -> PositionedFile:
        """Return the same open file with its current size and times."""
        return PositionedFile.of_descriptor(self.name, self.descriptor, self.listener)

    def raise_if_cancelled(self) -> None:
        """Raise `ViewCancelledError` if the request was cancelled."""
        if self.listener.cancelled.is_set():
            raise ViewCancelledError(f"Reading {self.name} was cancelled")


class PositionedStream(io.RawIOBase):
    """A readable, seekable stream over a `PositionedFile`; closing it leaves the file open."""

    def __init__(self, file: PositionedFile) -> None:
        super().__init__()
        self._file = file
        self._position = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the position, and return it."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return the next `size` bytes, or all remaining bytes for -1."""
        rest = max(0, self._file.size - self._position)
        data = self._file.read(self._position, rest if size is None or size < 0 else size)
        self._position += len(data)
        return data
