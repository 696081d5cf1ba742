"""Discovery of the files in a folder of Parquet files, and of partition values in folder names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from analystd.data.positioned_file import FileKey, PositionedFile, ProgressListener, ViewCancelledError
from analystd.jail.openat2 import open_beneath
from analystd.jail.workspace import MISSING_HINT, Workspace
from analystd.wire.errors import ResourceLimitError, WorkspaceError

MAX_FILES = 10_000
MAX_ENTRIES = 200_000
MAX_DEPTH = 32

_SUFFIXES = (".parquet", ".pq")
_IGNORED = ("_", ".")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NULL = "__HIVE_DEFAULT_PARTITION__"
# Numbers with leading zeros or beyond 64 bits would not keep their spelling.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Member:
    """A Parquet file of the folder."""

    path: str
    """The path relative to the folder."""
    key: FileKey


@dataclass(frozen=True)
class Members:
    """The files of a folder, sorted by path."""

    files: tuple[Member, ...]
    linked_folders: tuple[str, ...]
    """Links to folders, which are not followed because they may be circular."""


def find_members(workspace: Workspace, folder: str, listener: ProgressListener) -> Members:
    """Return the files below `folder` that end in `.parquet` or `.pq`; names that begin with `_` or `.` are ignored.

    Raises:
        WorkspaceError: for a path that the jail refuses, a folder without such files, or a member that is not a regular file.
        ResourceLimitError: for more than 10,000 files, 200,000 entries or 32 nested folders.
    """
    found: list[Member] = []
    links: list[str] = []
    top = workspace.open_folder(folder)
    try:
        for count, (path, entry) in enumerate(_walk(top, "", 0), 1):
            if listener.cancelled.is_set():
                raise ViewCancelledError(f"Reading {folder} was cancelled")
            _check_limit(folder, count, MAX_ENTRIES, "entries")
            if path.lower().endswith(_SUFFIXES):
                found.append(Member(path, _key(workspace, folder, path, entry)))
                _check_limit(folder, len(found), MAX_FILES, "Parquet files")
            elif _is_folder(entry):
                links.append(path)
    finally:
        os.close(top)
    if not found:
        raise WorkspaceError(f"{folder} is a folder without Parquet files", MISSING_HINT)
    return Members(tuple(sorted(found, key=lambda each: each.path.split("/"))), tuple(sorted(links)))


def open_member(workspace: Workspace, folder: str, path: str, listener: ProgressListener) -> PositionedFile:
    """Open a file of the folder; the caller closes its descriptor. Raises WorkspaceError as `Workspace.open_read`."""
    name = f"{folder.rstrip('/')}/{path}"
    descriptor = workspace.open_read(name)
    return PositionedFile.of_descriptor(name, descriptor, listener)


def folder_values(path: str) -> dict[str, str | None]:
    """Return the values of the `key=value` folders in a path, percent-decoded, with None for Hive's null."""
    pairs = [part.split("=", 1) for part in path.split("/")[:-1] if "=" in part]
    return {_text(key): None if value == _NULL else _text(value) for key, value in pairs}


def all_integers(values: Sequence[str | None]) -> bool:
    """Return whether the values are 64-bit integers in their usual spelling, and not all missing."""
    given = [value for value in values if value is not None]
    return bool(given) and all(_INTEGER.fullmatch(value) for value in given)


def _text(name: str) -> str:
    """Return the percent-decoded part of a folder's name, with invalid UTF-8 replaced."""
    return unquote(os.fsencode(name).decode("utf-8", "replace"))


def _walk(folder: int, above: str, depth: int) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything below an open folder except folders, without following links."""
    if depth > MAX_DEPTH:
        raise ResourceLimitError(f"{above} is nested in more than {MAX_DEPTH} folders", "View a folder in it")
    with os.scandir(folder) as entries:
        for entry in entries:
            path = above + entry.name
            if entry.name.startswith(_IGNORED):
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield path, entry
                continue
            try:
                below = open_beneath(folder, entry.name, _FOLDER)
            except OSError as exc:
                raise WorkspaceError(f"Cannot open {path}: {exc.strerror}") from exc
            try:
                yield from _walk(below, f"{path}/", depth + 1)
            finally:
                os.close(below)


def _key(workspace: Workspace, folder: str, path: str, entry: os.DirEntry[str]) -> FileKey:
    if entry.is_file(follow_symlinks=False):
        status = entry.stat(follow_symlinks=False)
        # The same key as `PositionedFile`'s, without opening thousands of files to find them unchanged.
        return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    # A link may lead to a file inside the workspace; the jail refuses any other.
    file = open_member(workspace, folder, path, ProgressListener())
    os.close(file.descriptor)
    return file.key


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _check_limit(folder: str, count: int, limit: int, what: str) -> None:
    if count > limit:
        raise ResourceLimitError(
            f"{folder} holds more than {limit} {what}, the most that one table may have", "View a folder in it"
        )
