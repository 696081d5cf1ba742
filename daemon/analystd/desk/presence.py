"""Check that the folder of a desk is still in its place, so that no run works in a removed folder."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analystd.wire.errors import WorkspaceError

_AT_FDCWD = -100
_STATX_BASIC_STATS_AND_BIRTH = 0xFFF
_STATX_BYTES = 256
_BIRTH = struct.Struct("=qI")
_BIRTH_OFFSET = 80

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class _Identity:
    """The identity of a folder. A new folder may get the inode number of a removed one, but not its time of creation."""

    device: int
    number: int
    born: tuple[int, int]


class Presence:
    """Compares the folder at a path with the one that was there at first.

    Raises:
        OSError: if there is no folder at first.
    """

    def __init__(self, root: Path) -> None:
        self.on_replaced: Callable[[], None] = lambda: None
        """Called when work is requested and another folder has taken the place of the first one."""
        self._root = root
        self._identity = _identity_of(root)

    @property
    def is_replaced(self) -> bool:
        """Whether another folder is there now."""
        try:
            return _identity_of(self._root) != self._identity
        except OSError:
            return False

    @property
    def problem(self) -> WorkspaceError | None:
        """Why the folder cannot be used now, and what to do; None if it can."""
        root = self._root
        try:
            if _identity_of(root) == self._identity:
                return None
        except FileNotFoundError:
            return WorkspaceError(
                f"The workspace {root} is gone: it was removed, renamed or unmounted",
                f"Put it back to go on, or make it anew (`mkdir {root}`): then its Python sessions start afresh.",
            )
        except NotADirectoryError:
            return WorkspaceError(
                f"The workspace {root} is no folder any more", f"Put the folder back in the place of {root}."
            )
        except OSError as exc:
            return WorkspaceError(
                f"The workspace {root} cannot be reached: {exc.strerror}", "Let it be entered again to go on."
            )
        return WorkspaceError(
            f"Another folder has taken the place of the workspace {root}",
            "Ask again to work in that one; the Python sessions of the former folder end, with their variables.",
        )

    def require(self) -> None:
        """Refuse work if the folder is not in its place.

        Raises:
            WorkspaceError: with what happened to the folder and what to do.
        """
        if (problem := self.problem) is not None:
            if self.is_replaced:
                self.on_replaced()
            raise problem


def _identity_of(root: Path) -> _Identity:
    about = root.stat()
    if not stat.S_ISDIR(about.st_mode):
        raise NotADirectoryError(0, "it is no folder", str(root))
    return _Identity(about.st_dev, about.st_ino, _born(root))


def _born(root: Path) -> tuple[int, int]:
    """Return when the folder was created, in seconds and nanoseconds; zeros if that is not known."""
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    if not hasattr(_libc, "statx") or _libc.statx(
        _AT_FDCWD, os.fsencode(root), 0, _STATX_BASIC_STATS_AND_BIRTH, buffer
    ):
        return 0, 0
    seconds, nanoseconds = _BIRTH.unpack_from(buffer.raw, _BIRTH_OFFSET)
    return int(seconds), int(nanoseconds)
