"""Show displays in a terminal, and save them as files."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analystd.client.displays import Display
from analystd.util.inert_text import one_line
from analystd.wire.errors import WorkspaceError

# Plain text that only names the object, such as `<IPython.core.display.Markdown object>`.
_PLACEHOLDER = re.compile(r"<[\w.]+ object(?: at 0x[0-9a-f]+)?>")
_READABLE = ("text/markdown", "text/latex")

_TYPES_SHOWN = 8
_TYPE_CHARACTERS = 80

_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/svg+xml": "svg",
    "application/pdf": "pdf",
    "text/html": "html",
    "text/markdown": "md",
    "text/latex": "tex",
    "application/json": "json",
    "text/plain": "txt",
}
"""The types that can be saved, the richest first."""

PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "application/pdf")
"""The types among them that a terminal cannot show."""


def display_text(bundle: Mapping[str, Any]) -> str:
    """Return the text of a display for a terminal; empty when it has none."""
    plain = bundle.get("text/plain")
    text = plain if isinstance(plain, str) else ""
    if not text or _PLACEHOLDER.fullmatch(text):
        return next((bundle[mime] for mime in _READABLE if isinstance(bundle.get(mime), str)), text)
    return text


def display_note(bundle: Mapping[str, Any], run_id: str | None) -> str:
    """Return a note on the parts of a display that a terminal cannot show and how to save them; empty when there are none."""
    text = display_text(bundle)
    others = [mime for mime in sorted(bundle) if not mime.startswith("text/")]
    if text and not others and not _PLACEHOLDER.fullmatch(text):
        return ""
    how = f"; `analystd show {run_id} --save DIR` saves it" if run_id and _type_to_save(bundle) else ""
    return f"[display: {_listed(others or sorted(set(bundle) - {'text/plain'}))}{how}]"


def save_displays(bundles: Iterable[Mapping[str, Any]], run_id: str, folder: Path, first: int = 1) -> list[Path]:
    """Write each display in its richest form to a new file in the folder, which is created if needed, and return the paths.

    The numbers in their names start at `first`.

    Raises:
        WorkspaceError: when a file of that name exists, or cannot be written.
    """
    paths: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, bundle in enumerate(bundles, first):
            if (mime := _type_to_save(bundle)) is None:
                continue
            path = folder / f"{run_id}-{number}.{_ENDINGS[mime]}"
            content = _content(bundle, mime)
            # A new file: nothing is overwritten, and no link is followed.
            with path.open("xb") as file:
                file.write(content)
            paths.append(path)
    except OSError as exc:
        raise WorkspaceError(
            f"{exc.filename or folder} cannot be written: {exc.strerror}", "Name another folder."
        ) from exc
    return paths


def _listed(mimes: list[str]) -> str:
    """Return the types on one line, shortened: a program may name many long ones."""
    shown = [one_line(mime[:_TYPE_CHARACTERS]) + "…" * (len(mime) > _TYPE_CHARACTERS) for mime in mimes[:_TYPES_SHOWN]]
    return ", ".join([*shown, *(["…"] if len(mimes) > _TYPES_SHOWN else [])])


def _type_to_save(bundle: Mapping[str, Any]) -> str | None:
    return next((mime for mime in _ENDINGS if mime in bundle), None)


def _content(bundle: Mapping[str, Any], mime: str) -> bytes:
    try:
        return Display.of(bundle).bytes_of(mime)
    except (binascii.Error, TypeError, ValueError):
        # A program may display any value under this type.
        return str(bundle[mime]).encode("utf-8", "backslashreplace")
