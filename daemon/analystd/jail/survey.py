"""Search a workspace for names that tools outside trust, and measure its size on the same walk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from analystd.jail.folder_watch import FolderWatch
from analystd.jail.identity import Identity, identity
from analystd.jail.resource_usage import ByteCounter
from analystd.jail.tree_walk import Folder, TreeVisitor, walk
from analystd.jail.trusted_names import FolderShape, NameGroup, TrustedNames

MAX_FOUND = 20_000
"""Maximum number of names found by one survey, because each costs memory; the rest is left for the next one."""


@dataclass(frozen=True)
class Found:
    """A file or folder in the workspace that tools outside trust."""

    path: str
    """Relative to the workspace."""
    group: NameGroup
    identity: Identity
    sealed_paths: tuple[str, ...]
    """The paths to seal so that it stays unchanged: itself, or the folder that it turns into a repository or an environment."""
    is_shape: bool = False
    """Whether it is trusted because it turns its folder into a repository or environment; it then has the folder's identity."""


@dataclass
class Survey:
    """The result of a walk through the workspace."""

    found: list[Found] = field(default_factory=list)
    size_bytes: int | None = None
    """The size of the workspace, if it was measured."""
    is_complete: bool = True
    """Whether the whole workspace was searched."""


def survey(root: Path, names: TrustedNames, *, measure: bool = False, folders: FolderWatch | None = None) -> Survey:
    """Walk through a workspace; `folders` then watches the folders in which names are searched for.

    Raises:
        OSError: when the workspace cannot be opened.
    """
    surveyor = _Surveyor(names, ByteCounter() if measure else None, folders)
    walk(root, surveyor, goes_on=lambda: len(surveyor.found) < MAX_FOUND)
    size = surveyor.counter.total if surveyor.counter else None
    return Survey(surveyor.found, size, len(surveyor.found) < MAX_FOUND)


class _Surveyor(TreeVisitor):
    def __init__(self, names: TrustedNames, counter: ByteCounter | None, folders: FolderWatch | None) -> None:
        self.found: list[Found] = []
        self.counter = counter
        self._names = names
        self._folders = folders
        self._shape = FolderShape()

    def enters(self, folder: Folder) -> bool:
        """Search for names, but not below a trusted folder, whose content is only counted."""
        parent = folder.parent
        folder.is_apart = parent is not None and (parent.is_apart or folder.name in (parent.apart or ()))
        self._shape = FolderShape()
        # Watch before reading the entries, so that nothing is missed in between.
        if self._folders is not None and not folder.is_apart:
            self._folders.add(folder.descriptor)
        return not folder.is_apart or (self.counter is not None and not folder.is_foreign)

    def visits(self, folder: Folder, entry: os.DirEntry[str]) -> bool:
        """Count an entry, and record a trusted name."""
        if self.counter is not None and not folder.is_foreign:
            self.counter.visits(folder, entry)
        if folder.is_apart:
            return True
        self._shape.add(entry.name)
        group = self._names.group(entry.name, folder.name)
        if group is not None:
            path = folder.path_of(entry.name)
            self.found.append(Found(path, group, identity(folder.descriptor, entry.name), (path,)))
            _set_apart(folder, entry.name)
        return True

    def leaves(self, folder: Folder) -> None:
        """Record a folder that its entries make a repository or an environment."""
        if folder.is_apart or (mark := self._shape.mark()) is None:
            return
        name, group = mark
        if folder.parent is None:
            sealed = tuple(self._shape.parts())
            for part in sealed:
                _set_apart(folder, part)
        else:
            sealed = (folder.parent.path_of(folder.name),)
            folder.is_apart = True
        # Use the folder's identity: git replaces HEAD whenever it changes.
        self.found.append(Found(folder.path_of(name), group, identity(folder.descriptor, "."), sealed, is_shape=True))


def _set_apart(folder: Folder, name: str) -> None:
    folder.apart = folder.apart or set()
    folder.apart.add(name)
