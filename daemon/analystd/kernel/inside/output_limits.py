"""Limit the output of code: keep the beginning and end of a text, and displays up to a size."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

HEAD_CHARACTERS = 512 * 1024
TAIL_CHARACTERS = 512 * 1024
MAX_RESULT_CHARACTERS = 128 * 1024
MAX_DISPLAY_BYTES = 4 * 1024 * 1024
"""Maximum size of one MIME type of a display: a 4 MB PNG has some 3 MB before base64."""
MAX_BUNDLE_BYTES = 8 * 1024 * 1024
"""Maximum size of all MIME types of one display."""
MAX_DISPLAYS = 100
MAX_DISPLAYS_BYTES = 32 * 1024 * 1024
"""With the texts, which may be 2 x 12 MB in JSON, this keeps an outcome below the 64 MiB of a message."""

_MAX_TYPE_CHARACTERS = 200
_CHUNK = 8 * 1024


class HeadTail:
    """A text of any length in bounded memory: the head is returned as it arrives, the tail is kept until the end."""

    def __init__(self, head: int = HEAD_CHARACTERS, tail: int = TAIL_CHARACTERS) -> None:
        self.cut_bytes = 0
        self._room = head
        self._tail = tail
        self._chunks: deque[str] = deque()
        self._chunks_length = 0
        self._pieces: list[str] = []
        self._pieces_length = 0

    def admit(self, text: str) -> str:
        """Return the part of `text` that belongs to the head; keep the remainder for `rest`."""
        if self._room >= len(text):
            self._room -= len(text)
            return text
        head, text = text[: self._room], text[self._room :]
        self._room = 0
        self._keep(text)
        return head

    def rest(self) -> str:
        """End the text, and return what follows the head: nothing, the remainder, or a mark of what is missing and the tail."""
        self._seal()
        text = "".join(self._chunks)
        if len(text) > self._tail:
            self._cut(text[: len(text) - self._tail])
            text = text[len(text) - self._tail :]
        self._chunks.clear()
        self._chunks_length = 0
        if not self.cut_bytes:
            return text
        return f"\n… [{self.cut_bytes} bytes cut] …\n{text}"

    def _keep(self, text: str) -> None:
        # Small pieces are joined first: half a million one-character strings would take 30 MB.
        self._pieces.append(text)
        self._pieces_length += len(text)
        if self._pieces_length >= _CHUNK:
            self._seal()

    def _seal(self) -> None:
        chunk = "".join(self._pieces)
        self._pieces.clear()
        self._pieces_length = 0
        if len(chunk) > self._tail:
            self._cut(chunk[: len(chunk) - self._tail])
            chunk = chunk[len(chunk) - self._tail :]
        self._chunks.append(chunk)
        self._chunks_length += len(chunk)
        while self._chunks_length - len(self._chunks[0]) >= self._tail and len(self._chunks) > 1:
            oldest = self._chunks.popleft()
            self._chunks_length -= len(oldest)
            self._cut(oldest)

    def _cut(self, text: str) -> None:
        self.cut_bytes += byte_length(text)


def byte_length(text: str) -> int:
    """Return the length of `text` in UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def bounded_text(text: str, limit: int) -> str:
    """Return `text`, or its two ends around a mark if it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    kept = HeadTail(limit // 2, limit // 2)
    return kept.admit(text) + kept.rest()


def bundle_size(data: dict[str, Any]) -> int:
    """Return the size of a MIME bundle in ASCII-only JSON: the longest form in which it is ever sent."""
    return sum(_size(value) for value in data.values())


def bounded_bundle(data: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a MIME bundle without values that are too large, and whether anything was cut; a note in its plain text lists what is missing."""
    kept: dict[str, Any] = {}
    notes: list[str] = []
    whole = 0
    for mime, value in data.items():
        if mime == "text/plain" and isinstance(value, str):
            kept[mime] = bounded_text(value, MAX_RESULT_CHARACTERS)
            continue
        size = _size(value)
        if len(mime) > _MAX_TYPE_CHARACTERS:
            notes.append(f"… [{mime[:20]}… left out: no MIME type is of {len(mime)} characters] …")
        elif size <= MAX_DISPLAY_BYTES and whole + size <= MAX_BUNDLE_BYTES:
            kept[mime] = value
            whole += size
        else:
            limit = MAX_DISPLAY_BYTES if size > MAX_DISPLAY_BYTES else MAX_BUNDLE_BYTES
            notes.append(f"… [{mime} of {size / 1e6:.1f} MB left out: more than {limit / 1e6:.1f} MB] …")
    cut = bool(notes) or kept.get("text/plain") != data.get("text/plain")
    if notes:
        kept["text/plain"] = "\n".join([*([kept["text/plain"]] if "text/plain" in kept else []), *notes])
    return kept, cut


def _size(value: Any) -> int:
    # A string that is already too long need not be encoded to measure it.
    if isinstance(value, str) and len(value) > MAX_DISPLAY_BYTES:
        return len(value)
    return len(json.dumps(value))
