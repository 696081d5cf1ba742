"""Messages of the base protocol of LSP 3.17: a `Content-Length` header block, then a JSON body in UTF-8.

Read here rather than by pygls, which hangs on a header in lower case and has no size limit. What is written is valid JSON in valid UTF-8
whatever it is made of: half a surrogate pair is escaped, and a number that JSON does not have becomes a string.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_SKIPPED_BYTES = 1024 * 1024 * 1024
"""A message that is too long is read past, up to this length; a longer one is no mistake that is worth the wait."""

MAX_HEADER_BYTES = 8 * 1024

_PIECE_BYTES = 256 * 1024
_MAX_DIGITS = 18


class FramingError(Exception):
    """The byte stream is not a sequence of LSP messages that can be read; nothing after this point can be trusted."""


class SkippedMessageError(FramingError):
    """One message could not be read, and was read past: those that follow it can be read."""


def encoded(value: Any, default: Callable[[Any], Any] | None = None) -> bytes:
    """JSON in UTF-8; `default` gives what stands for values that JSON has no form for."""
    try:
        return _dumped(value, default, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return _dumped(value, default, ensure_ascii=True).encode()


def frame(message: dict[str, Any]) -> bytes:
    """The bytes of one message, header included."""
    return frame_body(encoded(message))


def frame_body(body: bytes) -> bytes:
    """The bytes of one message whose JSON body is already encoded."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def read_body(reader: asyncio.StreamReader) -> bytes | None:
    """The body of the next message, or None at the end of the stream.

    Raises:
        SkippedMessageError: for a message over `MAX_MESSAGE_BYTES`, or in another encoding than UTF-8; the next one can be read.
        FramingError: for a header block that is none, has no length or is too long, a body over `MAX_SKIPPED_BYTES`, or an end inside a message.
    """
    header = await _header(reader)
    if header is None:
        return None
    length = _length_in(header)
    try:
        if (problem := _problem_of(header, length)) is not None:
            await _skip(reader, length)
            raise SkippedMessageError(problem)
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as exc:
        raise FramingError(f"the stream ended {length - len(exc.partial)} bytes before the end of a message") from exc


def _dumped(value: Any, default: Callable[[Any], Any] | None, *, ensure_ascii: bool) -> str:
    try:
        return json.dumps(value, default=default, ensure_ascii=ensure_ascii, separators=(",", ":"), allow_nan=False)
    except ValueError:
        plain = json.loads(json.dumps(value, default=default), parse_constant=str)
        return json.dumps(plain, ensure_ascii=ensure_ascii, separators=(",", ":"))


async def _header(reader: asyncio.StreamReader) -> dict[str, str] | None:
    """The fields of a header block, by their names in lower case; None at the end of the stream."""
    fields: dict[str, str] = {}
    seen = 0
    while True:
        line = await _header_line(reader)
        if not line and seen == 0:
            return None
        if not line.endswith(b"\n"):
            raise FramingError("the stream ended inside a message header")
        seen += len(line)
        if seen > MAX_HEADER_BYTES:
            raise FramingError(f"a message header is longer than {MAX_HEADER_BYTES} bytes")
        if not line.strip():
            return fields
        name, value = _field(line)
        if fields.setdefault(name, value) != value:
            raise FramingError(f"a message header says two things of {name}: {fields[name]!r} and {value!r}")


async def _header_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as exc:
        raise FramingError(f"a message header is longer than {MAX_HEADER_BYTES} bytes") from exc


def _field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    if not colon or not line.isascii():
        raise FramingError(f"{line[:80].decode('latin-1').strip()!a} is no line of a message header")
    return name.strip().lower().decode(), value.strip().decode()


def _length_in(header: dict[str, str]) -> int:
    if "content-length" not in header:
        raise FramingError("a message header has no Content-Length")
    digits = header["content-length"]
    if not digits.isdigit():
        raise FramingError(f"Content-Length is {digits[:80]!r}, not a number")
    if len(digits) > _MAX_DIGITS or int(digits) > MAX_SKIPPED_BYTES:
        raise FramingError(
            f"a message of {digits[:80]} bytes is over the limit of {MAX_MESSAGE_BYTES}, and too long to be read past"
        )
    return int(digits)


def _problem_of(header: dict[str, str], length: int) -> str | None:
    """Why the message that follows cannot be read, or None."""
    if length > MAX_MESSAGE_BYTES:
        return f"a message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}"
    for parameter in header.get("content-type", "").split(";")[1:]:
        name, _, charset = parameter.partition("=")
        if name.strip().lower() == "charset" and charset.strip().strip('"').lower() not in ("utf-8", "utf8"):
            return f"the charset of a message is {charset.strip()[:80]!r}, and only utf-8 can be read"
    return None


async def _skip(reader: asyncio.StreamReader, length: int) -> None:
    while length > 0:
        length -= len(await reader.readexactly(min(length, _PIECE_BYTES)))
