"""What must not be noticed: strangers, garbage, and clients that do not keep to the protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.station import Station

from analystd import framing


class Wire:
    """Bytes to and from a relay, with no library in between."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._in, self._out = process.stdin, process.stdout

    async def send(self, message: Any) -> None:
        await self.send_bytes(framing.frame_body(json.dumps(message).encode()))

    async def send_bytes(self, data: bytes) -> None:
        self._in.write(data)
        await self._in.drain()

    async def request(self, method: str, params: Any = None, number: Any = 1) -> dict[str, Any]:
        await self.send({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        return await self.answer(number)

    async def answer(self, number: Any) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                body = await framing.read_body(self._out)
                assert body is not None, "the relay ended"
                message: dict[str, Any] = json.loads(body)
                if "method" not in message and message["id"] == number:
                    return message

    async def initialize(self, station: Station) -> dict[str, Any]:
        params: dict[str, Any] = {"processId": None, "rootUri": station.project.as_uri(), "capabilities": {}}
        answer = await self.request("initialize", params, "init")
        await self.send({"jsonrpc": "2.0", "method": "initialized", "params": {}})
        return answer

    async def python(self, code: str, number: Any = 2) -> dict[str, Any]:
        return await self.request(
            "workspace/executeCommand", {"command": "analystd.execPython", "arguments": [{"code": code}]}, number
        )

    async def close(self) -> int:
        self._in.close()
        return await asyncio.wait_for(self.process.wait(), 20)


async def open_wire(station: Station) -> Wire:
    process = await asyncio.create_subprocess_exec(
        *station.command("stdio"),
        env=station.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    return Wire(process)


@pytest.fixture
async def wire(station: Station) -> AsyncIterator[Wire]:
    wire = await open_wire(station)
    yield wire
    with contextlib.suppress(ConnectionError):
        await wire.close()


async def test_a_request_before_initialize_is_refused(wire: Wire) -> None:
    assert (await wire.request("workspace/executeCommand", {"command": "analystd.status"}))["error"]["code"] == -32002


async def test_a_second_initialize_is_refused(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    assert (await wire.initialize(station))["error"]["code"] == -32600


async def test_after_shutdown_only_exit_may_follow(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    assert (await wire.request("shutdown"))["result"] is None
    assert (await wire.python("1"))["error"]["code"] == -32600
    await wire.send({"jsonrpc": "2.0", "method": "exit"})
    assert await asyncio.wait_for(wire.process.wait(), 10) == 0


async def test_exit_without_shutdown_gives_status_1(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    await wire.send({"jsonrpc": "2.0", "method": "exit"})
    assert await asyncio.wait_for(wire.process.wait(), 10) == 1


@pytest.mark.parametrize(
    ("body", "number", "code"),
    [
        (b"{not json", None, -32700),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}]', None, -32600),
        (b"7", None, -32600),
        (b'{"id": 5, "method": "x"}', 5, -32600),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "no/such"}', 5, -32601),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "workspace/executeCommand", "params": {"command": 7}}', 5, -32602),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "workspace/executeCommand", "params": 7}', 5, -32602),
        (
            b'{"jsonrpc": "2.0", "id": 5, "method": "workspace/executeCommand",'
            b' "params": {"command": "analystd.status", "arguments": [1, 2]}}',
            5,
            -32602,
        ),
    ],
)
async def test_a_malformed_message_is_answered_and_the_connection_goes_on(
    station: Station, wire: Wire, body: bytes, number: Any, code: int
) -> None:
    await wire.initialize(station)
    await wire.send_bytes(framing.frame_body(body))
    assert (await wire.answer(number))["error"]["code"] == code
    assert (await wire.python("'still here'"))["result"]["result"] == "'still here'"


async def test_notifications_and_cancels_of_nothing_are_passed_over(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    await wire.send({"jsonrpc": "2.0", "method": "no/such/notification"})
    await wire.send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": "never sent"}})
    await wire.send({"jsonrpc": "2.0", "id": 99, "result": "an answer to nothing"})
    assert (await wire.python("6 * 7"))["result"]["result"] == "42"


async def test_an_argument_with_a_key_jsonrpc_stays_what_it_is(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    params = {
        "command": "analystd.viewData",
        "arguments": [{"path": {"jsonrpc": "2.0", "id": 1}, "operation": "shape"}],
    }
    error = (await wire.request("workspace/executeCommand", params))["error"]
    assert error["message"] == "Invalid arguments: {'jsonrpc': '2.0', 'id': 1} is not of type 'string'"


async def test_garbage_ends_only_the_connection_that_it_came_on(station: Station, wire: Wire) -> None:
    other = await open_wire(station)
    await asyncio.gather(wire.initialize(station), other.initialize(station))
    await wire.send_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\x00\xff" * 10)
    assert await asyncio.wait_for(wire.process.wait(), 10) == 1
    assert (await other.python("'untouched'"))["result"]["result"] == "'untouched'"
    await other.close()


async def test_a_client_that_vanishes_leaves_its_run_to_finish(station: Station) -> None:
    wire, other = await asyncio.gather(open_wire(station), open_wire(station))
    await asyncio.gather(wire.initialize(station), other.initialize(station))
    params = {"command": "analystd.execPython", "arguments": [{"code": "import time; time.sleep(0.5); survived = 1"}]}
    await wire.send({"jsonrpc": "2.0", "id": 1, "method": "workspace/executeCommand", "params": params})
    await asyncio.sleep(0.2)
    wire.process.kill()
    await wire.process.wait()
    assert (await other.python("survived"))["result"]["result"] == "1"
    await other.close()


async def test_a_stranger_without_the_token_is_refused(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    (path,) = station.state.glob("*.sock")
    reader, writer = await asyncio.open_unix_connection(path)
    hello = {"jsonrpc": "2.0", "id": 0, "method": "analystd/hello", "params": {"token": "guess"}}
    writer.write(framing.frame(hello))
    assert b"wrong token" in (await framing.read_body(reader) or b"")
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    assert oct(station.state.stat().st_mode & 0o777) == "0o700"


async def test_a_window_survives_the_daemons_death(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    wire = await open_wire(station)
    await wire.initialize(station)
    pid = station.daemon_pid()
    assert pid is not None
    params = {"command": "analystd.execPython", "arguments": [{"code": "import time; time.sleep(60)"}]}
    await wire.send({"jsonrpc": "2.0", "id": "lost", "method": "workspace/executeCommand", "params": params})
    await asyncio.sleep(0.5)
    os.kill(pid, signal.SIGKILL)
    error = (await wire.answer("lost"))["error"]
    assert (error["code"], error["data"]["kind"]) == (4007, "daemon_lost")
    assert (await wire.python("'back'", 3))["result"]["result"] == "'back'"
    assert station.daemon_pid() != pid
    await wire.close()


async def test_a_daemon_that_was_stopped_stays_so_until_a_window_wants_something(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    wire = await open_wire(station)
    await wire.initialize(station)
    await asyncio.to_thread(station.run, "stop")
    await asyncio.sleep(2.5)
    assert station.daemon_pid() is None
    assert (await wire.python("'woken'"))["result"]["result"] == "'woken'"
    assert station.daemon_pid() is not None
    await wire.close()


async def test_many_relays_at_once_start_one_daemon(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    wires = await asyncio.gather(*(open_wire(station) for _ in range(6)))
    answers = await asyncio.gather(*(wire.initialize(station) for wire in wires))
    assert all("result" in answer for answer in answers)
    status = await wires[0].request("workspace/executeCommand", {"command": "analystd.status", "arguments": [{}]})
    assert len(status["result"]["clients"]) == 6
    assert len(list(station.state.glob("*.sock"))) == 1
    await asyncio.gather(*(wire.close() for wire in wires))
