"""Parse and check messages of a kernel: code in the jail can forge them, so each is checked and bounded before it is used.

A large structure in a display is decoded once, to check it, and from then on kept as encoded JSON.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analystd.kernel.inside.output_limits import (
    MAX_BUNDLE_BYTES,
    MAX_DISPLAY_BYTES,
    MAX_RESULT_CHARACTERS,
    bounded_text,
)
from analystd.util.strict_json import EncodedJson, encoded, is_nested_deeper, without_collection

MAX_CONTENT_BYTES = 10 * 1024 * 1024
"""Maximum size of a message's content; a kernel of ours sends no larger one."""

MAX_DISPLAY_NESTING = 100
"""Maximum nesting of lists and objects in a display."""

QUICK_BYTES = 64 * 1024
"""Messages up to this size are parsed at once; larger ones in a thread, so that they block nothing else."""

_MAX_HEAD_BYTES = 64 * 1024
_MAX_PARTS = 64
_MAX_TYPES = 64
_MAX_TYPE_CHARACTERS = 200
_DELIMITER = b"<IDS|MSG>"
_DISPLAYS = ("display_data", "update_display_data", "execute_result")
_SPACE = re.compile(r"[ \t\r\n]*")


class NoMessageError(Exception):
    """The received parts are not a valid message of a kernel."""


@dataclass(frozen=True)
class Bundle:
    """The bounded content of a display: values by MIME type, large structures encoded; `size` is their approximate encoded size."""

    data: dict[str, Any]
    size: int
    cut: bool
    """Whether anything was left out."""


@dataclass(frozen=True)
class KernelMessage:
    """A message: its kind, the request that it belongs to, and its content. A display has a `bundle` instead of `data` in the content."""

    parent: str
    kind: str
    content: dict[str, Any]
    bundle: Bundle | None = None


def read_message(parts: Sequence[bytes], key: bytes) -> KernelMessage:
    """Parse the parts of a ZeroMQ message that is signed with `key`.

    Raises:
        NoMessageError: when it is invalid, has another signature, or is too large.
    """
    signature, header, parent, metadata, content = _parts_of(parts)
    _require_signature(signature, (header, parent, metadata, content), key)
    kind = _object(header).get("msg_type")
    parent_id = _object(parent).get("msg_id", "")
    if not isinstance(kind, str) or not isinstance(parent_id, str):
        raise NoMessageError("a header without a type, or without the id of its parent")
    if kind in _DISPLAYS:
        members, bundle = _display_in(content)
        return KernelMessage(parent_id, kind, members, bundle)
    with without_collection():
        return KernelMessage(parent_id, kind, _object(content))


def _parts_of(parts: Sequence[bytes]) -> Sequence[bytes]:
    if len(parts) > _MAX_PARTS or _DELIMITER not in parts:
        raise NoMessageError(f"{len(parts)} parts, or no delimiter")
    parts = parts[parts.index(_DELIMITER) + 1 :][:5]
    if len(parts) < 5:
        raise NoMessageError("parts are missing")
    if max(map(len, parts[:4])) > _MAX_HEAD_BYTES or len(parts[4]) > MAX_CONTENT_BYTES:
        raise NoMessageError(f"parts of {', '.join(str(len(part)) for part in parts)} bytes")
    return parts


def _require_signature(signature: bytes, parts: Sequence[bytes], key: bytes) -> None:
    digest = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        digest.update(part)
    if not hmac.compare_digest(digest.hexdigest().encode(), signature):
        raise NoMessageError("the signature is wrong")


def _object(part: bytes) -> dict[str, Any]:
    try:
        value = json.loads(part)
    except (ValueError, RecursionError) as exc:
        raise NoMessageError(f"a part is not valid JSON: {exc}") from None
    if not isinstance(value, dict):
        raise NoMessageError("a part is not a JSON object")
    return value


def _display_in(content: bytes) -> tuple[dict[str, Any], Bundle]:
    """Return the content of a display without its data, and the data."""
    scanner = _Scanner(content)
    try:
        members: dict[str, Any] = {}
        bundle = None
        for name, start in scanner.members(0):
            if name == "data":
                bundle = _BundleMaker(scanner).bundle(start)
            else:
                members[name[:_MAX_TYPE_CHARACTERS]] = scanner.value(start)
    except (ValueError, RecursionError, IndexError) as exc:
        raise NoMessageError(f"a display is not valid JSON: {exc}") from None
    if bundle is None:
        raise NoMessageError("a display without data")
    return members, bundle


