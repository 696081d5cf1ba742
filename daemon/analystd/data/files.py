"""Folders listed and lines of text files read, for the file tools."""

from __future__ import annotations

import contextlib
import fnmatch
import itertools
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from analystd.data.random_file import RandomFile, ViewCancelledError
from analystd.data.table_text import printable, width
from analystd.errors import InvalidArgumentsError, WorkspaceError
from analystd.jail.workspace import Workspace

MAX_ENTRIES = 1000
MAX_DEPTH = 64
MAX_LINES = 2000
MAX_TEXT_BYTES = 200_000

_CHUNK_BYTES = 256 * 1024
_SNIFFED_BYTES = 8 * 1024


def list_files(
    workspace: Workspace,
    path: str,
    *,
    pattern: str | None = None,
    recursive: bool = False,
    cancelled: threading.Event | None = None,
) -> dict[str, Any]:
    """A folder's entries, sorted by name; those whose name matches `pattern`, also of the folders in it, 64 levels deep, if `recursive`.

    Raises:
        WorkspaceError: for a path that the jail refuses or that is no folder.
    """
    found = _walk(workspace, path, pattern, MAX_DEPTH if recursive else 0, cancelled or threading.Event())
    entries = [_entry(name, status) for name, status in itertools.islice(found, MAX_ENTRIES + 1)]
    truncated = len(entries) > MAX_ENTRIES
    entries = entries[:MAX_ENTRIES]
    return {
        "text": _listing(path, entries, truncated=truncated),
        "path": path,
        "entries": entries,
        "truncated": truncated,
    }


def read_file(file: RandomFile, *, offset: int = 1, limit: int | None = None) -> dict[str, Any]:
    """The lines from the 1-based `offset`: at most `limit`, 2000, or 200 kB of them; `truncated` if the file goes on after them.

    Raises:
        WorkspaceError: for a binary file.
        InvalidArgumentsError: for a line number below 1.
    """
    if offset < 1:
        raise InvalidArgumentsError(f"offset is {offset}; lines are counted from 1")
    if limit is not None and limit < 1:
        raise InvalidArgumentsError(f"limit is {limit}; at least one line is read")
    if b"\0" in file.read(0, _SNIFFED_BYTES):
        raise WorkspaceError(
            f"{file.name} is a binary file of {file.size} bytes", "data_view shows tables; Python can read the rest"
        )
    begin = _line_begin(file, offset)
    text, truncated = _lines_from(file, begin, min(limit or MAX_LINES, MAX_LINES))
    return {
        "text": text.decode("utf-8", "replace"),
        "path": file.name,
        "offset": offset,
        "lines": text.count(b"\n") + (not text.endswith(b"\n") and bool(text)),
        "size": file.size,
        "truncated": truncated,
    }


def _walk(
    workspace: Workspace, path: str, pattern: str | None, depth: int, cancelled: threading.Event
) -> Iterator[tuple[str, os.stat_result]]:
    """The matching names, relative to `path`, in order; what is in a folder comes right after the folder."""
    open_folders = [("", iter(_entries(workspace, path, pattern)))]
    while open_folders:
        prefix, entries = open_folders[-1]
        entry = next(entries, None)
        if entry is None:
            open_folders.pop()
            continue
        if entry.status is not None:
            yield prefix + entry.name, entry.status
        if entry.is_folder and len(open_folders) <= depth:
            _raise_if_cancelled(path, cancelled)
            inner = f"{prefix}{entry.name}/"
            # The workspace opens each folder anew, so that a protected one, or one that just went, is left out.
            with contextlib.suppress(WorkspaceError):
                open_folders.append((inner, iter(_entries(workspace, f"{path}/{inner}", pattern))))


def _raise_if_cancelled(path: str, cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise ViewCancelledError(f"Listing {path} was cancelled")


@dataclass(frozen=True)
class _Entry:
    name: str
    is_folder: bool
    status: os.stat_result | None
    """None for a name that does not match."""


def _entries(workspace: Workspace, path: str, pattern: str | None) -> list[_Entry]:
    """A folder's entries in order, up to the last that can be listed."""
    folder = workspace.open_folder(path)
    entries: list[_Entry] = []
    matching = 0
    try:
        with os.scandir(folder) as found:
            for each in sorted(found, key=lambda each: each.name):
                matches = pattern is None or fnmatch.fnmatchcase(each.name, pattern)
                # Files come and go while they are listed.
                with contextlib.suppress(FileNotFoundError):
                    status = each.stat(follow_symlinks=False) if matches else None
                    entries.append(_Entry(each.name, each.is_dir(follow_symlinks=False), status))
                matching += matches
                if matching > MAX_ENTRIES:
                    break
    finally:
        os.close(folder)
    return entries


def _entry(name: str, status: os.stat_result) -> dict[str, Any]:
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return {
        "name": printable(os.fsencode(name).decode("utf-8", "backslashreplace")),
        "type": kinds.get(stat.S_IFMT(status.st_mode), "special"),
        "size": status.st_size if stat.S_ISREG(status.st_mode) else None,
        "modified": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _listing(path: str, entries: list[dict[str, Any]], *, truncated: bool) -> str:
    if not entries:
        return f"{path}: no files"
    names = [entry["name"] + ("/" if entry["type"] == "folder" else "") for entry in entries]
    widest = max(map(width, names))
    lines = [_listed(name, entry, widest) for name, entry in zip(names, entries, strict=True)]
    return "\n".join([*lines, f"… only the first {MAX_ENTRIES} are listed"] if truncated else lines)


def _listed(name: str, entry: dict[str, Any], widest: int) -> str:
    about = f"{entry['size']} bytes" if entry["type"] == "file" else "" if entry["type"] == "folder" else entry["type"]
    return f"{name}{' ' * (widest - width(name))}  {about}".rstrip()


def _line_begin(file: RandomFile, line: int) -> int:
    """Where the 1-based line begins, or the file's end."""
    offset, missing = 0, line - 1
    while missing and (chunk := file.read(offset, _CHUNK_BYTES)):
        found = chunk.count(b"\n")
        if found >= missing:
            return offset + len(b"\n".join(chunk.split(b"\n", missing)[:missing])) + 1
        offset, missing = offset + len(chunk), missing - found
    return offset


def _lines_from(file: RandomFile, begin: int, lines: int) -> tuple[bytes, bool]:
    """At most so many lines from `begin` and whether more follows; a long line is cut between two characters."""
    text = file.read(begin, MAX_TEXT_BYTES)
    text = b"\n".join(text.split(b"\n", lines)[:lines]) + b"\n" if text.count(b"\n") >= lines else text
    more = begin + len(text) < file.size
    if more and not text.endswith(b"\n"):
        whole_lines = text[: text.rfind(b"\n") + 1]
        text = whole_lines or text.decode("utf-8", "ignore").encode()
    return text, more
