"""Clients on the daemon's socket, with no library in between: each says its own hello and reads when it is told to."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
from collections.abc import Callable
from typing import Any, Self

from tests.station import SECONDS, Station

from analystd.wire import framing

_SEQ = re.compile(rb'\{"jsonrpc":"2.0","method":"analystd/event","params":\{"seq":(\d+),')
_BIG = 100_000


class Peer:
    """One client of a station's daemon. What it is told is read by `listen`, or not at all."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.about: dict[str, Any] = {}
        self.numbers: list[int] = []
        """The sequence numbers of the events that came, in the order in which they came."""
        self.told: list[dict[str, Any]] = []
        """The notifications that came, but for big ones."""
        self._reader, self._writer = reader, writer
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._news = asyncio.Condition()
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def come(
        cls, station: Station, client_id: str | None = None, name: str | None = None, **options: Any
    ) -> Self:
        """Say hello and `initialize` with these `initializationOptions`."""
        (socket,) = station.state.glob("*.sock")
        reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
        card = json.loads(socket.with_suffix(".json").read_text())
        hello = {"token": card["token"], "client": "peer", "pid": os.getpid(), "id": client_id, "environment": {}}
        writer.write(framing.frame({"jsonrpc": "2.0", "id": 0, "method": "analystd/hello", "params": hello}))
        assert b"result" in (await framing.read_body(reader) or b"")
        peer = cls(reader, writer)
        peer._listening = asyncio.create_task(peer._listen())
        params = {
            "processId": None,
            "rootUri": None,
            "capabilities": {},
            "clientInfo": None if name is None else {"name": name},
            "initializationOptions": {"workspace": str(station.workspace), **options},
        }
        answer = await peer.request("initialize", params)
        peer.about = answer["result"]["capabilities"]["experimental"]["analystd"]
        peer.send({"method": "initialized", "params": {}})
        return peer

    def send(self, message: dict[str, Any]) -> None:
        self._writer.write(framing.frame({"jsonrpc": "2.0", **message}))

    def ask(self, method: str, params: Any) -> asyncio.Future[dict[str, Any]]:
        """Send a request; gives what will be its answer."""
        number = next(self._ids)
        self._pending[number] = asyncio.get_running_loop().create_future()
        self.send({"id": number, "method": method, "params": params})
        return self._pending[number]

    def ask_body(self, method: str, params: bytes) -> asyncio.Future[dict[str, Any]]:
        """The same with parameters that no encoder makes."""
        number = next(self._ids)
        self._pending[number] = asyncio.get_running_loop().create_future()
        head = b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":' % (number, method.encode())
        self._writer.write(framing.frame_body(head + params + b"}"))
        return self._pending[number]

    async def request(self, method: str, params: Any) -> dict[str, Any]:
        return await asyncio.wait_for(self.ask(method, params), SECONDS)

    def start(self, command: str, **arguments: Any) -> asyncio.Future[dict[str, Any]]:
        params = {"command": f"analystd.{command}", "arguments": [arguments]}
        return self.ask("workspace/executeCommand", params)

    async def command(self, command: str, **arguments: Any) -> Any:
        answer = await asyncio.wait_for(self.start(command, **arguments), SECONDS)
        assert "result" in answer, answer
        return answer["result"]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until what has come makes that hold."""
        async with asyncio.timeout(SECONDS), self._news:
            await self._news.wait_for(holds)

    async def reached(self, number: int) -> None:
        """Wait for the event of that number, or one after it."""
        await self.until(lambda: self.numbers[-1:] >= [number])

    async def event(self, kind: str, **about: Any) -> dict[str, Any]:
        """The first event of this kind, and with these values, that came or comes."""
        wanted = {"kind": kind, **about}
        await self.until(lambda: any(has(event, wanted) for event in self.events))
        return next(event for event in self.events if has(event, wanted))

    @property
    def events(self) -> list[dict[str, Any]]:
        return [message["params"] for message in self.told if message["method"] == "analystd/event"]

    async def stop_reading(self) -> None:
        """Read nothing from now on."""
        assert self._listening is not None
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._reader._transport.pause_reading()  # type: ignore[attr-defined]

    async def is_dropped(self) -> None:
        """Read what is still there, to the end of the stream."""
        self._reader._transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(SECONDS):
            while await self._reader.read(1 << 20):
                pass

    async def leave(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)

    async def _listen(self) -> None:
        while (body := await framing.read_body(self._reader)) is not None:
            self._take(body)
            async with self._news:
                self._news.notify_all()

    def _take(self, body: bytes) -> None:
        if event := _SEQ.match(body):
            self.numbers.append(int(event[1]))
        if event and len(body) > _BIG:
            return
        message = json.loads(body)
        if "method" in message:
            self.told.append(message)
        else:
            self._pending.pop(message["id"]).set_result(message)


def has(about: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether these keys have these values."""
    return all(about.get(key) == value for key, value in wanted.items())
