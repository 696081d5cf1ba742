"""Listing of folders and reading of text files, for the file tools."""

from __future__ import annotations

import contextlib
import fnmatch
import heapq
import itertools
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from analystd.data.files.text_encoding import LONGEST_CHARACTER, TextCoding, binary_kind, coding_of
from analystd.data.positioned_file import PositionedFile, ViewCancelledError
from analystd.data.table_text import printable, width
from analystd.jail.workspace import Workspace
from analystd.wire.errors import InvalidArgumentsError, WorkspaceError
from analystd.wire.results import FileEntry, FileListing, FileText, FileType

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
) -> FileListing:
    """Return a folder's entries whose names match `pattern`, sorted by name; if `recursive`, also those of folders in it, 64 levels deep.

    A file is listed like a folder with only that file.

    Raises:
        WorkspaceError: for a path that the jail refuses or that is neither a folder nor a file.
    """
    found = _walk(workspace, path, pattern, MAX_DEPTH if recursive else 0, cancelled or threading.Event())
    try:
        entries = [_entry(name, status) for name, status in itertools.islice(found, MAX_ENTRIES + 1)]
    except WorkspaceError:
        status = _file_status(workspace, path)
        if status is None:
            raise
        name = PurePosixPath(path).name
        entries = [_entry(name, status)] if pattern is None or fnmatch.fnmatchcase(name, pattern) else []
    truncated = len(entries) > MAX_ENTRIES
    entries = entries[:MAX_ENTRIES]
    return {
        "text": _listing(path, entries, truncated=truncated),
        "path": path,
        "entries": entries,
        "truncated": truncated,
    }


def read_file(
    file: PositionedFile,
    *,
    offset: int | None = None,
    limit: int | None = None,
    byte_offset: int | None = None,
    byte_limit: int | None = None,
) -> FileText:
    """Return a part of a text file, of at most 200 kB; `truncated` says whether the file continues after it.

    The part holds either the lines from the 1-based `offset`, at most `limit` and at most 2000 of them; or the whole characters within
    the `byte_limit` bytes from `byte_offset`. The result's `byte_offset` and `bytes` say which bytes of the file `text` is, and
    `encoding` how they were decoded.

    Raises:
        WorkspaceError: for a binary file.
        InvalidArgumentsError: for numbers out of range, or when both lines and bytes are given.
    """
    by_bytes = byte_offset is not None or byte_limit is not None
    _require_range(offset, limit, byte_offset, byte_limit)
    coding = _coding(file)
    if by_bytes:
        begin, data = _bytes_from(file, byte_offset or 0, min(byte_limit or MAX_TEXT_BYTES, MAX_TEXT_BYTES), coding)
    else:
        begin = _line_begin(file, offset or 1, coding)
        data = _lines_from(file, begin, min(limit or MAX_LINES, MAX_LINES), coding)
    text, encoding = coding.decoded(data)
    return {
        "text": text,
        "path": file.name,
        "offset": None if by_bytes else offset or 1,
        "lines": None if by_bytes else text.count("\n") + (not text.endswith("\n") and bool(text)),
        "byte_offset": begin,
        "bytes": len(data),
        "size": file.size,
        "truncated": begin + len(data) < file.size,
        "encoding": encoding,
    }


def _require_range(offset: int | None, limit: int | None, byte_offset: int | None, byte_limit: int | None) -> None:
    if (offset, limit) != (None, None) and (byte_offset, byte_limit) != (None, None):
        raise InvalidArgumentsError(
            "offset and limit count lines, byte_offset and byte_limit count bytes; use only one pair"
        )
    if offset is not None and offset < 1:
        raise InvalidArgumentsError(f"offset is {offset}; lines are counted from 1")
    if limit is not None and limit < 1:
        raise InvalidArgumentsError(f"limit is {limit}; it must be at least 1")
    if byte_offset is not None and byte_offset < 0:
        raise InvalidArgumentsError(f"byte_offset is {byte_offset}; bytes are counted from 0")
    if byte_limit is not None and byte_limit < LONGEST_CHARACTER:
        raise InvalidArgumentsError(
            f"byte_limit is {byte_limit}; it must be at least {LONGEST_CHARACTER}, the bytes of the longest character"
        )


def _coding(file: PositionedFile) -> TextCoding:
    head = file.read(0, _SNIFFED_BYTES)
    coding = coding_of(head)
    if coding is None:
        kind = binary_kind(head)
        raise WorkspaceError(
            f"{file.name} is a binary file of {file.size} bytes"
            + (f" (judging by its first bytes, {kind})" if kind else ""),
            "data_view shows tables; Python can read the rest",
        )
    return coding


