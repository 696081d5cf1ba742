"""Atomic writing of files, within the workspace's size limit."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading

from analystd.jail.resource_usage import folder_bytes
from analystd.jail.workspace import GIGABYTE, Workspace
from analystd.wire.errors import InvalidArgumentsError, ResourceLimitError, WorkspaceError
from analystd.wire.results import WriteReport

_NEAR_THE_LIMIT = 0.8
_NEW_FILE_MODE = 0o666
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Room:
    """The space that a workspace's size limit leaves for new files.

    The workspace caches its size for a second or longer. That is accurate enough far from the limit; near it, the size is measured again.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._limit = workspace.max_gb * GIGABYTE
        self._measured = 0
        self._taken_since = 0
        self._lock = threading.Lock()

    def take(self, size: int, what: str) -> None:
        """Reserve `size` bytes.

        Raises:
            ResourceLimitError: when the workspace or the memory is at its limit, or the bytes would take the workspace over it.
        """
        self.workspace.check_resources()
        with self._lock:
            held = max(self.workspace.size_bytes(), self._measured) + self._taken_since
            if held + size > _NEAR_THE_LIMIT * self._limit:
                held = self._measured = folder_bytes(self.workspace.root)
                self._taken_since = 0
            if held + size > self._limit:
                raise ResourceLimitError(
                    f"{what} would take the workspace to {(held + size) / GIGABYTE:.3g} GB; "
                    f"its limit is {self.workspace.max_gb:g} GB",
                    f"Delete files in {self.workspace.root} or raise AGENT_WORKSPACE_MAX_GB",
                )
            self._taken_since += size


def write_file(room: Room, path: str, content: str) -> WriteReport:
    """Write `content` as UTF-8 to the file `path` atomically: readers see either the old file or the new one.

    Raises:
        WorkspaceError: for a path that the jail refuses or that cannot be written.
        ResourceLimitError: when the workspace or the memory is at its limit, or the file would take the workspace over it.
        InvalidArgumentsError: for content that UTF-8 cannot encode.
    """
    try:
        data = content.encode()
    except UnicodeEncodeError as exc:
        raise InvalidArgumentsError("content contains an unpaired surrogate, which UTF-8 cannot encode") from exc
    room.take(len(data), f"Writing {path}")
    folder, name = room.workspace.open_parent_for_write(path)
    try:
        created = _replace(folder, name, data)
    except OSError as exc:
        raise WorkspaceError(f"Cannot write {path}: {exc.strerror}") from exc
    finally:
        os.close(folder)
    return {"text": f"Wrote {len(data)} bytes to {path}", "path": path, "size": len(data), "created": created}


def _replace(folder: int, name: str, data: bytes) -> bool:
    """Write a temporary file beside `path`, rename it to `path`, keeping the mode of an existing file, and return whether the file is new."""
    mode = _mode_of(folder, name)
    temporary = f".analystd-{secrets.token_hex(8)}.tmp"
    descriptor = os.open(temporary, _CREATE, _NEW_FILE_MODE, dir_fd=folder)
    try:
        with open(descriptor, "wb") as stream:  # noqa: PTH123
            if data:
                # Allocate the space now, so that the next measurement counts it and a full disk is an error here.
                os.posix_fallocate(descriptor, 0, len(data))
            stream.write(data)
            if mode is not None:
                os.fchmod(descriptor, mode)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return mode is None


def _mode_of(folder: int, name: str) -> int | None:
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return None
