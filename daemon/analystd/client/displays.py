"""Displays: what code showed, as a bundle of the same thing in several MIME types."""

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
"""Jupyter sends these as base64; what else it sends is text or JSON."""


@dataclass(frozen=True, eq=False)
class Display(Record):
    """A plot, a table or the like; as a mapping, `{mime: data}`."""

    @property
    def png(self) -> bytes | None:
        """The picture, if it is one."""
        return self.bytes_of("image/png") if "image/png" in self.wire else None

    @property
    def html(self) -> str | None:
        """It as HTML, if it has such a form."""
        return self.wire.get("text/html")

    @property
    def text(self) -> str:
        """It as plain text; nothing where it has no such form."""
        return str(self.wire.get("text/plain", ""))

    def bytes_of(self, mime: str) -> bytes:
        """One of its forms, as a file of that type has it.

        Raises:
            ValueError: when it has no such form.
        """
        if mime not in self.wire:
            raise ValueError(f"This display has no {mime}; it has {', '.join(sorted(self.wire)) or 'nothing'}")
        data = self.wire[mime]
        if mime in _BASE64:
            return base64.b64decode(data)
        return (data if isinstance(data, str) else json.dumps(data)).encode()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the form that the name's ending tells (`.png`, `.svg`, `.html`, `.txt` …); gives the path.

        A link of that name, which code in a session may have left in the workspace, is replaced and not followed.

        Raises:
            OSError: when it cannot be written; what was there is there still.
            ValueError: when the ending tells nothing, or a form that it does not have.
        """
        place = Path(path)
        if place.suffix.lower() not in _TYPES:
            raise ValueError(f"{place.name} does not end in one of {', '.join(sorted(_TYPES))}")
        _write_anew(place, self.bytes_of(_TYPES[place.suffix.lower()]))
        return place

    def __str__(self) -> str:
        return self.text


def _write_anew(place: Path, content: bytes) -> None:
    """Write a file beside `place` and give it that name."""
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
