"""Locks that leave nothing behind: a file that one process holds by `flock`, and removes when it lets go of it.

The kernel lets go for a process that dies; the file that it leaves is no obstacle.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from analystd.util.remove import remove

_LOOK_AGAIN_SECONDS = 0.02


class HeldLock:
    """A lock that this process has until `release`, or until it dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release()

    @property
    def is_own(self) -> bool:
        """Whether the lock still keeps others out: its file was not removed or replaced."""
        return self._descriptor >= 0 and is_at(self._path, self._descriptor)

    def release(self) -> None:
        """Remove the file and let go. Harmless when repeated."""
        if self._descriptor < 0:
            return
        # Removed while it is held: whoever opened it before finds out that it is another's, and opens the next one.
        # A file of the same name may be another's by now, and one in a folder that was closed has to stay.
        if self.is_own:
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1


def take_lock(path: Path, seconds: float) -> HeldLock | None:
    """The lock, waited for `seconds` at the most; None when another process has it all that time.

    Raises:
        OSError: when its file cannot be made or opened.
    """
    deadline = time.monotonic() + seconds
    while (lock := _try_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_SECONDS)
    return lock


def is_locked(path: Path) -> bool:
    """Whether a living process has the lock."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _try_lock(path: Path) -> HeldLock | None:
    while True:
        if path.is_dir():
            # Nobody can hold it.
            remove(path)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        if is_at(path, descriptor):
            return HeldLock(path, descriptor)
        os.close(descriptor)


def is_at(path: Path, descriptor: int) -> bool:
    """Return whether the file at a path is the one that a descriptor has open."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
