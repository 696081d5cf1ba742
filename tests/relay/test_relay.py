"""The relay between an editor and a daemon of which the test says every word."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.relay.stand_in import SECONDS, Ends, Message, StandIn
from tests.station import Station

from analystd.discovery import dial
from analystd.relay.relay import Patience, Relay
from analystd.wire import framing

pytestmark = pytest.mark.slow

INITIALIZE = {"id": 1, "method": "initialize", "params": {"processId": None, "capabilities": {}}}
ABOUT = {"capabilities": {"experimental": {"analystd": {"seq": 7}}}}
SHORT = Patience(before_ping=0.2, after_ping=0.2, opening=0.5)


class Editor(Ends):
    """The editor's ends of a relay that runs in this process."""

    relay: asyncio.Task[int]

    async def status(self) -> int:
        return await asyncio.wait_for(asyncio.shield(self.relay), SECONDS)

    async def open(self, daemon: StandIn) -> Ends:
        """Initialize at a daemon; gives its ends."""
        await self.say(INITIALIZE)
        ends = await daemon.visitor()
        assert await ends.hear() == {"jsonrpc": "2.0", **INITIALIZE}
        await ends.say({"id": 1, "result": ABOUT})
        assert (await self.hear())["result"] == ABOUT
        await self.say({"method": "initialized", "params": {}})
        assert (await ends.hear())["method"] == "initialized"
        return ends


@asynccontextmanager
async def editor(patience: Patience | None = None) -> AsyncIterator[Editor]:
    ours, theirs = socket.socketpair()
    inner, outer = [await asyncio.open_unix_connection(sock=each, limit=1 << 20) for each in (theirs, ours)]
    window = Editor(*outer)
    window.relay = asyncio.create_task(Relay(*inner, patience).run())
    try:
        yield window
    finally:
        window.relay.cancel()
        await asyncio.gather(window.relay, return_exceptions=True)
        await asyncio.to_thread(_end_of_dialling)
        for _, writer in (inner, outer):
            writer.close()


def _end_of_dialling() -> None:
    """A relay that ends takes its threads with it, but here they would go on, in the next test."""
    for thread in threading.enumerate():
        if thread.name == "dial":
            thread.join(SECONDS)
            assert not thread.is_alive()


def error_of(message: Message) -> tuple[Any, int]:
    return message["id"], message["error"]["code"]


async def test_open_requests_are_answered_once_and_state_is_replayed_when_a_daemon_ends() -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        document = {"uri": "file:///a.py", "languageId": "python", "version": 1, "text": "1"}
        opened = {"method": "textDocument/didOpen", "params": {"textDocument": document}}
        await window.say(opened, {"id": "run", "method": "x/run"}, {"id": 2, "method": "x/other"})
        await ends.hear_all(3)
        await ends.say({"method": "analystd/event", "params": {"seq": 12, "kind": "text"}})
        assert (await window.hear())["params"]["seq"] == 12
        ends.hang_up()
        assert sorted([error_of(message) for message in await window.hear_all(2)], key=str) == [
            ("run", 4007),
            (2, 4007),
        ]
        again = await daemon.visitor()
        assert again.hello["id"] == ends.hello["id"]
        initialize = await again.hear()
        assert initialize["params"]["initializationOptions"] == {"events_after": 12}
        await window.say({"id": 3, "method": "x/after"})
        await again.say({"id": initialize["id"], "result": ABOUT})
        assert [(await again.hear())["method"] for _ in range(3)] == [
            "initialized",
            "textDocument/didOpen",
            "x/after",
        ]
        await again.say({"id": 3, "result": "fine"})
        assert await window.hear() == {"jsonrpc": "2.0", "id": 3, "result": "fine"}


async def test_a_daemon_that_hangs_up_at_each_replay_is_reported_and_not_retried_at_once() -> None:
    async with StandIn() as daemon, editor() as window:
        (await window.open(daemon)).hang_up()
        visitor = await daemon.visitor()
        await visitor.hear()
        await window.say({"id": 8, "method": "x/waits"})
        for _ in range(3):
            visitor.hang_up()
            visitor = await daemon.visitor()
            await visitor.hear()
        assert error_of(await window.hear()) == (8, 4007)
        visitor.hang_up()
        again = await daemon.visitor()
        initialize = await again.hear()
        await again.say({"id": initialize["id"], "result": ABOUT})
        assert (await again.hear())["method"] == "initialized"
        await window.say({"id": 9, "method": "x/after"})
        assert (await again.hear())["id"] == 9


async def test_an_open_initialize_is_sent_to_the_next_daemons_a_few_times() -> None:
    async with StandIn() as daemon, editor() as window:
        await window.say(INITIALIZE)
        for _ in range(3):
            ends = await daemon.visitor()
            assert (await ends.hear())["id"] == 1
            ends.hang_up()
        assert error_of(await window.hear()) == (1, 4007)
        await window.say({**INITIALIZE, "id": 5})
        ends = await daemon.visitor()
        assert (await ends.hear())["id"] == 5


