"""Messages of the base protocol of LSP 3.17: a `Content-Length` header block, then a JSON body.

Read here rather than by pygls, which hangs on a header in lower case and has no size limit.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 8 * 1024


class FramingError(Exception):
    """The byte stream is not a sequence of LSP messages; nothing after this point can be trusted."""


def frame(message: dict[str, Any]) -> bytes:
    """The bytes of one message, header included."""
    return frame_body(json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))


def frame_body(body: bytes) -> bytes:
    """The bytes of one message whose JSON body is already encoded."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


async def read_body(reader: asyncio.StreamReader) -> bytes | None:
    """The body of the next message, or None at the end of the stream.

    Raises:
        FramingError: for a header block without a length, one too long, a body over `MAX_MESSAGE_BYTES`, or an end inside a message.
    """
    length = await _content_length(reader)
    if length is None:
        return None
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as exc:
        raise FramingError(f"the stream ended {length - len(exc.partial)} bytes before the end of a message") from exc


async def _content_length(reader: asyncio.StreamReader) -> int | None:
    length: int | None = None
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
            if length is None:
                raise FramingError("a message header has no Content-Length")
            return length
        length = _length_in(line) if _is_length(line) else length


async def _header_line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readline()
    except ValueError as exc:
        raise FramingError(f"a message header is longer than {MAX_HEADER_BYTES} bytes") from exc


def _is_length(line: bytes) -> bool:
    return line.partition(b":")[0].strip().lower() == b"content-length"


def _length_in(line: bytes) -> int:
    digits = line.partition(b":")[2].strip()
    if not digits.isdigit():
        raise FramingError(f"Content-Length is {digits.decode('ascii', 'replace')!r}, not a number")
    length = int(digits)
    if length > MAX_MESSAGE_BYTES:
        raise FramingError(f"a message of {length} bytes is over the limit of {MAX_MESSAGE_BYTES}")
    return length
