from __future__ import annotations

import asyncio

import pytest

from analystd.wire import framing


def reader_of(data: bytes) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=1 << 16)
    reader.feed_data(data)
    reader.feed_eof()
    return reader


async def test_a_framed_message_is_read_back() -> None:
    reader = reader_of(framing.frame({"text": "ü"}) + framing.frame({"second": True}))
    assert await framing.read_body(reader) == '{"text":"ü"}'.encode()
    assert await framing.read_body(reader) == b'{"second":true}'
    assert await framing.read_body(reader) is None


async def test_a_message_that_cannot_be_read_is_read_past() -> None:
    long = b"Content-Length: %d\r\n\r\n%b" % (framing.MAX_MESSAGE_BYTES + 1, b"x" * (framing.MAX_MESSAGE_BYTES + 1))
    foreign = b"Content-Length: 2\r\nContent-Type: x; charset=latin-1\r\n\r\n{}"
    reader = reader_of(long + foreign + framing.frame({}))
    with pytest.raises(framing.SkippedMessageError, match="67108865 bytes is over the limit of 67108864"):
        await framing.read_body(reader)
    with pytest.raises(framing.SkippedMessageError, match="'latin-1', and only utf-8 can be read"):
        await framing.read_body(reader)
    assert await framing.read_body(reader) == b"{}"


async def test_header_names_may_be_in_lower_case_and_in_any_order() -> None:
    reader = reader_of(b"content-type: x\r\ncontent-length: 2\r\n\r\n{}")
    assert await framing.read_body(reader) == b"{}"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"Content-Length: two\r\n\r\n{}", "not a number"),
        (b"Content-Length: -2\r\n\r\n{}", "not a number"),
        (b"Content-Type: x\r\n\r\n{}", "no Content-Length"),
        (b"\r\n{}", "no Content-Length"),
        (b"Content-Length: +2\r\n\r\n{}", "not a number"),
        (b"Content-Length: \xc2\xb2\r\n\r\n{}", "is no line"),
        (b"Content-Length: 2\r\nContent-Length: 1\r\n\r\n{}", "two things of content-length: '2' and '1'"),
        (b"GET / HTTP/1.1\r\n\r\n", "'GET / HTTP/1.1' is no line"),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}", "over the limit"),
        (b"Content-Length: 99999999999\r\n\r\n{}", "over the limit"),
        (b"Content-Length: 10\r\n\r\n{}", "8 bytes before the end"),
        (b"Content-Len", "inside a message header"),
        (b"x" * 100_000, "longer than"),
        (b"a: b\r\n" * 5000, "longer than"),
    ],
)
async def test_what_is_no_message_is_named(data: bytes, words: str) -> None:
    with pytest.raises(framing.FramingError, match=words):
        await framing.read_body(reader_of(data))