async def test_a_daemon_that_ends_during_the_replay_leaves_each_request_answered_once() -> None:
    async with StandIn() as daemon, editor() as window:
        (await window.open(daemon)).hang_up()
        ends = await daemon.visitor()
        await ends.hear()
        await window.say({"id": 8, "method": "x/waits"})
        ends.hang_up()
        ends = await daemon.visitor()
        await ends.say({"id": (await ends.hear())["id"], "result": ABOUT})
        assert [(await ends.hear())["method"] for _ in range(2)] == ["initialized", "x/waits"]
        await ends.say({"id": 8, "result": None})
        assert await window.hear() == {"jsonrpc": "2.0", "id": 8, "result": None}


async def test_a_daemon_that_refuses_the_window_is_reported() -> None:
    async with StandIn() as daemon, editor() as window:
        (await window.open(daemon)).hang_up()
        ends = await daemon.visitor()
        number = (await ends.hear())["id"]
        await window.say({"id": 8, "method": "x/waits"})
        await ends.say({"id": number, "error": {"code": 4001, "message": "served by another daemon"}})
        message = await window.hear()
        assert error_of(message) == (8, 4007)
        assert message["error"]["message"].endswith("refuses this window: served by another daemon")


async def test_requests_of_a_lost_daemon_are_cancelled_and_late_answers_dropped() -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        begin = {"token": "t", "value": {"kind": "begin", "title": "long"}}
        await ends.say({"id": "ask", "method": "window/showMessageRequest"}, {"method": "$/progress", "params": begin})
        await window.hear_all(2)
        ends.hang_up()
        withdrawn, over = await window.hear_all(2)
        assert (withdrawn["method"], withdrawn["params"]) == ("$/cancelRequest", {"id": "ask"})
        assert over["params"] == {"token": "t", "value": {"kind": "end"}}
        ends = await daemon.visitor()
        await ends.say({"id": (await ends.hear())["id"], "result": ABOUT})
        await window.say({"id": "ask", "result": None}, {"id": 9, "method": "x/next"})
        assert [(await ends.hear())["method"] for _ in range(2)] == ["initialized", "x/next"]


async def test_only_answers_to_requests_or_invalid_messages_are_passed_on() -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        await ends.say({"id": 99, "result": 1}, {"id": None, "error": {"code": -32700, "message": "not JSON"}})
        assert (await window.hear())["error"]["code"] == -32700


@pytest.mark.parametrize(
    "body",
    [b"{not json", b"[]", b"7", b'{"jsonrpc":"2.0","id":[1],"method":"x"}', b'{"id":1,"method":{}}', b"[" * 99999],
)
async def test_an_invalid_message_is_passed_on_for_the_daemon_to_answer(body: bytes) -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        window.writer.write(framing.frame_body(body))
        assert await framing.read_body(ends._reader) == body
        await window.say({"id": 2, "method": "x/next"})
        assert (await ends.hear())["id"] == 2


async def test_the_answer_to_an_invalid_request_is_passed_on() -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        window.writer.write(framing.frame_body(b'{"id": 5, "method": "shutdown"}'))
        await ends.hear()
        await ends.say({"id": 5, "error": {"code": -32600, "message": "no version"}})
        assert error_of(await window.hear()) == (5, -32600)


async def test_an_invalid_frame_is_answered_and_ends_the_relay() -> None:
    async with editor() as window:
        window.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert error_of(await window.hear()) == (None, -32700)
        with pytest.raises(framing.FramingError):
            await window.status()


async def test_a_daemon_that_never_answers_the_hello_does_not_hang_the_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "HELLO_SECONDS", 0.3)
    async with StandIn(greets=False), editor() as window:
        await window.say(INITIALIZE)
        message = await window.hear()
        assert error_of(message) == (1, 4007)
        assert "has not answered for 0.3 s" in message["error"]["message"]


async def test_an_editor_can_leave_while_a_daemon_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dial, "HELLO_SECONDS", 3.0)
    async with StandIn(greets=False), editor() as window:
        await window.say(INITIALIZE)
        window.writer.write_eof()
        assert await window.status() == 1
        assert any(thread.name == "dial" for thread in threading.enumerate())


@pytest.mark.parametrize("answers_pings", [False, True])
async def test_a_daemon_that_never_answers_initialize_does_not_hang_the_editor(answers_pings: bool) -> None:
    async with StandIn() as daemon, editor(SHORT) as window:
        await window.say(INITIALIZE)
        answering = [asyncio.create_task(_answer_pings(await daemon.visitor(), answers_pings)) for _ in range(3)]
        assert error_of(await window.hear()) == (1, 4007)
        await asyncio.gather(*answering)


