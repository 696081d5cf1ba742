"""Explain in one sentence an error that the sandbox caused, and its remedy; say nothing about other errors.

Only the session's process has the exception itself, with its number and paths. The daemon sends the description of the sandbox at the start.
"""

from __future__ import annotations

import builtins
import errno
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .load_guard import is_explained
from .temporary import PRIVATE

_GROUPS: Any = getattr(builtins, "BaseExceptionGroup", ())
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ECONNREFUSED, errno.EAFNOSUPPORT})
_REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_PATH_IN_MESSAGE = re.compile(r"""(?:^|['"]|: )(/[^'"\n]+?)(?=['"\n]|$)""")
_INSTALL = re.compile(
    r"(?:^|[\s;&|/])(?:pip[\d.]*|uv|conda|mamba|micromamba|poetry|apt|apt-get)\s(?:[^;&|]*\s)?(?:install|download|add|sync|update)\b"
)
_SYSTEM_FILES = ("/dev", "/proc", "/sys")
_SEALED = frozenset({errno.EROFS, errno.EBUSY, errno.EXDEV})
"""Linux's errors for writing below a read-only mount, for removing or renaming the mount itself, and for linking into it."""

_FEW = 20


@dataclass(frozen=True)
class SessionAccess:
    """What the session may access, as far as it explains errors."""

    workspace: str
    read_only: tuple[str, ...]
    """The paths in AGENT_READ_ONLY_PATHS, and the folders of the system and the interpreter."""
    runtime: str
    """The session's private folder besides the workspace."""
    hides: bool
    """Whether paths outside seem not to exist, rather than to be forbidden."""
    memory_bytes: int
    """The memory of the machine, or of the container."""

    def explain(self, error: BaseException) -> str | None:
        """Return a sentence on an error that the sandbox caused; None for other errors."""
        causes = list(_causes(error))
        if any(isinstance(cause, MemoryError) for cause in causes):
            return None if any(map(is_explained, causes)) else self._memory()
        if any(_is_failed_install(cause) for cause in causes) or any(map(_is_network, _network_causes(error, causes))):
            return self.network()
        return next((text for cause in causes if isinstance(cause, OSError) if (text := self._path(cause))), None)

    def explain_command(self, command: str, status: int) -> str | None:
        """Return a sentence on a shell command that failed because there is no network; else None."""
        return self.network() if status != 0 and _INSTALL.search(command) else None

    def network(self) -> str:
        """Return the advice for code that needs a network."""
        return (
            "This session has no network: copy data into the workspace from outside, and install packages outside too, with "
            f"`{sys.executable} -m pip install …`, or set AGENT_PYTHON to another interpreter."
        )

    def _memory(self) -> str:
        return (
            f"The machine has {self.memory_bytes / 1e9:.1f} GB of memory in total: load less data at a time, for example selected "
            "columns, rows or chunks."
        )

    def _path(self, error: OSError) -> str | None:
        for path in _paths(error):
            if (text := self._explain_path(path, _number(error))) is not None:
                return text
        return None

    def _explain_path(self, path: str, number: int | None) -> str | None:
        real = _real(path)
        if real is None:
            return None
        if _is_below(real, (self.workspace,)):
            return self._sealed(path, real) if number in _SEALED else None
        if _is_below(real, (self.runtime, *_SYSTEM_FILES)):
            return None
        if _is_below(real, self.read_only):
            # If the file's own permissions permit writing, it was the sandbox that refused.
            if number == errno.EROFS or (number in _REFUSED and _may_write(real)):
                return f"{path!r} is read-only: the session can write only in the workspace {self.workspace}."
            return None
        if self.hides and number == errno.ENOENT and os.path.dirname(real) in PRIVATE:  # noqa: PTH120
            return (
                f"{path!r} does not exist: {os.path.dirname(real)} is private to the session, and is deleted with it."  # noqa: PTH120
            )
        if number in _REFUSED or (number in (errno.ENOENT, None) and self.hides):
            return (
                f"{path!r} is outside of the workspace {self.workspace}: the session can write only there, and elsewhere can "
                "read only the folders in the setting AGENT_READ_ONLY_PATHS."
            )
        return None

    def _sealed(self, path: str, real: str) -> str | None:
        """Explain a path in the workspace that is mounted read-only; return None if the whole workspace is read-only."""
        sealed = None
        while real != self.workspace:
            if _is_read_only(real):
                sealed = real
            real = os.path.dirname(real)  # noqa: PTH120
        if sealed is None or _is_read_only(self.workspace):
            return None
        name = os.path.relpath(sealed, self.workspace)
        return (
            f"{path!r} is read-only: tools outside of the session's sandbox execute or trust files in {name!r}, so code in "
            "the session may not change it. Change it outside."
        )


def walls_from(values: dict[str, Any]) -> SessionAccess:
    """Return the description of the sandbox from the daemon's JSON."""
    return SessionAccess(**{**values, "read_only": tuple(values["read_only"])})


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error, its causes, exceptions among its arguments (as in httpcore) and the members of a group."""
    todo, seen = [error], set[int]()
    while todo and len(seen) < _FEW:
        cause = todo.pop(0)
        if id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            members = getattr(cause, "exceptions", ()) if isinstance(cause, _GROUPS) else ()
            todo += [each for each in (cause.__cause__, *cause.args, *members) if isinstance(each, BaseException)]


def _network_causes(error: BaseException, causes: list[BaseException]) -> Iterator[BaseException]:
    """Yield causes and contexts: libraries raise their own error while handling the system's; user code does so for other reasons."""
    yield from causes
    seen = set(map(id, causes))
    current: BaseException | None = error
    while current is not None and _is_of_library_or_system(current) and len(seen) < _FEW + len(causes):
        reason = getattr(current, "reason", None)
        if isinstance(reason, BaseException):
            yield reason
        hidden = None if current.__suppress_context__ else current.__context__
        current = current.__cause__ or hidden
        if current is None or id(current) in seen:
            return
        seen.add(id(current))
        yield current


def _is_of_library_or_system(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] not in ("builtins", "__main__")


def _is_network(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return True
    return isinstance(error, OSError) and error.errno in _NO_WAY and error.filename is None


def _is_failed_install(error: BaseException) -> bool:
    if not isinstance(error, subprocess.CalledProcessError):
        return False
    command = error.cmd if isinstance(error.cmd, str) else " ".join(map(str, error.cmd))
    return _INSTALL.search(command) is not None


def _paths(error: OSError) -> Iterator[str]:
    named = [name for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    yield from map(os.fsdecode, named)
    if not named:
        # Libraries written in other languages have the path only in the message.
        yield from _PATH_IN_MESSAGE.findall(str(error)[:10_000])[:_FEW]


def _number(error: OSError) -> int | None:
    if error.errno is not None:
        return error.errno
    return {FileNotFoundError: errno.ENOENT, PermissionError: errno.EACCES}.get(type(error))


def _real(path: str) -> str | None:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return None


def _is_read_only(path: str) -> bool:
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        # A path that does not exist yet is as writable as its folder.
        return False


def _may_write(path: str) -> bool:
    place = path if os.path.lexists(path) else os.path.dirname(path)  # noqa: PTH120
    return os.access(place, os.W_OK)


def _is_below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)
