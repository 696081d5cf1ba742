from __future__ import annotations

import asyncio
import socket
import sys
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from analystd.server import send_queue as outbox_module
from analystd.server.send_queue import SendQueue

MANY = 1 << 26


@pytest.fixture
async def ends() -> AsyncIterator[tuple[asyncio.StreamWriter, socket.socket]]:
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_unix_connection(sock=ours)
    yield writer, theirs
    writer.close()
    theirs.close()


async def test_messages_arrive_in_order_and_before_the_end(ends: tuple[asyncio.StreamWriter, socket.socket]) -> None:
    writer, reader = ends
    outbox = SendQueue(writer, "window", MANY)
    for number in range(100):
        outbox.write(b"%03d" % number)
    await outbox.aclose()
    assert reader.recv(1000) == b"".join(b"%03d" % number for number in range(100))
    assert reader.recv(1) == b""


async def test_a_client_that_does_not_read_is_dropped_and_the_log_says_why(
    ends: tuple[asyncio.StreamWriter, socket.socket],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox_module, "PATIENCE_SECONDS", 0.1)
    writer, reader = ends
    outbox = SendQueue(writer, "window-3 (pid 7)", max_bytes=10_000_000)
    for _ in range(13):
        outbox.write(b"x" * 1_000_000)
        await asyncio.sleep(0)
    assert outbox.waiting_bytes > 10_000_000
    await asyncio.sleep(0.3)
    assert outbox.closed
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("window-3 (pid 7) does not read: ")
    assert "10000000 are the limit" in said
    assert outbox.waiting_bytes == 0
    await outbox.aclose()
    while reader.recv(1 << 20):
        pass
    outbox.write(b"after")


async def test_a_burst_is_no_reason_to_drop_a_client_unless_it_is_twice_the_limit(
    ends: tuple[asyncio.StreamWriter, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "PATIENCE_SECONDS", 0.1)
    writer, reader = ends
    outbox = SendQueue(writer, "window", max_bytes=10_000_000)
    for _ in range(20):
        outbox.write(b"x" * 1_000_000)
    received = 0
    while received < 20_000_000:
        received += len(await asyncio.to_thread(reader.recv, 1 << 18))
        await asyncio.sleep(0.005)
    for _ in range(22):
        outbox.write(b"x" * 1_000_000)
    assert (received, outbox.closed) == (20_000_000, True)
    await outbox.aclose()


async def test_one_message_over_the_limit_is_sent_to_who_reads(
    ends: tuple[asyncio.StreamWriter, socket.socket],
) -> None:
    writer, reader = ends
    outbox = SendQueue(writer, "window", max_bytes=1000)
    outbox.write(b"x" * 5_000_000)
    received = 0
    while received < 5_000_000:
        received += len(await asyncio.to_thread(reader.recv, 1 << 20))
    outbox.write(b"y")
    assert await asyncio.to_thread(reader.recv, 10) == b"y"
    await outbox.aclose()


async def test_clients_share_the_bytes_of_a_message(ends: tuple[asyncio.StreamWriter, socket.socket]) -> None:
    writer, _ = ends
    outbox = SendQueue(writer, "window", MANY)
    message = b"x" * 20_000_000
    before = sys.getrefcount(message)
    tracemalloc.start()
    for _ in range(3):
        outbox.write(message)
    await asyncio.sleep(0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sys.getrefcount(message) >= before + 2
    assert held < 2_000_000
    assert outbox.waiting_bytes > 50_000_000
    writer.transport.abort()
    await outbox.aclose()


async def test_room_is_waited_for_until_little_waits(ends: tuple[asyncio.StreamWriter, socket.socket]) -> None:
    writer, reader = ends
    outbox = SendQueue(writer, "window", MANY)
    await asyncio.wait_for(outbox.room(), 10)
    outbox.write(b"x" * 8_000_000)
    waiting = asyncio.create_task(outbox.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    received = 0
    while received < 8_000_000:
        received += len(await asyncio.to_thread(reader.recv, 1 << 20))
    await asyncio.wait_for(waiting, 10)
    await outbox.aclose()


async def test_a_client_that_left_is_no_error(ends: tuple[asyncio.StreamWriter, socket.socket]) -> None:
    writer, reader = ends
    reader.close()
    outbox = SendQueue(writer, "window", MANY)
    outbox.write(b"x" * 1_000_000)
    await asyncio.sleep(0.05)
    outbox.write(b"more")
    await outbox.aclose()
