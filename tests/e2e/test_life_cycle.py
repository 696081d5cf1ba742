"""`initialize`, `shutdown` and `exit`, in the order that LSP has for them and in any other."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.e2e.bytewise import EXECUTE, SECONDS, Wire, at_socket, opened, status_in
from tests.station import Station

DOCUMENT = {"uri": "file:///a.txt", "languageId": "text", "version": 1, "text": "before"}
STATUS = {"id": "status", "method": EXECUTE, "params": {"command": "analystd.status", "arguments": [{}]}}


async def test_before_initialize_requests_are_refused_and_notifications_passed_over(
    station: Station, wire: Wire
) -> None:
    for method in (EXECUTE, "shutdown", "no/such", "$/noSuch", "textDocument/didOpen"):
        assert (await wire.request(method, {}))["error"]["code"] == -32002
    await wire.notify("initialized", {})
    await wire.notify("textDocument/didOpen", {"textDocument": DOCUMENT})
    await wire.notify("$/cancelRequest", {"id": 1})
    assert "result" in await wire.initialize(station)


async def test_exit_before_initialize_ends_the_connection(wire: Wire) -> None:
    await wire.notify("exit")
    assert await wire.end() == []


async def test_while_initialize_is_under_way_other_requests_are_refused(station: Station, other: Wire) -> None:
    wire = await at_socket(station)
    params: dict[str, Any] = {"processId": None, "rootUri": station.project.as_uri(), "capabilities": {}}
    opening: dict[str, Any] = {"method": "initialize", "params": params}
    await wire.send({"id": 1, **opening}, {**STATUS, "id": 2}, {"id": 3, **opening})
    assert (await wire.answer(2))["error"]["code"] == -32002
    assert (await wire.answer(3))["error"]["code"] == -32002
    assert "result" in await wire.answer(1)
    await wire.close()


async def test_a_second_initialize_is_refused(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    assert (await wire.initialize(station))["error"]["code"] == -32600


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"processId": "x", "rootUri": None, "capabilities": {}}, -32602),
        ({"processId": None, "rootUri": 7, "capabilities": {}}, -32602),
        ({"processId": None, "rootUri": None, "capabilities": 7}, -32602),
        ({"processId": None, "rootUri": None}, -32602),
        ({"processId": None, "capabilities": {}, "workspaceFolders": [7]}, -32602),
        ({"processId": None, "capabilities": {}, "initializationOptions": {"workspace": 7}}, -32602),
        ({"processId": None, "capabilities": {}, "initializationOptions": {"workspace": "/x\0y"}}, 4001),
        ({"processId": None, "capabilities": {}, "initializationOptions": {"workspace": "/x\ud800"}}, 4001),
        ({"processId": None, "rootUri": "file://[/", "capabilities": {}}, 4001),
        ({"processId": None, "rootUri": "file:///%00", "capabilities": {}}, 4001),
        ({"processId": None, "capabilities": {}, "initializationOptions": {"settings": 7}}, -32602),
        ({"processId": None, "capabilities": {}, "initializationOptions": {"settings": {"AGENT_X": [1]}}}, -32602),
        ({"processId": None, "capabilities": {}, "initializationOptions": {"desk": "no"}}, -32602),
        (None, -32602),
        ([], -32602),
        (7, -32602),
    ],
)
async def test_an_initialize_that_fails_says_why_and_may_be_sent_again(
    station: Station, wire: Wire, other: Wire, params: Any, code: int
) -> None:
    error = (await wire.request("initialize", params))["error"]
    assert (error["code"], error["data"]["retry"]) == (code, False)
    assert (await wire.command("status"))["error"]["code"] == -32002
    assert "result" in await wire.initialize(station)
    assert status_in(await wire.command("status")) == 1


@pytest.mark.parametrize(
    "capabilities",
    [
        {"window": 7},
        {
            "workspace": {"workspaceEdit": {"resourceOperations": ["of LSP 4"]}},
            "general": {"positionEncodings": ["utf-16"]},
        },
        {"textDocument": {"semanticTokens": {"formats": ["relative"]}}},
        {"of LSP 4": {"dynamicRegistration": True}},
    ],
)
async def test_capabilities_that_are_not_understood_are_no_reason_to_refuse_an_editor(
    station: Station, wire: Wire, capabilities: dict[str, Any]
) -> None:
    assert "result" in await wire.initialize(station, capabilities=capabilities)
    assert status_in(await wire.command("status")) == 1


async def test_after_shutdown_only_exit_may_follow(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    assert (await wire.request("shutdown"))["result"] is None
    assert (await wire.python("1"))["error"]["code"] == -32600
    assert (await wire.request("shutdown"))["error"]["code"] == -32600
    await wire.notify("textDocument/didOpen", {"textDocument": DOCUMENT})
    await wire.notify("exit")
    assert await wire.end() == []
    assert await wire.close() == 0


async def test_exit_may_follow_shutdown_at_once(station: Station, wire: Wire, other: Wire) -> None:
    await wire.initialize(station)
    await wire.send({"id": 1, "method": "shutdown"}, {"method": "exit"})
    assert [message for message in await wire.end() if message.get("id") == 1] == [
        {"jsonrpc": "2.0", "id": 1, "result": None}
    ]
    assert await wire.close() == 0


async def test_shutdown_answers_what_is_under_way_and_leaves_its_run_alone(
    station: Station, wire: Wire, other: Wire
) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", "slow", code="import time; time.sleep(0.5); left = 'behind'")
    await wire.heard("analystd/event", kind="run_started")
    await wire.send({"id": "bye", "method": "shutdown"})
    assert (await wire.answer("slow"))["error"]["code"] == -32800
    assert (await wire.answer("bye"))["result"] is None
    assert (await other.python("left"))["result"]["result"] == "'behind'"


async def test_exit_without_shutdown_gives_status_1(station: Station) -> None:
    async with opened(station, "relay") as wire:
        await wire.notify("exit")
        assert await asyncio.wait_for(wire.process.wait(), SECONDS) == 1
