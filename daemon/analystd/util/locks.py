"""Locks that leave no files behind: a file that one process holds by `flock`, and removes when it releases the lock.

When a process dies, the kernel releases its lock. The remaining file is no obstacle.
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
    """A lock that this process holds until `release`, or until it dies."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.release()

    @property
    def is_own(self) -> bool:
        """Whether the lock still excludes others: its file was not removed or replaced."""
        return self._descriptor >= 0 and is_at(self._path, self._descriptor)

    def release(self) -> None:
        """Remove the file and release the lock. Harmless when repeated."""
        if self._descriptor < 0:
            return
        # Removed while it is held: a process that opened it before notices that, and opens the next one.
        # The file of this name may belong to another process by now, and the folder may not allow its removal.
        if self.is_own:
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1


def take_lock(path: Path, seconds: float) -> HeldLock | None:
    """Return the lock, after waiting at most `seconds` for it; None when another process holds it all that time.

    Raises:
        OSError: when its file cannot be created or opened.
    """
    deadline = time.monotonic() + seconds
    while (lock := _try_lock(path)) is None and time.monotonic() < deadline:
        time.sleep(_LOOK_AGAIN_SECONDS)
    return lock


def is_locked(path: Path) -> bool:
    """Return whether a living process holds the lock."""
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
            # No process can hold a folder.
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
    """Return whether a descriptor refers to the file at a path."""
    with contextlib.suppress(OSError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False