def _walk(
    workspace: Workspace, path: str, pattern: str | None, depth: int, cancelled: threading.Event
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the matching names, relative to `path`, in order; a folder's contents come right after the folder."""
    open_folders = [("", iter(_entries(workspace, path, pattern, folders=depth > 0)))]
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
            # The workspace opens each folder anew, so that protected or just deleted folders are left out.
            with contextlib.suppress(WorkspaceError):
                open_folders.append((inner, iter(_entries(workspace, f"{path}/{inner}", pattern, folders=True))))


def _file_status(workspace: Workspace, path: str) -> os.stat_result | None:
    """Return the status of a regular file in the workspace; None for anything else."""
    try:
        descriptor = workspace.open_read(path)
    except WorkspaceError:
        return None
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _raise_if_cancelled(path: str, cancelled: threading.Event) -> None:
    if cancelled.is_set():
        raise ViewCancelledError(f"Listing {path} was cancelled")


@dataclass(frozen=True)
class _Entry:
    name: str
    is_folder: bool
    status: os.stat_result | None
    """None if the name does not match."""


def _entries(workspace: Workspace, path: str, pattern: str | None, *, folders: bool) -> list[_Entry]:
    """Return a folder's matching entries in order, up to the maximum listed; with `folders`, also its folders that do not match."""
    folder = workspace.open_folder(path)
    entries: list[_Entry] = []
    try:
        with os.scandir(folder) as found:
            for each in _first(found, pattern, folders=folders):
                # Files come and go while they are listed.
                with contextlib.suppress(FileNotFoundError):
                    status = each.stat(follow_symlinks=False) if _matches(each, pattern) else None
                    entries.append(_Entry(each.name, each.is_dir(follow_symlinks=False), status))
    finally:
        os.close(folder)
    return entries


def _first(found: Iterator[os.DirEntry[str]], pattern: str | None, *, folders: bool) -> list[os.DirEntry[str]]:
    """Return the entries for `_entries` in order, keeping no more of them in memory than can be listed."""
    if pattern is None or not folders:
        return heapq.nsmallest(MAX_ENTRIES + 1, (each for each in found if _matches(each, pattern)), key=_name)
    return sorted((each for each in found if _matches(each, pattern) or each.is_dir(follow_symlinks=False)), key=_name)


def _matches(entry: os.DirEntry[str], pattern: str | None) -> bool:
    return pattern is None or fnmatch.fnmatchcase(entry.name, pattern)


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _entry(name: str, status: os.stat_result) -> FileEntry:
    kinds: dict[int, FileType] = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    return {
        "name": printable(os.fsencode(name).decode("utf-8", "backslashreplace")),
        "type": kinds.get(stat.S_IFMT(status.st_mode), "special"),
        "size": status.st_size if stat.S_ISREG(status.st_mode) else None,
        "modified": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _listing(path: str, entries: list[FileEntry], *, truncated: bool) -> str:
    if not entries:
        return f"{path}: no files"
    names = [entry["name"] + ("/" if entry["type"] == "folder" else "") for entry in entries]
    widest = max(map(width, names))
    lines = [_listed(name, entry, widest) for name, entry in zip(names, entries, strict=True)]
    return "\n".join([*lines, f"… only the first {MAX_ENTRIES} are listed"] if truncated else lines)


def _listed(name: str, entry: FileEntry, widest: int) -> str:
    about = f"{entry['size']} bytes" if entry["type"] == "file" else "" if entry["type"] == "folder" else entry["type"]
    return f"{name}{' ' * (widest - width(name))}  {about}".rstrip()


def _line_begin(file: PositionedFile, line: int, coding: TextCoding) -> int:
    """Return the offset at which the 1-based line begins, or the file's end."""
    offset, missing = coding.mark, line - 1
    chunk_bytes = -(-_CHUNK_BYTES // coding.unit) * coding.unit
    while missing and (chunk := file.read(offset, chunk_bytes)):
        found, end = coding.count_lines(chunk, missing)
        if found == missing:
            return offset + end
        offset, missing = offset + len(chunk), missing - found
    return offset


def _lines_from(file: PositionedFile, begin: int, lines: int, coding: TextCoding) -> bytes:
    """Return at most `lines` lines from `begin`; a long line is cut between two characters."""
    data = file.read(begin, MAX_TEXT_BYTES)
    found, end = coding.count_lines(data, lines)
    if found == lines:
        return data[:end]
    if begin + len(data) == file.size:
        return data
    return data[: coding.last_line_end(data) or len(data) - coding.cut_end(data)]


def _bytes_from(file: PositionedFile, begin: int, length: int, coding: TextCoding) -> tuple[int, bytes]:
    """Return the offset of the first whole character from `begin`, and the whole characters in at most `length` bytes from there."""
    begin = min(max(begin, coding.mark), file.size)
    begin = min(begin + -begin % coding.unit, file.size)
    begin += _cut_bytes(file, begin, coding)
    data = file.read(begin, length)
    if begin + len(data) < file.size:
        data = data[: len(data) - coding.cut_end(data)]
    return begin, data


def _cut_bytes(file: PositionedFile, begin: int, coding: TextCoding) -> int:
    """Return the number of bytes from `begin` that belong to a character that begins before."""
    for back in range(coding.unit, LONGEST_CHARACTER, coding.unit):
        if begin - back < coding.mark:
            break
        window = file.read(begin - back, LONGEST_CHARACTER)
        for length in range(back + coding.unit, len(window) + 1, coding.unit):
            with contextlib.suppress(UnicodeDecodeError):
                if len(window[:length].decode(coding.codec)) == 1:
                    return length - back
    return 0
