"""A daemon whose every word a test says: found by the relay as any other, with a lock, a card and a socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any, Self

from analystd import __version__
from analystd.discovery.registry import DaemonInfo, daemon_address, private_folder
from analystd.util.locks import HeldLock, take_lock
from analystd.wire import framing
from analystd.wire.names import PROTOCOL_VERSION

SECONDS = 20.0

Message = dict[str, Any]


class Ends:
    """One side of a conversation in frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self.hello: Message = {}

    async def say(self, *messages: Message) -> None:
        for message in messages:
            self.writer.write(framing.frame({"jsonrpc": "2.0", **message}))
        await self.writer.drain()

    async def hear(self) -> Message:
        body = await asyncio.wait_for(framing.read_body(self._reader), SECONDS)
        assert body is not None, "the other side ended"
        message: Message = json.loads(body)
        return message

    async def hear_all(self, count: int) -> list[Message]:
        return [await self.hear() for _ in range(count)]

    async def is_left(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self._reader.read(), SECONDS) == b""
        return True

    def hang_up(self) -> None:
        self.writer.transport.abort()


class StandIn:
    """As long as it is entered, the relay finds it; `greets` says whether it answers the hello."""

    def __init__(self, *, greets: bool = True) -> None:
        self._greets = greets
        self._visitors: asyncio.Queue[Ends] = asyncio.Queue()
        self._all: list[Ends] = []
        self._lock: HeldLock | None = None

    async def __aenter__(self) -> Self:
        address = daemon_address()
        private_folder(address.folder)
        self._lock = take_lock(address.lock, 0)
        assert self._lock is not None
        self._server = await asyncio.start_unix_server(self._accept, address.socket)
        self._card = DaemonInfo(
            address, os.getpid(), __version__, PROTOCOL_VERSION, "t", address.socket, hands_over=False
        )
        self._card.write()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()
        for ends in self._all:
            ends.hang_up()
        self._card.address.card.unlink()
        assert self._lock is not None
        self._lock.release()

    async def visitor(self) -> Ends:
        """The next relay that comes, past the hello."""
        return await asyncio.wait_for(self._visitors.get(), SECONDS)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = Ends(reader, writer)
        self._all.append(ends)
        if not self._greets:
            return
        hello = await ends.hear()
        ends.hello = hello["params"]
        await ends.say({"id": hello["id"], "result": {"pid": os.getpid(), "version": __version__, "protocol": 1}})
        self._visitors.put_nowait(ends)
