"""Displays: what code showed, in one or more MIME types."""

from __future__ import annotations

import base64
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from analystd.client._records import Record

_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".pdf": "application/pdf",
    ".svg": "image/svg+xml",
    ".html": "text/html",
    ".json": "application/json",
    ".md": "text/markdown",
    ".tex": "text/latex",
    ".txt": "text/plain",
}
_BASE64 = frozenset({"image/png", "image/jpeg", "application/pdf"})
"""Jupyter sends these types as base64, and all others as text or JSON."""


@dataclass(frozen=True, eq=False)
class Display(Record):
    """A plot, a table or the like; as a mapping, `{mime: data}`."""

    @property
    def png(self) -> bytes | None:
        """The picture as PNG, or None."""
        return self.bytes_of("image/png") if "image/png" in self.wire else None

    @property
    def html(self) -> str | None:
        """The display as HTML, or None."""
        return self.wire.get("text/html")

    @property
    def text(self) -> str:
        """The display as plain text; empty if it has no such form."""
        return str(self.wire.get("text/plain", ""))

    def bytes_of(self, mime: str) -> bytes:
        """Return one form of the display, as the content of a file of that type.

        Raises:
            ValueError: when the display has no such form.
        """
        if mime not in self.wire:
            raise ValueError(f"This display has no {mime}; it has {', '.join(sorted(self.wire)) or 'nothing'}")
        data = self.wire[mime]
        if mime in _BASE64:
            return base64.b64decode(data)
        return (data if isinstance(data, str) else json.dumps(data)).encode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the form that the file's extension names (`.png`, `.svg`, `.html`, `.txt` …), and return the path.

        A link of that name, which code in a session may have left in the workspace, is replaced and not followed.

        Raises:
            OSError: when the file cannot be written; what was there before stays.
            ValueError: when the extension is unknown, or names a form that the display does not have.
        """
        place = Path(path)
        if place.suffix.lower() not in _TYPES:
            raise ValueError(f"{place.name} does not end in one of {', '.join(sorted(_TYPES))}")
        _write_anew(place, self.bytes_of(_TYPES[place.suffix.lower()]))
        return place

    def __str__(self) -> str:
        return self.text


def _write_anew(place: Path, content: bytes) -> None:
    """Write a file beside `place`, then rename it to `place`."""
    folder = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    draft = f".{secrets.token_hex(8)}"
    try:
        with open(draft, "xb", opener=partial(os.open, mode=0o666, dir_fd=folder)) as file:
            file.write(content)
        os.replace(draft, place.name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        raise
    finally:
        os.close(folder)
