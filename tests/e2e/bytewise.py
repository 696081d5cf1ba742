"""A client in bytes, with no library in between: through a relay, as an editor has it, or at the daemon's socket."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from tests.station import Station

from analystd.wire import framing

SECONDS = 60.0
"""Far more than anything here takes, also on a machine with other work."""
EXECUTE = "workspace/executeCommand"

Door = Literal["relay", "socket"]


def status_in(message: dict[str, Any]) -> Any:
    """The result of an answer with `status`."""
    return message["result"]["protocol"]


class Wire:
    """Bytes to and from a daemon."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, process: asyncio.subprocess.Process | None
    ) -> None:
        self.told: list[dict[str, Any]] = []
        """The notifications that came, in order."""
        self._reader, self._writer = reader, writer
        self._process = process
        self._numbers = itertools.count(1)
        self._answers: list[dict[str, Any]] = []

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The relay."""
        assert self._process is not None
        return self._process

    async def send(self, *messages: Any) -> None:
        """Send messages in one write; `jsonrpc` is added where it is missing."""
        bodies = (json.dumps({"jsonrpc": "2.0", **message}).encode() for message in messages)
        await self.send_bytes(b"".join(map(framing.frame_body, bodies)))

    async def send_body(self, body: bytes) -> None:
        await self.send_bytes(framing.frame_body(body))

    async def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_last(self, data: bytes) -> None:
        """Send bytes, and say that no more will come; what is answered can still be read."""
        await self.send_bytes(data)
        self._writer.write_eof()

    async def notify(self, method: str, params: Any = None) -> None:
        await self.send({"method": method, "params": params})

    async def request(self, method: str, params: Any = None, number: Any = None) -> dict[str, Any]:
        """The answer to a request: a message with `result` or `error`."""
        number = f"test-{next(self._numbers)}" if number is None else number
        await self.send({"id": number, "method": method, "params": params})
        return await self.answer(number)

    async def begin(self, name: str, number: Any, token: Any = None, **arguments: Any) -> None:
        """Ask for a command, and do not wait."""
        params = {"command": f"analystd.{name}", "arguments": [arguments], "workDoneToken": token}
        await self.send({"id": number, "method": EXECUTE, "params": params})

    async def command(self, name: str, number: Any = None, **arguments: Any) -> dict[str, Any]:
        params = {"command": f"analystd.{name}", "arguments": [arguments]}
        return await self.request(EXECUTE, params, number)

    async def python(self, code: str, number: Any = None) -> dict[str, Any]:
        return await self.command("execPython", number, code=code)

    async def answer(self, number: Any) -> dict[str, Any]:
        """The next answer to a request of this id that was not given out before."""
        async with asyncio.timeout(SECONDS):
            while True:
                for message in self._answers:
                    if message["id"] == number:
                        self._answers.remove(message)
                        return message
                await self._take()

    async def heard(self, method: str, **members: Any) -> dict[str, Any]:
        """The parameters of the first notification with these members."""
        async with asyncio.timeout(SECONDS):
            while True:
                for message in self.told:
                    params: dict[str, Any] = message["params"]
                    if message["method"] == method and members.items() <= params.items():
                        return params
                await self._take()

    async def progress(self, token: Any, kind: str) -> dict[str, Any]:
        """The first progress of a kind for a token."""
        async with asyncio.timeout(SECONDS):
            while not (found := [value for value in self.progress_so_far(token) if value["kind"] == kind]):
                await self._take()
        return found[0]

    def progress_so_far(self, token: Any) -> list[dict[str, Any]]:
        return [
            message["params"]["value"]
            for message in self.told
            if message["method"] == "$/progress" and message["params"]["token"] == token
        ]

    async def initialize(self, station: Station, **options: Any) -> dict[str, Any]:
        params: dict[str, Any] = {"processId": None, "rootUri": station.project.as_uri(), "capabilities": {}}
        answer = await self.request("initialize", {**params, **options})
        await self.notify("initialized", {})
        return answer

    async def end(self) -> list[dict[str, Any]]:
        """What still comes until the other side closes the connection."""
        async with asyncio.timeout(SECONDS):
            while (body := await framing.read_body(self._reader)) is not None:
                self._answers.append(json.loads(body))
        return self._answers

    async def close(self) -> int:
        """Hang up; gives the relay's exit status, 0 where there is none."""
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        return 0 if self._process is None else await asyncio.wait_for(self._process.wait(), SECONDS)

    async def _take(self) -> None:
        body = await framing.read_body(self._reader)
        assert body is not None, "the connection ended"
        message = json.loads(body)
        (self.told if "method" in message else self._answers).append(message)


async def open_wire(station: Station, door: Door = "relay") -> Wire:
    return await (_through_relay(station) if door == "relay" else at_socket(station))


@asynccontextmanager
async def opened(station: Station, door: Door = "socket") -> AsyncIterator[Wire]:
    """A wire past `initialize`."""
    wire = await open_wire(station, door)
    try:
        await wire.initialize(station)
        yield wire
    finally:
        await wire.close()


async def at_socket(station: Station, **hello: Any) -> Wire:
    """A wire past the hello; a daemon is started if there is none."""
    if station.daemon_pid() is None:
        await asyncio.to_thread(station.run, "exec", "1")
    card, socket = card_and_socket(station)
    reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
    params: dict[str, Any] = {
        "token": card["token"],
        "client": "wire",
        "pid": 1,
        "version": card["version"],
        "environment": {},
        **hello,
    }
    params["environment"] = {"AGENT_MODEL_PATH": station.environment["AGENT_MODEL_PATH"]}
    writer.write(framing.frame({"jsonrpc": "2.0", "id": 0, "method": "analystd/hello", "params": params}))
    answer = json.loads(await framing.read_body(reader) or b"{}")
    assert answer["result"]["pid"] == card["pid"]
    return Wire(reader, writer, None)


def card_and_socket(station: Station) -> tuple[dict[str, Any], Path]:
    """What the daemon wrote of itself, and where it listens."""
    cards = [(json.loads(path.read_text()), path) for path in station.state.glob("*.json")]
    (found,) = [(card, path.with_suffix(".sock")) for card, path in cards if "token" in card]
    return found


async def _through_relay(station: Station) -> Wire:
    process = await asyncio.create_subprocess_exec(
        *station.command("stdio"),
        env=station.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return Wire(process.stdout, process.stdin, process)
