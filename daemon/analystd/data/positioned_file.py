"""A file that is read by position: what every format here reads through, whoever opened it."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from analystd.wire.errors import AnalystdError, WorkspaceError

FileKey = tuple[int, int, int, int, int]
"""Device, inode, size, and times of modification and of change in nanoseconds: as long as they hold, what is known of the content holds."""


class ViewCancelledError(AnalystdError):
    """The caller has lost interest; nobody reads this answer."""

    kind = "cancelled"


def _nothing(_fraction: float) -> None:
    return None


@dataclass(frozen=True)
class ProgressListener:
    """Who asked: may lose interest, and likes to hear how far the work is."""

    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when the request is cancelled; the next read raises."""
    report: Callable[[float], None] = _nothing
    """Told what part of long work is done, from 0 to 1; any thread may call it, as often as it likes."""


@dataclass(frozen=True)
class PositionedFile:
    """An open regular file, as long as it was when it was opened. Reading never moves the descriptor's own position."""

    name: str
    """What the caller calls it; messages say it."""
    descriptor: int
    key: FileKey
    caller: ProgressListener = field(default_factory=ProgressListener)

    @classmethod
    def of_descriptor(cls, name: str, descriptor: int, caller: ProgressListener | None = None) -> PositionedFile:
        """The file behind a descriptor, which the caller keeps and closes.

        Raises:
            WorkspaceError: when it is no regular file.
        """
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise WorkspaceError(f"Not a regular file: {name}")
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return cls(name, descriptor, key, caller or ProgressListener())

    @property
    def size(self) -> int:
        """Bytes when it was opened; what was appended since is not read."""
        return self.key[2]

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`: `length` of them, fewer only at the end.

        Raises:
            WorkspaceError: when the file has become shorter meanwhile.
            ViewCancelledError: when the request was cancelled.
        """
        length = max(0, min(length, self.size - offset))
        self.raise_if_cancelled()
        data = os.pread(self.descriptor, length, offset)
        while len(data) < length:
            # Only a signal, a strange file system or a file that was cut gives less than was asked.
            self.raise_if_cancelled()
            more = os.pread(self.descriptor, length - len(data), offset + len(data))
            if not more:
                raise self.shortened()
            data += more
        return data

    def shortened(self) -> WorkspaceError:
        """The error for a file that ends too early."""
        return WorkspaceError(f"{self.name} became shorter while it was read", "Try again when it is complete")

    def done(self, offset: int) -> float:
        """Which part of the file lies before `offset`, from 0 to 1."""
        return min(1.0, offset / self.size) if self.size else 1.0

    def reopened(self) -> PositionedFile:
        """The same open file as it is now."""
        return PositionedFile.of_descriptor(self.name, self.descriptor, self.caller)

    def raise_if_cancelled(self) -> None:
        """Raise `ViewCancelledError` if the caller has lost interest."""
        if self.caller.cancelled.is_set():
            raise ViewCancelledError(f"Reading {self.name} was cancelled")


class PositionedStream(io.RawIOBase):
    """A readable, seekable stream over a `PositionedFile`; it closes nothing."""

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
        """The new position."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, all the rest for -1."""
        rest = max(0, self._file.size - self._position)
        data = self._file.read(self._position, rest if size is None or size < 0 else size)
        self._position += len(data)
        return data
