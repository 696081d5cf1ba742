"""Messages of the base protocol of LSP 3.17: a `Content-Length` header block, then a JSON body in UTF-8.

Implemented here rather than by pygls, which hangs on a lower-case header and has no size limit.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from analystd.util.strict_json import encoded

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_SKIPPED_BYTES = 1024 * 1024 * 1024
"""A message over `MAX_MESSAGE_BYTES` is skipped up to this length; a longer one is an error, since skipping it would take too long."""

MAX_HEADER_BYTES = 8 * 1024

_PIECE_BYTES = 256 * 1024
_HEAD_BYTES = 4 * 1024
_MAX_DIGITS = 18
_ANSWER_HEAD = re.compile(
    rb'\s*\{\s*(?:"jsonrpc"\s*:\s*"2\.0"\s*,\s*)?"id"\s*:\s*(-?(?:0|[1-9]\d{0,17})|"[ !#-\[\]-~]*")\s*,'
)
"""The beginning of an answer, whichever of our programs wrote it."""


class FramingError(Exception):
    """The byte stream is not a readable sequence of LSP messages; nothing after this point can be trusted."""


class SkippedMessageError(FramingError):
    """One message could not be read and was skipped; those that follow can be read. `head` is its beginning."""

    def __init__(self, problem: str, head: bytes = b"") -> None:
        super().__init__(problem)
        self.head = head

    @property
    def request_id(self) -> str | int | None:
        """The id of the request that the message answers, if its beginning contains one."""
        return answered_request(self.head)


def answered_request(head: bytes) -> str | int | None:
    """Return the request id at the beginning of a message, where an answer has it; None if there is none."""
    found = _ANSWER_HEAD.match(head)
    request_id: str | int | None = None if found is None else json.loads(found[1])
    return request_id


def frame(message: dict[str, Any]) -> bytes:
    """Return the bytes of one message, header included."""
    return frame_body(encoded(message))


def frame_body(body: bytes) -> bytes:
    """Return the bytes of one message whose JSON body is already encoded."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def read_body(reader: asyncio.StreamReader) -> bytes | None:
    """Return the body of the next message, or None at the end of the stream.

    Raises:
        SkippedMessageError: for a message over `MAX_MESSAGE_BYTES`, or in another encoding than UTF-8; the next one can be read.
        FramingError: for a malformed header block, one without a length or too long, a body over `MAX_SKIPPED_BYTES`, or an end inside a message.
    """
    header = await _header(reader)
    if header is None:
        return None
    length = _length_in(header)
    try:
        if (problem := _problem_of(header, length)) is not None:
            raise SkippedMessageError(problem, await _skip(reader, length))
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as exc:
        raise FramingError(f"the stream ended {length - len(exc.partial)} bytes before the end of a message") from exc


async def _header(reader: asyncio.StreamReader) -> dict[str, str] | None:
    """Return the fields of a header block by lower-case name; None at the end of the stream."""
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
    """Return why the message that follows cannot be read, or None."""
    if length > MAX_MESSAGE_BYTES:
        return f"a message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}"
    for parameter in header.get("content-type", "").split(";")[1:]:
        name, _, charset = parameter.partition("=")
        if name.strip().lower() == "charset" and charset.strip().strip('"').lower() not in ("utf-8", "utf8"):
            return f"the charset of a message is {charset.strip()[:80]!r}, and only utf-8 can be read"
    return None


async def _skip(reader: asyncio.StreamReader, length: int) -> bytes:
    """Skip a body and return its beginning."""
    head = await reader.readexactly(min(length, _HEAD_BYTES))
    length -= len(head)
    while length > 0:
        length -= len(await reader.readexactly(min(length, _PIECE_BYTES)))
    return head
