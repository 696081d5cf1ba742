"""Walk through a folder tree, even if it is nested too deeply for a walk by path or is renamed meanwhile."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

_LONGEST_RELATIVE = 2000


class Folder:
    """A folder on a walk; its `descriptor` is open while its entries are visited."""

    def __init__(self, name: str, parent: Folder | None) -> None:
        self.name = name
        """Its name; empty for the root of the walk."""
        self.parent = parent
        self.is_foreign = False
        """Whether it is on another file system than the root."""
        self.is_apart = False
        """For the visitor's use: whether it and everything below needs different treatment."""
        self.apart: set[str] | None = None
        """For the visitor's use: the names of entries that need different treatment."""
        self.descriptor = -1

    def path_of(self, name: str) -> str:
        """Return the path of an entry, relative to the root of the walk."""
        # The path is not stored: for folders nested a hundred thousand deep, all paths together would fill the memory.
        parts = [name]
        folder: Folder | None = self
        while folder is not None:
            parts.append(folder.name)
            folder = folder.parent
        return "/".join(reversed(parts)).removeprefix("/")


class TreeVisitor:
    """The callbacks of a walk."""

    def enters(self, folder: Folder) -> bool:
        """Return whether to read a folder; called when its descriptor is open."""
        return True

    def visits(self, folder: Folder, entry: os.DirEntry[str]) -> bool:
        """Visit an entry of a folder; return whether to walk it too if it is a folder."""
        raise NotImplementedError

    def leaves(self, folder: Folder) -> None:
        """Called after a folder's entries, before any of its subfolders is entered."""


def walk(root: Path, visitor: TreeVisitor, *, goes_on: Callable[[], bool] = lambda: True) -> None:
    """Walk `root` and all folders below it without following links. Stop early once `goes_on` returns False.

    Folders that cannot be read, or that disappear meanwhile, are skipped.

    Raises:
        OSError: when `root` itself cannot be opened.
    """
    anchor = _Anchor(str(root))
    device = os.fstat(anchor.descriptor).st_dev
    todo: list[tuple[_Anchor, str, str, Folder | None]] = [(anchor, ".", "", None)]
    while todo and goes_on():
        anchor, relative, name, parent = todo.pop()
        # Folders come and go while they are walked.
        with contextlib.suppress(OSError):
            if len(relative) > _LONGEST_RELATIVE:
                anchor, relative = _Anchor(relative, anchor.descriptor), "."
            folder, below = _visit(anchor, relative, Folder(name, parent), device, visitor)
            todo += [(anchor, f"{relative}/{each}", each, folder) for each in below]


class _Anchor:
    """An open folder that paths are relative to; closed with its last user."""

    def __init__(self, path: str, within: int | None = None) -> None:
        self.descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


def _visit(
    anchor: _Anchor, relative: str, folder: Folder, device: int, visitor: TreeVisitor
) -> tuple[Folder, list[str]]:
    """Visit one folder; return the names of the subfolders to walk."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder.descriptor = os.open(relative, flags, dir_fd=anchor.descriptor)
    names: list[str] = []
    try:
        folder.is_foreign = os.fstat(folder.descriptor).st_dev != device
        if not visitor.enters(folder):
            return folder, []
        with os.scandir(folder.descriptor) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if visitor.visits(folder, entry) and entry.is_dir(follow_symlinks=False):
                        names.append(entry.name)
        visitor.leaves(folder)
    finally:
        os.close(folder.descriptor)
        folder.descriptor = -1
    return folder, names
