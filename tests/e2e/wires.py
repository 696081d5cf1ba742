"""Relays as an editor starts them, with nothing between the test and their bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.station import Station

from analystd.wire import framing

SECONDS = 60.0
"""Far more than anything here takes, also on a machine with other work."""

Message = dict[str, Any]


class Wire:
    """An editor window: what it sends, and all that it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self.heard: list[Message] = []
        self._in, self._out = process.stdin, process.stdout

    async def send(self, method: str, params: Any = None, number: Any = None) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        await self.send_bytes(framing.frame(message if number is None else {**message, "id": number}))

    async def send_bytes(self, data: bytes) -> None:
        self._in.write(data)
        await self._in.drain()

    async def request(self, method: str, params: Any = None, number: Any = 1) -> Message:
        await self.send(method, params, number)
        return await self.answer(number)

    async def answer(self, number: Any) -> Message:
        return await self.until(lambda message: "method" not in message and message["id"] == number)

    async def event(self, kind: str) -> Message:
        """The next event of a kind."""
        message = await self.until(
            lambda message: message.get("method") == "analystd/event" and message["params"]["kind"] == kind
        )
        event: Message = message["params"]
        return event

    async def until(self, is_it: Any) -> Message:
        """The next message that it is; what comes before is kept in `heard`."""
        async with asyncio.timeout(SECONDS):
            while True:
                body = await framing.read_body(self._out)
                assert body is not None, "the relay ended"
                message: Message = json.loads(body)
                self.heard.append(message)
                if is_it(message):
                    return message

    async def initialize(self, station: Station, number: Any = "init", **options: Any) -> Message:
        root = station.project.as_uri()
        params = {"processId": None, "rootUri": root, "capabilities": {}, "initializationOptions": options or None}
        answer = await self.request("initialize", params, number)
        await self.send("initialized", {})
        return answer

    async def command(self, name: str, number: Any = 2, **arguments: Any) -> Message:
        await self.send_command(name, number, **arguments)
        return await self.answer(number)

    async def send_command(self, name: str, number: Any, **arguments: Any) -> None:
        params = {"command": f"analystd.{name}", "arguments": [arguments]}
        await self.send("workspace/executeCommand", params, number)

    async def close(self) -> int:
        self._in.close()
        return await asyncio.wait_for(self.process.wait(), SECONDS)

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), SECONDS)


@asynccontextmanager
async def wires(station: Station, count: int = 1) -> AsyncIterator[list[Wire]]:
    """Some relays, started at once."""
    processes = await asyncio.gather(
        *(
            asyncio.create_subprocess_exec(
                *station.command("stdio"),
                env=station.environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 24,
            )
            for _ in range(count)
        )
    )
    try:
        yield [Wire(process) for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*(process.wait() for process in processes))


@asynccontextmanager
async def wire(station: Station) -> AsyncIterator[Wire]:
    """One relay."""
    async with wires(station) as (only,):
        yield only
