"""Keep files from a workspace that tools outside would trust: out of the jail's reach, under meaningless names."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from analystd.jail.identity import identity
from analystd.jail.openat2 import open_beneath
from analystd.jail.resource_usage import folder_bytes
from analystd.jail.survey import Found
from analystd.jail.tree_copy import Budget, fill
from analystd.jail.trusted_names import QUARANTINE_PREFIX
from analystd.util.remove import remove
from analystd.wire.errors import InvalidArgumentsError

logger = logging.getLogger(__name__)

_ENTRY_FILE = "entry.json"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK_CHARACTERS = 2000
_MEASURED_ITEMS = 50
_TOLD_ITEMS = 5
_SHOWN_CHARACTERS = 120

_HEAD, _INERT_HEAD = "HEAD", "HEAD.quarantined"
"""git treats a folder with a HEAD as a repository, whatever the folder's name."""


@dataclass(frozen=True)
class MovedItem:
    """A file, folder or link that was moved aside."""

    path: str
    """Where it was, relative to the workspace."""
    kind: str
    """`file`, `folder`, `link` or `special`."""
    size_bytes: int | None
    """None if it was not measured."""
    trusted_by: str
    """The tools that trust such names."""
    reason: str
    kept: str | None
    """Its name in the entry's folder; None if it could only be renamed in the workspace."""
    is_shape: bool = False
    """Whether it turned its folder into a repository or an environment."""
    renamed: str | None = None
    """Its path in the workspace if it could only be renamed."""


@dataclass(frozen=True)
class MovedAside:
    """An entry of the quarantine: the items that were moved aside together."""

    id: str
    at: float
    """Unix time."""
    runs: tuple[str, ...]
    """The ids of the runs that were in progress."""
    items: tuple[MovedItem, ...] = field(default=())

    def sentence(self) -> str:
        """Return the message for the user about this entry."""
        shown = [f"{shown_path(item.path)} ({item.trusted_by})" for item in self.items[:_TOLD_ITEMS]]
        more = len(self.items) - len(shown)
        names = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
        return (
            f"Moved aside: {names}. Tools outside of the jail execute or trust files with such names, so code in a session may not create "
            f"them. `analystd quarantine restore {self.id}` restores them"
        )


def shown_path(path: str) -> str:
    """Return a path that code in the jail chose, made safe for display."""
    text = "".join(character if character.isprintable() else "?" for character in path)
    return text if len(text) <= _SHOWN_CHARACTERS else f"…{text[-_SHOWN_CHARACTERS:]}"


