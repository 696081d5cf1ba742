"""Where things from a workspace are kept that tools outside would trust: out of the jail's reach, under names that mean nothing."""

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
"""git takes a folder with HEAD for a repository, whatever the folder is called."""


@dataclass(frozen=True)
class MovedItem:
    """Something that was moved aside."""

    path: str
    """Where it was, relative to the workspace."""
    kind: str
    """`file`, `folder`, `link` or `special`."""
    size_bytes: int | None
    """None where it was not measured."""
    trusted_by: str
    """What trusts such names."""
    reason: str
    kept: str | None
    """Its name in the entry's folder; None for what could only be renamed."""
    is_shape: bool = False
    """Whether it made a repository or an environment of the folder that it was in."""
    renamed: str | None = None
    """Where it is in the workspace then."""


@dataclass(frozen=True)
class MovedAside:
    """What was moved aside at one time."""

    id: str
    at: float
    """Unix time."""
    runs: tuple[str, ...]
    """The runs that were under way."""
    items: tuple[MovedItem, ...] = field(default=())

    def sentence(self) -> str:
        """What is told of it."""
        shown = [f"{shown_path(item.path)} ({item.trusted_by})" for item in self.items[:_TOLD_ITEMS]]
        more = len(self.items) - len(shown)
        names = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
        return (
            f"Moved aside: {names}. Tools outside of the jail run or believe what has such a name, so code in a session may not make it. "
            f"`analystd quarantine restore {self.id}` puts it back"
        )


def shown_path(path: str) -> str:
    """A path that code in the jail chose, fit to be shown."""
    text = "".join(character if character.isprintable() else "?" for character in path)
    return text if len(text) <= _SHOWN_CHARACTERS else f"…{text[-_SHOWN_CHARACTERS:]}"


class Quarantine:
    """The entries of one workspace, each a folder with its items and a description. Safe to use from several threads, one at a time each."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = root
        self.folder = folder
        self._size: int | None = None

    def take(self, found: Sequence[Found], runs: Sequence[str]) -> tuple[MovedAside | None, list[Found]]:
        """Move things out of the workspace.

        Returns:
            The entry, if anything could be moved, and what could not be moved though it is there.
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
                    # It was renamed or replaced since it was found; then it is found again.
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
        """All entries, the latest first."""
        ids = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted((entry for each in ids if (entry := self._read(each))), key=lambda entry: -entry.at)

    def entry(self, entry_id: str) -> MovedAside:
        """One entry.

        Raises:
            InvalidArgumentsError: when there is none of this id.
        """
        entry = self._read(entry_id) if "/" not in entry_id and entry_id not in (".", "..") else None
        if entry is None:
            raise InvalidArgumentsError(
                f"There is nothing in quarantine called '{entry_id}'", "`analystd quarantine` lists what there is."
            )
        return entry

    def discard(self, entry_id: str) -> MovedAside:
        """Remove an entry for good.

        Raises:
            InvalidArgumentsError: when there is none of this id.
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
        """The folder that an item is in now, by descriptor, and its name there.

        Raises:
            OSError: when it is not there any more.
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
        """What the entries take on disk."""
        if self._size is None:
            self._size = folder_bytes(self.folder) if self.folder.is_dir() else 0
        return self._size

    def _read(self, entry_id: str) -> MovedAside | None:
        try:
            told: dict[str, Any] = json.loads((self.folder / entry_id / _ENTRY_FILE).read_bytes())
            items = tuple(MovedItem(**item) for item in told.pop("items"))
            return MovedAside(told["id"], told["at"], tuple(told["runs"]), items)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _take(self, root: int, target: int, found: Found, kept: str, *, measure: bool) -> MovedItem:
        around, _, name = found.path.rpartition("/")
        folder = open_deep(root, around)
        try:
            # What the jail sealed cannot be renamed there, so what is here under this identity is not the user's.
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
        """Rename it, so that nothing finds it, then move it over; gives where it is if there was too much of it for that."""
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
        OSError: when it cannot be read or written, or is more than the budget, or something is there already.
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
    """Make an empty file or folder, of the kind that `mode` tells; gives its descriptor.

    Raises:
        OSError: when something is there already, or for any other kind.
    """
    if stat.S_ISDIR(mode):
        os.mkdir(name, 0o700, dir_fd=folder)
        return os.open(name, _FOLDER, dir_fd=folder)
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no file, folder or link")
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)


def open_deep(root: int, path: str) -> int:
    """A descriptor of a folder beneath another, however long the path is; links are not followed.

    Raises:
        OSError: when it is not there, or a link is on the way.
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
    """Make a repository none."""
    with contextlib.suppress(OSError):
        inside = os.open(name, _FOLDER, dir_fd=folder)
        try:
            os.rename(_HEAD, _INERT_HEAD, src_dir_fd=inside, dst_dir_fd=inside)
        finally:
            os.close(inside)


def make_whole(folder: int) -> None:
    """Undo what made a folder inert."""
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
