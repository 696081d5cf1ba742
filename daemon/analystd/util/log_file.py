"""A log file for its user alone, of bounded size, that follows no link planted in a shared folder."""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from pathlib import Path

MAX_BYTES = 10_000_000
OLDER_FILES = 3
MAX_RECORD_BYTES = 64 * 1024
"""Longer records are cut, so that a single one cannot fill the log."""

_CHECK_SECONDS = 1.0


class RollingFile:
    """Appends to the file `path`. Full files are kept as `path.1`, `path.2`, …, and the oldest one is removed.

    A file that was removed or renamed by another program is created again.

    Raises:
        OSError: when the file cannot be created, or does not belong to the user.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, older_files: int = OLDER_FILES) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._older_files = older_files
        self._descriptor = _opened(path)
        self._checked_at = time.monotonic()

    def append(self, data: bytes | bytearray) -> int:
        """Write `data` at the end.

        Returns:
            How many of the bytes were written.

        Raises:
            OSError: when none can be.
        """
        if self._descriptor < 0:
            return 0
        if time.monotonic() - self._checked_at > _CHECK_SECONDS:
            self._checked_at = time.monotonic()
            if not self._is_in_place():
                self._reopen()
        if (size := os.fstat(self._descriptor).st_size) > 0 and size + len(data) > self._max_bytes:
            self._roll()
        return os.write(self._descriptor, data)

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(self.path.lstat(), os.fstat(self._descriptor))
        except OSError:
            return False

    def _reopen(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = _opened(self.path)
        os.close(self._descriptor)
        self._descriptor = descriptor

    def _roll(self) -> None:
        """Begin a new file. If the full one cannot be renamed, it is emptied."""
        names = [self.path, *(self.path.with_name(f"{self.path.name}.{n}") for n in range(1, self._older_files + 1))]
        try:
            for older, newer in reversed(list(zip(names[1:], names, strict=False))):
                if os.path.lexists(newer):
                    newer.replace(older)
            self._reopen()
        except OSError:
            os.ftruncate(self._descriptor, 0)


class LogFile(logging.Handler):
    """Writes records to a rolling file. Records that cannot be written are dropped.

    Raises:
        OSError: as a `RollingFile` does.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, older_files: int = OLDER_FILES) -> None:
        super().__init__()
        self.path = path
        self._file = RollingFile(path, max_bytes=max_bytes, older_files=older_files)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            self._file.append(_cut(self.format(record).encode("utf-8", "backslashreplace")) + b"\n")
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        self._file.close()
        super().close()


def open_log(folder: Path, name: str) -> LogFile:
    """Open the log `name` in a folder, which is created for the user alone if it is missing.

    Raises:
        OSError: when it cannot be created, or the folder or the file belongs to another user or is a link of theirs.
    """
    if not os.path.lexists(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not {folder.lstat().st_uid, folder.stat().st_uid} <= {os.geteuid(), 0}:
        raise _refusal("it belongs to another user", folder)
    return LogFile(folder / name)


def _opened(path: Path) -> int:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as exc:
        raise _refusal("it is a link", path) if exc.errno == errno.ELOOP else exc from None
    about = os.fstat(descriptor)
    try:
        if not stat.S_ISREG(about.st_mode):
            raise _refusal("it is not a regular file", path)
        if about.st_uid != os.geteuid():
            raise _refusal("it belongs to another user", path)
        if about.st_nlink > 1:
            raise _refusal("it has another hard link", path)
        if stat.S_IMODE(about.st_mode) & 0o077:
            os.fchmod(descriptor, 0o600)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refusal(why: str, path: Path) -> OSError:
    return OSError(errno.EPERM, why, str(path))


def _cut(line: bytes) -> bytes:
    if len(line) <= MAX_RECORD_BYTES:
        return line
    kept = line[:MAX_RECORD_BYTES].decode("utf-8", "ignore").encode()
    return kept + b" ... (%d bytes more)" % (len(line) - len(kept))