class _Scanner:
    """Parse an object member by member, so that the text of each value is known."""

    def __init__(self, content: bytes) -> None:
        self.text = content.decode()
        self.end = 0
        """The end of the last value."""
        self.has_constants = False
        """Whether the last value contained constants that JSON does not have, such as NaN."""
        self._decoder = json.JSONDecoder(parse_constant=self._note_constant)

    def members(self, start: int) -> Any:
        """Yield the name of each member of the object at `start` and the position of its value, which the caller must parse next."""
        self._expect("{", start)
        if self.text[self._past_space(self.end)] == "}":
            self.end = self._past_space(self.end) + 1
            return
        while True:
            name = self.value(self._past_space(self.end))
            if not isinstance(name, str):
                raise ValueError("a name that is not a string")
            self._expect(":", self._past_space(self.end))
            yield name, self._past_space(self.end)
            after = self._past_space(self.end)
            if self.text[after] == "}":
                self.end = after + 1
                return
            self._expect(",", after)

    def value(self, start: int) -> Any:
        """Parse and return the value at `start`."""
        self.has_constants = False
        with without_collection():
            value, self.end = self._decoder.raw_decode(self.text, start)
        return value

    def _past_space(self, start: int) -> int:
        found = _SPACE.match(self.text, start)
        return start if found is None else found.end()

    def _expect(self, character: str, at: int) -> None:
        if self.text[at] != character:
            raise ValueError(f"{character} is missing")
        self.end = at + 1

    def _note_constant(self, name: str) -> str:
        self.has_constants = True
        return name


class _BundleMaker:
    """Parse a bundle value by value."""

    def __init__(self, scanner: _Scanner) -> None:
        self._scanner = scanner
        self._data: dict[str, Any] = {}
        self._notes: list[str] = []
        self._size = 0
        self._cut = False

    def bundle(self, start: int) -> Bundle:
        """Return the bundle at `start` without values that are too large; a note in its plain text lists what is missing."""
        for mime, begin in self._scanner.members(start):
            self._take(mime, begin)
        if self._notes:
            text = self._data.get("text/plain")
            self._data["text/plain"] = "\n".join([*([text] if isinstance(text, str) else []), *self._notes])
        return Bundle(self._data, self._size, self._cut or bool(self._notes))

    def _take(self, mime: str, start: int) -> None:
        value = self._scanner.value(start)
        length = self._scanner.end - start
        if len(mime) > _MAX_TYPE_CHARACTERS:
            self._leave_out(f"{mime[:20]}…", f"left out: no MIME type is of {len(mime)} characters")
        elif len(self._data) >= _MAX_TYPES:
            self._cut = True
        elif mime == "text/plain" and isinstance(value, str):
            self._data[mime] = bounded_text(value, MAX_RESULT_CHARACTERS)
            self._cut |= len(value) > MAX_RESULT_CHARACTERS
            self._size += min(length, 6 * MAX_RESULT_CHARACTERS)
        elif length > MAX_DISPLAY_BYTES or self._size + length > MAX_BUNDLE_BYTES:
            self._leave_out(mime, f"of {length / 1e6:.1f} MB left out: more than {MAX_DISPLAY_BYTES / 1e6:.1f} MB")
        elif length > MAX_DISPLAY_NESTING and is_nested_deeper(value, MAX_DISPLAY_NESTING):
            self._leave_out(mime, f"left out: nested more than {MAX_DISPLAY_NESTING} deep")
        else:
            is_plain = isinstance(value, str) or length <= QUICK_BYTES
            self._data[mime] = value if is_plain else self._kept(value, start)
            self._size += length + len(mime)

    def _kept(self, value: Any, start: int) -> EncodedJson:
        text = self._scanner.text[start : self._scanner.end]
        # A line of the journal must not contain line breaks, and its readers may be stricter than Python's parser.
        if self._scanner.has_constants or "\n" in text or "\r" in text:
            return EncodedJson(encoded(value))
        return EncodedJson(text.encode("utf-8", "backslashreplace"))

    def _leave_out(self, mime: str, why: str) -> None:
        if len(self._notes) < _MAX_TYPES:
            self._notes.append(f"… [{mime} {why}] …")