class Quarantine:
    """The quarantine of one workspace: each entry is a folder with its items and a description.

    Several threads may use it, but only one at a time.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self._size: int | None = None

    def take(self, found: Sequence[Found], runs: Sequence[str]) -> tuple[MovedAside | None, list[Found]]:
        """Move things out of the workspace.

        Returns:
            The entry, if anything could be moved, and what exists but could not be moved.
        """
        self._size = None
        entry_id = f"q_{int(time.time())}_{secrets.token_hex(4)}"
        place = self.folder / entry_id
        place.mkdir(mode=0o700, parents=True)
        items: list[MovedItem] = []
        stuck: list[Found] = []
        with _opened(self.root) as root, _opened(place) as target:
            for each in found:
                try:
                    items.append(self._take(root, target, each, str(len(items)), measure=len(items) < _MEASURED_ITEMS))
                except FileNotFoundError:
                    # It was renamed or replaced since it was found; the next check finds it again.
                    continue
                except OSError as exc:
                    logger.warning("%s cannot be moved aside: %s", each.path, exc)
                    stuck.append(each)
        if not items:
            remove(place)
            return None, stuck
        entry = MovedAside(entry_id, time.time(), tuple(runs), tuple(items))
        (place / _ENTRY_FILE).write_text(json.dumps(asdict(entry)))
        return entry, stuck

    def entries(self) -> list[MovedAside]:
        """Return all entries, the latest first."""
        ids = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted((entry for each in ids if (entry := self._read(each))), key=lambda entry: -entry.at)

    def entry(self, entry_id: str) -> MovedAside:
        """Return the entry with this id.

        Raises:
            InvalidArgumentsError: when there is no such entry.
        """
        entry = self._read(entry_id) if "/" not in entry_id and entry_id not in (".", "..") else None
        if entry is None:
            raise InvalidArgumentsError(
                f"There is no quarantine entry '{entry_id}'", "`analystd quarantine` lists the entries."
            )
        return entry

    def discard(self, entry_id: str) -> MovedAside:
        """Delete an entry and its items.

        Raises:
            InvalidArgumentsError: when there is no such entry.
        """
        entry = self.entry(entry_id)
        for item in entry.items:
            if item.renamed is not None:
                remove(self.root / item.renamed)
        remove(self.folder / entry_id)
        self._size = None
        return entry

    @contextmanager
    def opened(self, entry: MovedAside, item: MovedItem) -> Iterator[tuple[int, str]]:
        """Open the folder that contains an item now; yield its descriptor and the item's name in it.

        Raises:
            OSError: when the item no longer exists.
        """
        if item.kept is not None:
            with _opened(self.folder / entry.id) as folder:
                yield folder, item.kept
            return
        assert item.renamed is not None
        around, _, name = item.renamed.rpartition("/")
        with _opened(self.root) as root:
            folder = open_deep(root, around)
            try:
                yield folder, name
            finally:
                os.close(folder)

    def size_bytes(self) -> int:
        """Return the size of all entries on disk."""
        if self._size is None:
            self._size = folder_bytes(self.folder) if self.folder.is_dir() else 0
        return self._size

    def _read(self, entry_id: str) -> MovedAside | None:
        try:
            entry: dict[str, Any] = json.loads((self.folder / entry_id / _ENTRY_FILE).read_bytes())
            items = tuple(MovedItem(**item) for item in entry.pop("items"))
            return MovedAside(entry["id"], entry["at"], tuple(entry["runs"]), items)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _take(self, root: int, target: int, found: Found, kept: str, *, measure: bool) -> MovedItem:
        around, _, name = found.path.rpartition("/")
        folder = open_deep(root, around)
        try:
            # The user's own files are sealed in the jail and cannot be renamed there, so what has this identity here is not the user's.
            if identity(folder, "." if found.is_shape else name) != found.identity:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            renamed: str | None = None
            try:
                os.rename(name, kept, src_dir_fd=folder, dst_dir_fd=target)
            except OSError as exc:
                if exc.errno != errno.EXDEV:
                    raise
                renamed = self._take_from_another_disk(folder, around, name, target, kept)
        finally:
            os.close(folder)
        if renamed is None:
            _make_inert(target, kept)
        kind, size = _kind_and_size(target, kept, measure=measure and renamed is None)
        trusted_by, reason = found.group.title, found.group.reason
        place = None if renamed else kept
        return MovedItem(found.path, kind, size, trusted_by, reason, place, found.is_shape, renamed)

    def _take_from_another_disk(self, folder: int, around: str, name: str, target: int, kept: str) -> str | None:
        """Rename an item so that no tool finds it, then move it to the other disk; return its new path if it is too large to move."""
        inert = QUARANTINE_PREFIX + secrets.token_hex(8)
        os.rename(name, inert, src_dir_fd=folder, dst_dir_fd=folder)
        _make_inert(folder, inert)
        renamed = f"{around}/{inert}" if around else inert
        try:
            copy_to(folder, inert, target, kept, Budget())
        except OSError as exc:
            logger.warning("%s stays in the workspace as %s: %s", name, renamed, exc)
            remove(self.folder / kept)
            return renamed
        remove(self.root / renamed)
        return None


def copy_to(source: int, name: str, target: int, new_name: str, budget: Budget) -> None:
    """Copy a file, link or folder to a new name in another folder.

    Raises:
        OSError: when it cannot be read or written, exceeds the budget, or the new name exists.
    """
    mode = os.stat(name, dir_fd=source, follow_symlinks=False).st_mode
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(name, dir_fd=source), new_name, dir_fd=target)
        return
    made = make_empty(target, new_name, mode)
    try:
        fill(source, name, made, budget)
    finally:
        os.close(made)


def make_empty(folder: int, name: str, mode: int) -> int:
    """Create an empty file or folder, depending on `mode`, and return its descriptor.

    Raises:
        OSError: when the name exists, or for any other kind of file.
    """
    if stat.S_ISDIR(mode):
        os.mkdir(name, 0o700, dir_fd=folder)
        return os.open(name, _FOLDER, dir_fd=folder)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is not a file, folder or link")
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)


def open_deep(root: int, path: str) -> int:
    """Open a folder beneath another, however long its path; links are not followed.

    Raises:
        OSError: when it does not exist, or a link is on the way.
    """
    parts = path.split("/")
    here = os.dup(root)
    while parts:
        chunk: list[str] = []
        while parts and sum(map(len, chunk)) + len(chunk) + len(parts[0]) < _CHUNK_CHARACTERS:
            chunk.append(parts.pop(0))
        try:
            following = open_beneath(here, "/".join(chunk) or ".", os.O_RDONLY | os.O_DIRECTORY)
        finally:
            os.close(here)
        here = following
    return here


def _make_inert(folder: int, name: str) -> None:
    """Rename HEAD in a folder so that git does not treat it as a repository."""
    with contextlib.suppress(OSError):
        inside = os.open(name, _FOLDER, dir_fd=folder)
        try:
            os.rename(_HEAD, _INERT_HEAD, src_dir_fd=inside, dst_dir_fd=inside)
        finally:
            os.close(inside)


def make_whole(folder: int) -> None:
    """Undo `_make_inert`."""
    with contextlib.suppress(OSError):
        os.rename(_INERT_HEAD, _HEAD, src_dir_fd=folder, dst_dir_fd=folder)


def _kind_and_size(folder: int, name: str, *, measure: bool) -> tuple[str, int | None]:
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return "special", None
    if stat.S_ISDIR(status.st_mode):
        return "folder", folder_bytes(Path(f"/proc/self/fd/{folder}") / name) if measure else None
    kinds = {stat.S_IFREG: "file", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(status.st_mode), "special"), status.st_size


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
