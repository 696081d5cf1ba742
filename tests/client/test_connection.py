"""Test messages that a client cannot read: each fails only itself and the request that it answers."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from analystd.client._connection import Connection
from analystd.wire import framing
from analystd.wire.errors import AnalystdError, ResourceLimitError

Daemon = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def daemon() -> AsyncIterator[Daemon]:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=theirs)
    reader.our_end = ours  # type: ignore[attr-defined]
    yield reader, writer
    writer.transport.abort()


@pytest.fixture
async def connection(daemon: Daemon) -> AsyncIterator[tuple[Connection, list[Any]]]:
    heard: list[Any] = []
    reader, writer = await asyncio.open_unix_connection(sock=daemon[0].our_end)  # type: ignore[attr-defined]
    connection = Connection(reader, writer, lambda method, params: heard.append((method, params)), lambda: None)
    yield connection, heard
    await connection.aclose()


async def asked(daemon: Daemon) -> int:
    """Return the id of the next request."""
    body = await framing.read_body(daemon[0])
    assert body is not None
    number: int = json.loads(body)["id"]
    return number


async def test_an_answer_that_is_too_large_fails_its_request_alone(
    daemon: Daemon, connection: tuple[Connection, list[Any]]
) -> None:
    client, heard = connection
    large, small = (asyncio.ensure_future(client.request(f"x/{size}", {})) for size in ("large", "small"))
    first, second = await asked(daemon), await asked(daemon)
    text = b"x" * framing.MAX_MESSAGE_BYTES
    daemon[1].write(framing.frame_body(b'{"jsonrpc":"2.0","method":"x/told","params":"%b"}' % text))
    daemon[1].write(framing.frame_body(b'{"id":%d,"jsonrpc":"2.0","result":"%b"}' % (first, text)))
    daemon[1].write(framing.frame({"jsonrpc": "2.0", "method": "x/after", "params": 1}))
    daemon[1].write(framing.frame({"jsonrpc": "2.0", "id": second, "result": "here"}))
    with pytest.raises(ResourceLimitError, match="over the limit of 67108864"):
        await asyncio.wait_for(large, 20)
    assert await asyncio.wait_for(small, 20) == "here"
    assert heard == [("x/after", 1)]
    assert client.lost is None


@pytest.mark.parametrize(
    "body",
    [
        b"{not json",
        b"[]",
        b"7",
        b'{"id":[1]}',
        b'{"method":"$/progress"}',
        b"[" * 100_000,
        b"\xff",
        b'{"id":{},"result":1}',
    ],
)
async def test_what_is_no_message_is_passed_over(
    daemon: Daemon, connection: tuple[Connection, list[Any]], body: bytes
) -> None:
    client, _ = connection
    asking = asyncio.ensure_future(client.request("x/small", {}))
    number = await asked(daemon)
    daemon[1].write(framing.frame_body(body))
    daemon[1].write(framing.frame({"jsonrpc": "2.0", "id": number, "result": "here"}))
    assert await asyncio.wait_for(asking, 20) == "here"


async def test_an_answer_that_is_none_fails_its_request(
    daemon: Daemon, connection: tuple[Connection, list[Any]]
) -> None:
    client, _ = connection
    asking = asyncio.ensure_future(client.request("x/small", {}))
    number = await asked(daemon)
    daemon[1].write(framing.frame_body(b'{"jsonrpc":"2.0","id":%d,"result":%b' % (number, b"[" * 100_000)))
    with pytest.raises(AnalystdError, match="The daemon's answer is none"):
        await asyncio.wait_for(asking, 20)
