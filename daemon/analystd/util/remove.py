"""Remove files and folders, whatever hostile code has made of them.

`shutil.rmtree` recurses, so deeply nested folders stop it. This walks with a bounded number of open descriptors, and first moves folders that
are nested more deeply up to the top. It follows no link and enters no other file system.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_MOST_OPEN = 32
"""Maximum number of nested folders that are open at once. Deeper ones are moved up."""

_MOST_REPORTED = 20
_READ_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NAME_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Unremoved:
    """Something that could not be removed, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def remove(path: Path, *, seconds: float = 60.0) -> list[Unremoved]:
    """Remove a file, a link, or a folder with its content. The target of a link stays.

    Restores permissions that the owner of a folder has removed. Never raises, and takes no longer than `seconds`.

    Returns:
        Examples of what could not be removed, and why; an empty list if `path` did not exist.
    """
    removal = _Removal(path, time.monotonic() + seconds)
    try:
        with _opened(str(path.parent), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) as parent:
            removal.run(parent)
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as exc:
        removal.report(path, exc)
    return removal.left


@dataclass
class _Folder:
    """A folder that is being emptied."""

    path: Path
    descriptor: int
    entries: Iterator[os.DirEntry[str]]
    end_entries: Callable[[], None]

    def close(self) -> None:
        self.end_entries()
        os.close(self.descriptor)


class _Removal:
    def __init__(self, path: Path, deadline: float) -> None:
        self.left: list[Unremoved] = []
        self._path = path
        self._deadline = deadline
        self._progress = 0
        self._mount: object = None

    def run(self, parent: int) -> None:
        name = self._path.name
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            os.unlink(name, dir_fd=parent)
            return
        with contextlib.closing(_entered(self._path, name, parent)) as top:
            self._mount = _mount_of(top.descriptor)
        before = -1
        # A file system may skip entries while others are removed, and entries that were moved up come last.
        while self._progress > before:
            before = self._progress
            self.left.clear()
            self._pass(_entered(self._path, name, parent))
            with contextlib.suppress(OSError):
                os.rmdir(name, dir_fd=parent)
                return
        if not self.left:
            os.rmdir(name, dir_fd=parent)

    def report(self, path: Path, problem: Exception | str) -> None:
        if len(self.left) < _MOST_REPORTED:
            reason = problem.strerror if isinstance(problem, OSError) else str(problem)
            self.left.append(Unremoved(path, reason or str(problem)))

    def _pass(self, top: _Folder) -> None:
        """Go once through everything below a folder, and remove what is possible."""
        stack = [top]
        try:
            while stack:
                if time.monotonic() > self._deadline:
                    self.report(self._path, "there was not enough time")
                    return
                folder = stack[-1]
                if (entry := self._next(folder)) is not None:
                    self._take(entry, stack)
                    continue
                stack.pop().close()
                if stack:
                    self._remove_folder(folder, stack[-1])
        finally:
            for folder in stack:
                folder.close()

    def _next(self, folder: _Folder) -> os.DirEntry[str] | None:
        try:
            return next(folder.entries, None)
        except OSError as exc:
            self.report(folder.path, exc)
            return None

    def _take(self, entry: os.DirEntry[str], stack: list[_Folder]) -> None:
        """Remove a file, or enter a folder."""
        within = stack[-1]
        try:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=within.descriptor)
                self._progress += 1
            elif len(stack) >= _MOST_OPEN:
                self._move_up(entry.name, within, stack[0])
            else:
                self._enter(entry.name, stack)
        except FileNotFoundError:
            pass
        except OSError as exc:
            self.report(within.path / entry.name, exc)

    def _enter(self, name: str, stack: list[_Folder]) -> None:
        within = stack[-1]
        folder = _entered(within.path / name, name, within.descriptor)
        if _mount_of(folder.descriptor) == self._mount:
            stack.append(folder)
        else:
            folder.close()
            self.report(folder.path, "another file system is mounted there")

    def _move_up(self, name: str, within: _Folder, top: _Folder) -> None:
        _allow_owner(name, within.descriptor)
        os.rename(name, f".{os.urandom(8).hex()}", src_dir_fd=within.descriptor, dst_dir_fd=top.descriptor)
        self._progress += 1

    def _remove_folder(self, folder: _Folder, within: _Folder) -> None:
        try:
            os.rmdir(folder.path.name, dir_fd=within.descriptor)
            self._progress += 1
        except FileNotFoundError:
            pass
        except OSError as exc:
            self.report(folder.path, exc)


@contextlib.contextmanager
def _opened(name: str, flags: int, within: int | None = None) -> Iterator[int]:
    descriptor = os.open(name, flags, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _entered(path: Path, name: str, within: int) -> _Folder:
    """Open a folder to read and change it, restoring its owner's permissions if necessary."""
    try:
        descriptor = os.open(name, _READ_FOLDER, dir_fd=within)
    except PermissionError:
        _allow_owner(name, within)
        descriptor = os.open(name, _READ_FOLDER, dir_fd=within)
    try:
        _allow_owner(name, within)
        entries = os.scandir(descriptor)
        return _Folder(path, descriptor, entries, entries.close)
    except BaseException:
        os.close(descriptor)
        raise


def _allow_owner(name: str, within: int) -> None:
    """Give the owner of a folder all permissions, if that is the current user."""
    with contextlib.suppress(OSError), _opened(name, _NAME_FOLDER, within) as folder:
        about = os.fstat(folder)
        if about.st_mode & stat.S_IRWXU != stat.S_IRWXU and about.st_uid == os.geteuid():
            # fchmod does not accept a descriptor opened with O_PATH.
            Path(f"/proc/self/fd/{folder}").chmod(stat.S_IMODE(about.st_mode) | stat.S_IRWXU)


def _mount_of(descriptor: int) -> object:
    """Return the identity of the mount of a descriptor: its id if the system provides it, else the device."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
            if line.startswith("mnt_id:"):
                return line
    return os.fstat(descriptor).st_dev