async def test_a_daemon_that_works_for_long_but_answers_pings_is_not_given_up() -> None:
    async with StandIn() as daemon, editor(SHORT) as window:
        ends = await window.open(daemon)
        await window.say({"id": 5, "method": "x/long"})
        for _ in range(3):
            while (message := await ends.hear())["method"] != "analystd/ping":
                pass
            await ends.say({"id": message["id"], "error": {"code": -32601, "message": "unknown"}})
        await ends.say({"id": 5, "result": "done at last"})
        assert await window.hear() == {"jsonrpc": "2.0", "id": 5, "result": "done at last"}


async def test_a_suspended_daemon_counts_as_dead_until_it_resumes(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    station = _station_of_ours(tmp_path_factory.mktemp("s"), monkeypatch)
    monkeypatch.setattr(dial, "HELLO_SECONDS", 1.0)
    try:
        async with editor(Patience(before_ping=0.5, after_ping=1.0)) as window:
            await window.say({**INITIALIZE, "params": {"rootUri": station.project.as_uri(), "capabilities": {}}})
            assert "result" in await window.hear()
            pid = station.daemon_pid()
            assert pid is not None
            os.kill(pid, signal.SIGSTOP)
            await window.say(_status(2))
            assert error_of(await window.hear()) == (2, 4007)
            await window.say(_status(3))
            assert error_of(await window.hear()) == (3, 4007)
            os.kill(pid, signal.SIGCONT)
            await window.say(_status(4))
            assert (await window.hear())["result"]["pid"] == pid
    finally:
        await asyncio.to_thread(station.stop)


async def test_shutdown_and_exit_need_no_daemon() -> None:
    async with editor() as window:
        await window.say({"id": 1, "method": "shutdown"}, {"id": 2, "method": "x/late"}, {"method": "exit"})
        assert await window.hear() == {"jsonrpc": "2.0", "id": 1, "result": None}
        assert error_of(await window.hear()) == (2, -32600)
        assert await window.status() == 0


async def test_exit_reaches_the_daemon_after_all_earlier_messages() -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        await window.say({"method": "x/last"}, {"method": "exit"})
        assert [(await ends.hear())["method"] for _ in range(2)] == ["x/last", "exit"]
        ends.hang_up()
        assert await window.status() == 1


async def test_an_editor_that_does_not_read_can_still_leave() -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        flood = asyncio.create_task(_flood(ends))
        window.writer.write_eof()
        assert await window.status() == 1
        await flood


async def test_an_incomplete_frame_at_the_end_of_input_ends_the_relay() -> None:
    async with editor() as window:
        window.writer.write(b"Content-Length: 100\r\n\r\n{")
        window.writer.write_eof()
        with pytest.raises(framing.FramingError):
            await window.status()


async def _answer_pings(ends: Ends, answers: bool) -> None:
    """Whatever else is asked, only pings are answered, if they are, until the relay is gone."""
    try:
        while True:
            message = await ends.hear()
            if answers and message["method"] == "analystd/ping":
                await ends.say({"id": message["id"], "error": {"code": -32002, "message": "not initialized"}})
    except (AssertionError, ConnectionError, framing.FramingError):
        return


async def _flood(ends: Ends) -> None:
    """Say more than anybody's buffers take, until the relay is gone."""
    try:
        for number in range(10_000):
            await ends.say({"method": "analystd/event", "params": {"seq": number, "text": "x" * 10_000}})
    except ConnectionError:
        return


def _station_of_ours(home: Path, monkeypatch: pytest.MonkeyPatch) -> Station:
    """A station that this very process is at, so that a relay in it finds its daemon."""
    station = Station(home)
    station.play([])
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "AGENT_MODEL_PATH"):
        monkeypatch.setenv(name, station.environment[name])
    return station


def _status(number: int) -> Message:
    params = {"command": "analystd.status", "arguments": [{}]}
    return {"id": number, "method": "workspace/executeCommand", "params": params}


def too_large(number: int | None, method: str | None = None) -> bytes:
    """A message that no client reads, as a daemon of another version might send it."""
    head = {"method": method} if number is None else {"id": number, "jsonrpc": "2.0"}
    body = json.dumps({**head, "result": "x" * framing.MAX_MESSAGE_BYTES}, separators=(",", ":")).encode()
    return framing.frame_body(body)


async def test_an_answer_that_is_too_large_becomes_an_error_and_the_daemon_stays() -> None:
    async with StandIn() as daemon, editor() as window:
        ends = await window.open(daemon)
        await window.say({"id": 8, "method": "x/large"}, {"id": 9, "method": "x/small"})
        await ends.hear_all(2)
        ends.writer.write(too_large(None, "x/told") + too_large(8))
        await ends.say({"id": 9, "result": "after it"})
        refused, answered = await window.hear_all(2)
        assert error_of(refused) == (8, 4002)
        assert "over the limit of 67108864" in refused["error"]["message"]
        assert answered == {"jsonrpc": "2.0", "id": 9, "result": "after it"}
