"""Restore items from quarantine: as a copy that no process has open, sealed before it is in place, and never over anything."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from analystd.jail.identity import identity
from analystd.jail.quarantine import MovedAside, MovedItem, make_empty, make_whole, open_deep, shown_path
from analystd.jail.tree_copy import Budget, Description, describe, fill
from analystd.jail.trusted_names import QUARANTINE_PREFIX
from analystd.jail.trusted_paths import TrustedPaths
from analystd.util.remove import remove
from analystd.wire.errors import WorkspaceError

MAX_FILES = 200
"""Maximum number of an item's files that a preview lists."""

_NO_REPLACE = 1

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Preview:
    """What would be restored."""

    item: MovedItem
    description: Description | None
    """None if the item cannot be read or is too large."""
    problem: str | None
    """Why it cannot be restored at present."""


def preview(trusted: TrustedPaths, entry: MovedAside) -> list[Preview]:
    """Return what `restore` would restore, item by item."""
    return [_preview(trusted, entry, item) for item in entry.items]


def digest(previews: list[Preview]) -> str:
    """Return one digest of the content of all items: it stays equal as long as none of it changes."""
    return "-".join(each.description.digest[:16] if each.description else "none" for each in previews)


def restore(trusted: TrustedPaths, entry: MovedAside, expected: str | None = None) -> list[MovedItem]:
    """Restore all items of an entry and delete the entry. Restored items belong to the user from then on, and are sealed in all jails.

    Args:
        trusted: The workspace's trusted paths.
        entry: The entry.
        expected: The digest of what the user has seen; other content is not restored.

    Raises:
        WorkspaceError: when a place is taken, gone or reached over a link, or the content is not what was seen. Nothing is restored then,
            or only the preceding items.
    """
    with trusted.locked():
        _seal_around(trusted, entry)
        previews = preview(trusted, entry)
        for each in previews:
            if each.problem is not None:
                raise _refusal(each.item, each.problem)
        if expected is not None and digest(previews) != expected:
            raise WorkspaceError(
                "The quarantined content has changed since it was shown",
                "Look at it again, and check what is running in the session.",
            )
        for each in previews:
            try:
                _restore(trusted, entry, each)
            except OSError as exc:
                raise _refusal(each.item, _reason(exc)) from exc
    trusted.quarantine.discard(entry.id)
    return list(entry.items)


def _seal_around(trusted: TrustedPaths, entry: MovedAside) -> None:
    """Seal the folders that will be repositories or environments again, with everything that is in them by now."""
    for item in entry.items:
        if not item.is_shape:
            continue
        around = item.path.rpartition("/")[0]
        if not around:
            raise _refusal(
                item,
                "the workspace itself would become a repository or environment; if you want that, copy it from the quarantine yourself",
            )
        try:
            trusted.seal_now([around])
        except OSError as exc:
            raise _refusal(item, _reason(exc)) from exc


def _refusal(item: MovedItem, reason: str) -> WorkspaceError:
    return WorkspaceError(f"{shown_path(item.path)} cannot be restored: {reason}")


def _preview(trusted: TrustedPaths, entry: MovedAside, item: MovedItem) -> Preview:
    try:
        with trusted.quarantine.opened(entry, item) as (folder, name):
            description = describe(folder, name, Budget(), MAX_FILES)
    except OSError as exc:
        return Preview(item, None, _reason(exc))
    try:
        with _place(trusted.quarantine.root, item.path) as (folder, name):
            if item.is_shape:
                # The folder that it turns into a repository matters more than the item itself.
                description = describe(folder, ".", Budget(), MAX_FILES)
            os.lstat(name, dir_fd=folder)
    except FileNotFoundError:
        return Preview(item, description, None)
    except OSError as exc:
        return Preview(item, description, _reason(exc))
    return Preview(item, description, "something else is there now")


def _restore(trusted: TrustedPaths, entry: MovedAside, shown: Preview) -> None:
    """Make a copy next to its place, sealed before it has any content, then move it there."""
    item = shown.item
    root = trusted.quarantine.root
    around = item.path.rpartition("/")[0]
    beside = QUARANTINE_PREFIX + secrets.token_hex(8)
    with _place(root, item.path) as (folder, name), trusted.quarantine.opened(entry, item) as (source, kept):
        mode = os.lstat(kept, dir_fd=source).st_mode
        try:
            if stat.S_ISLNK(mode):
                os.symlink(os.readlink(kept, dir_fd=source), beside, dir_fd=folder)
            else:
                path = f"{around}/{beside}".lstrip("/")
                _make_sealed_copy(trusted, (source, kept), mode, (folder, beside), path)
            if item.is_shape:
                trusted.adopt(around, identity(folder, "."))
            else:
                _require_same(folder, beside, shown)
                trusted.adopt(item.path, identity(folder, beside))
            _rename_to_nothing(folder, beside, name)
        except BaseException:
            remove(root / around / beside)
            raise


def _make_sealed_copy(
    trusted: TrustedPaths, source: tuple[int, str], mode: int, target: tuple[int, str], path: str
) -> None:
    folder, name = target
    made = make_empty(folder, name, mode)
    try:
        trusted.seal_now([path])
        fill(*source, made, Budget())
        # A jail may have put something else there before it was sealed.
        if not os.path.samestat(os.fstat(made), os.lstat(name, dir_fd=folder)):
            raise OSError(errno.EBUSY, "it was replaced meanwhile")
    finally:
        os.close(made)


def _require_same(folder: int, name: str, shown: Preview) -> None:
    """Make sure that the copy equals what was shown, and undo what made it inert.

    Raises:
        OSError: when the original was changed while it was copied.
    """
    copied = describe(folder, name, Budget(), 0)
    if shown.description is None or copied.digest != shown.description.digest:
        raise OSError(errno.EBUSY, "it was changed meanwhile")
    with contextlib.suppress(OSError):
        inside = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            make_whole(inside)
        finally:
            os.close(inside)


@contextmanager
def _place(root: Path, path: str) -> Iterator[tuple[int, str]]:
    """Open the folder of a path in the workspace; yield its descriptor and the name in it."""
    around, _, name = path.rpartition("/")
    anchor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        folder = open_deep(anchor, around)
    finally:
        os.close(anchor)
    try:
        yield folder, name
    finally:
        os.close(folder)


def _rename_to_nothing(folder: int, old: str, new: str) -> None:
    """Rename, unless the new name exists."""
    names = (os.fsencode(old), os.fsencode(new))
    if _libc.renameat2(folder, names[0], folder, names[1], ctypes.c_uint(_NO_REPLACE)) == 0:
        return
    code = ctypes.get_errno()
    if code != errno.EINVAL:
        raise OSError(code, os.strerror(code), new)
    # The file system cannot check and rename in one step.
    try:
        os.lstat(new, dir_fd=folder)
    except FileNotFoundError:
        os.rename(old, new, src_dir_fd=folder, dst_dir_fd=folder)
        return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)


def _reason(error: OSError) -> str:
    reasons = {
        errno.ENOENT: "its folder no longer exists",
        errno.ENOTDIR: "its folder has been replaced by something else",
        errno.ELOOP: "a link on the way leads elsewhere now",
        errno.EXDEV: "a link on the way leads elsewhere now",
        errno.EEXIST: "something else is there now",
        errno.EFBIG: "it is too large; copy it yourself from the quarantine",
    }
    return reasons.get(error.errno or 0, error.strerror or str(error))
