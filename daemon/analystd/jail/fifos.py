"""Find the FIFOs in a folder before it is mounted in a jail. Imported by the launcher: standard library only."""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_MOST_ENTRIES = 200_000
"""Maximum number of files and folders to examine, some tenths of a second: the jail's start waits for it."""


def find(path: str, *, except_below: Collection[str] = ()) -> Iterator[str]:
    """Yield the FIFOs at or below `path`, without following links or entering the folders in `except_below`."""
    passed_over = {os.path.realpath(folder) for folder in except_below}
    if _is_fifo(path):
        yield path
    todo, seen = [path], 0
    while todo:
        for entry in _entries(todo.pop()):
            seen += 1
            if seen > _MOST_ENTRIES:
                return
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in passed_over:
                    todo.append(entry.path)
            elif not entry.is_file(follow_symlinks=False) and _is_fifo(entry.path):
                yield entry.path


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _is_fifo(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.lstat(path).st_mode)
    except OSError:
        return False
