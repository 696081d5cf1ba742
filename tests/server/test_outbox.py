from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from analystd.server.outbox import Outbox


@pytest.fixture
async def ends() -> AsyncIterator[tuple[asyncio.StreamWriter, socket.socket]]:
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_unix_connection(sock=ours)
    yield writer, theirs
    writer.close()
    theirs.close()


async def test_messages_arrive_in_order_and_before_the_end(ends: tuple[asyncio.StreamWriter, socket.socket]) -> None:
    writer, reader = ends
    outbox = Outbox(writer, "window")
    for number in range(100):
        outbox.write(b"%03d" % number)
    await outbox.aclose()
    assert reader.recv(1000) == b"".join(b"%03d" % number for number in range(100))
    assert reader.recv(1) == b""


async def test_a_client_that_does_not_read_is_dropped(ends: tuple[asyncio.StreamWriter, socket.socket]) -> None:
    writer, reader = ends
    outbox = Outbox(writer, "window", max_bytes=10_000_000)
    for _ in range(11):
        outbox.write(b"x" * 1_000_000)
        await asyncio.sleep(0)
    await outbox.aclose()
    while reader.recv(1 << 20):
        pass
    outbox.write(b"after")


async def test_a_client_that_left_is_no_error(ends: tuple[asyncio.StreamWriter, socket.socket]) -> None:
    writer, reader = ends
    reader.close()
    outbox = Outbox(writer, "window")
    outbox.write(b"x" * 1_000_000)
    await asyncio.sleep(0.05)
    outbox.write(b"more")
    await outbox.aclose()
