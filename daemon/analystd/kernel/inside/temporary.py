"""Report files that code leaves in /tmp or /dev/shm of the sandbox: they look like the machine's, but are private and end with the session."""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator, Sequence

PRIVATE = ("/tmp", "/dev/shm")
"""The folders that are private to a session with namespaces, in memory."""

_OF_LIBRARIES = (
    "sem.",
    "psm_",
    "mp-",
    "pym-",
    "pymp-",
    "torch_",
    "joblib_memmapping_folder_",
    "__KMP_REGISTERED_LIB_",
    "cuda.",
)
"""Prefixes of files that libraries share among processes, which are not reported."""
_MAX_REPORTED = 5
_MAX_KNOWN = 2_000
_MAX_LOOKED_AT = 500


class TemporaryFiles:
    """The private folders of a session with this workspace, and the files in them that have been reported."""

    def __init__(self, workspace: str, private: Sequence[str] = PRIVATE) -> None:
        self._places = list(_places(workspace, private))
        self._known = {path for place, _ in self._places for path in _entries(place)}
        # The folders on the way to the workspace were not made by code.
        self._known.update(place for place, _ in self._places)
        self._known.add(workspace)

    def news(self) -> str | None:
        """Return a sentence on files that are new since the last call; None if there are none."""
        found: dict[str, list[str]] = {}
        for place, top in self._places:
            for path in _entries(place):
                if path not in self._known and len(self._known) < _MAX_KNOWN and (described := _described(path)):
                    self._known.add(path)
                    found.setdefault(top, []).append(described)
        return " ".join(_sentence(top, described) for top, described in found.items()) or None


def _places(workspace: str, private: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the writable folders with their private folder: that itself, and those on the way to a workspace in it."""
    for top in map(os.path.realpath, private):
        yield top, top
        if workspace.startswith(f"{top}/"):
            parts = workspace[len(top) + 1 :].split("/")[:-1]
            for folder in itertools.accumulate(parts, lambda above, name: f"{above}/{name}"):
                yield f"{top}/{folder}", top


def _entries(place: str) -> list[str]:
    try:
        return [f"{place}/{name}" for name in os.listdir(place) if not name.startswith(_OF_LIBRARIES)]  # noqa: PTH208
    except OSError:
        return []


def _described(path: str) -> str | None:
    """Return the path with its size; None if it contains no file."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    if stat.S_ISREG(status.st_mode):
        return f"{path} ({_size(status.st_size)})"
    if not stat.S_ISDIR(status.st_mode):
        return None
    sizes = list(_sizes_below(path))
    count = "1 file" if len(sizes) == 1 else f"{len(sizes)}{'+' if len(sizes) >= _MAX_LOOKED_AT else ''} files"
    return f"{path}/ ({count}, {_size(sum(sizes))})" if sizes else None


def _sizes_below(folder: str) -> Iterator[int]:
    paths = (os.path.join(root, name) for root, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    for path in itertools.islice(paths, _MAX_LOOKED_AT):
        try:
            yield os.lstat(path).st_size
        except OSError:
            continue


def _sentence(top: str, described: list[str]) -> str:
    more = f" and {len(described) - _MAX_REPORTED} more" if len(described) > _MAX_REPORTED else ""
    it = "it" if len(described) == 1 else "them"
    return (
        f"[{top} is private to the session and is deleted with it: {', '.join(described[:_MAX_REPORTED])}{more}. "
        f"Write into the workspace to keep {it}.]"
    )


def _size(count: int) -> str:
    if count < 1_000:
        return f"{count} bytes"
    return f"{count / 1e3:.1f} kB" if count < 1_000_000 else f"{count / 1e6:.1f} MB"
