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
from jsonschema import Draft202012Validator
from tests.e2e.bytewise import SECONDS, Wire, at_socket, card_and_socket, open_wire, opened
from tests.station import Station
from tests.wire_check import SCHEMAS, WireCheck

from analystd import framing
from analystd.protocol import Command
from analystd.server.published import ARGUMENTS

EXECUTE = "workspace/executeCommand"
DOCUMENT = {"uri": "file:///a.txt", "languageId": "text", "version": 1, "text": "before"}
ODD: list[Any] = [None, True, -1, 0, 1.5, 1e300, "", "x", "x" * 5000, [], [None], {}, {"jsonrpc": "2.0"}]
FITTING = {
    "prompt": "x", "code": "1", "operation": "shape", "path": "x", "content": "x", "run_id": "x", "after": 0, "events": "all",
}  # fmt: skip
MALFORMED_CHANGES: list[Any] = [None, 7, {}, [7], [{"text": 5}], [{}], [{"range": {}, "text": "x"}]]
STATUS = {"id": "status", "method": EXECUTE, "params": {"command": "analystd.status", "arguments": [{}]}}


@pytest.fixture(params=["relay", "socket"])
async def wire(request: pytest.FixtureRequest, station: Station) -> AsyncIterator[Wire]:
    """A wire of each kind, before `initialize`."""
    wire = await open_wire(station, request.param)
    yield wire
    with contextlib.suppress(ConnectionError):
        await wire.close()


@pytest.fixture
async def other(station: Station) -> AsyncIterator[Wire]:
    """Another client, which must be served throughout."""
    async with opened(station) as wire:
        yield wire
        assert (await wire.command("status"))["result"]["pid"] == station.daemon_pid()


def status_in(message: dict[str, Any]) -> Any:
    """The result of an answer with `status`."""
    return message["result"]["protocol"]


# Frames


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\x00\xff", "is no line of a message header"),
        (b"Content-Type: x\r\n\r\n{}", "no Content-Length"),
        (b"Content-Length: -2\r\n\r\n{}", "'-2', not a number"),
        (b"Content-Length: 2.0\r\n\r\n{}", "'2.0', not a number"),
        (b"Content-Length: 99999999999\r\n\r\n{}", "over the limit of 67108864"),
        (b"Content-Length: " + b"9" * 6000 + b"\r\n\r\n{}", "over the limit of 67108864"),
        (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "says two things of content-length"),
        ("Content-Länge: 2\r\n\r\n{}".encode(), "is no line of a message header"),
        (b"a: b\r\n" * 3000, "longer than 8192 bytes"),
        (b"x" * 2_500_000, "longer than 8192 bytes"),
    ],
)
async def test_what_is_no_frame_is_told_and_ends_the_connection(
    station: Station, wire: Wire, other: Wire, data: bytes, words: str
) -> None:
    await wire.initialize(station)
    with contextlib.suppress(ConnectionError):
        await wire.send_bytes(data)
    (answer,) = [message for message in await wire.end() if message.get("id", 0) is None]
    assert answer["error"]["code"] == -32700
    assert words in answer["error"]["message"]


@pytest.mark.parametrize(
    "header",
    [
        "content-length: {}\r\n\r\n",
        "X-Unknown: yes\r\nCONTENT-LENGTH:{}\r\nAnother: one\r\n\r\n",
        "Content-Length: {}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n",
        'Content-Type: application/vscode-jsonrpc; charset="UTF8"\r\nContent-Length: {}\r\n\r\n',
        "Content-Length: {}\n\n",
    ],
)
async def test_headers_are_read_as_any_client_may_write_them(station: Station, wire: Wire, header: str) -> None:
    await wire.initialize(station)
    body = json.dumps({"jsonrpc": "2.0", **STATUS}).encode()
    await wire.send_bytes(header.format(len(body)).encode() + body)
    assert status_in(await wire.answer("status")) == 1


async def test_a_message_in_another_charset_is_told_and_read_past(station: Station, wire: Wire, other: Wire) -> None:
    await wire.initialize(station)
    body = json.dumps({"jsonrpc": "2.0", **STATUS}).encode("utf-16")
    header = f"Content-Length: {len(body)}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-16\r\n\r\n"
    await wire.send_bytes(header.encode() + body)
    error = (await wire.answer(None))["error"]
    assert (error["code"], "only utf-8 can be read" in error["message"]) == (-32600, True)
    assert status_in(await wire.command("status")) == 1


async def test_a_message_that_is_too_long_is_told_with_the_limit_and_read_past(
    station: Station, wire: Wire, other: Wire
) -> None:
    await wire.initialize(station)
    length = framing.MAX_MESSAGE_BYTES + 1
    await wire.send_bytes(b"Content-Length: %d\r\n\r\n" % length)
    for _ in range(64):
        await wire.send_bytes(b"x" * (1 << 20))
    await wire.send_bytes(b"x")
    error = (await wire.answer(None))["error"]
    assert error["code"] == -32600
    assert f"a message of {length} bytes is over the limit of {framing.MAX_MESSAGE_BYTES}" in error["message"]
    assert status_in(await wire.command("status")) == 1


async def test_a_message_may_come_byte_by_byte(station: Station, wire: Wire, other: Wire) -> None:
    await wire.initialize(station)
    for byte in framing.frame({"jsonrpc": "2.0", **STATUS}):
        await wire.send_bytes(bytes([byte]))
        await asyncio.sleep(0)
    assert status_in(await wire.answer("status")) == 1


async def test_who_hangs_up_in_the_middle_of_a_message_takes_nobody_along(
    station: Station, wire: Wire, other: Wire
) -> None:
    await wire.initialize(station)
    await wire.send_bytes(b"Content-Length: 1000\r\n\r\n{")
    await wire.close()


# Messages


@pytest.mark.parametrize(
    ("body", "number", "code"),
    [
        (b"", None, -32700),
        (b"{not json", None, -32700),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "shutdown", "x": NaN}', None, -32700),
        (b'{"jsonrpc": "2.0", "id": ' + b"9" * 5000 + b', "method": "shutdown"}', None, -32700),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "\xff\xfe"}', None, -32700),
        ('{"jsonrpc": "2.0", "id": 5, "method": "shutdown"}'.encode("utf-16"), None, -32700),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "\xed\xa0\x80"}', None, -32700),
        (b"[" * 100_000 + b"]" * 100_000, None, -32700),
        (
            b'{"jsonrpc": "2.0", "id": 5, "method": "shutdown", "params": ' + b"[" * 300 + b"]" * 300 + b"}",
            None,
            -32700,
        ),
        (b'[{"jsonrpc": "2.0", "id": 5, "method": "shutdown"}]', None, -32600),
        (b"[]", None, -32600),
        (b"7", None, -32600),
        (b"null", None, -32600),
        (b'"text"', None, -32600),
        (b"{}", None, -32600),
        (b'{"id": 5, "method": "shutdown"}', 5, -32600),
        (b'{"jsonrpc": "1.0", "id": 5, "method": "shutdown"}', 5, -32600),
        (b'{"jsonrpc": 2.0, "id": 5, "method": "shutdown"}', 5, -32600),
        (b'{"jsonrpc": "2.0", "id": 5}', 5, -32600),
        (b'{"jsonrpc": "2.0", "id": 5, "method": 7}', 5, -32600),
        (b'{"jsonrpc": "2.0", "id": 5, "method": ["shutdown"]}', 5, -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "shutdown"}', None, -32600),
        (b'{"jsonrpc": "2.0", "id": 1.5, "method": "shutdown"}', None, -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "shutdown"}', None, -32600),
        (b'{"jsonrpc": "2.0", "id": {"a": 1}, "method": "shutdown"}', None, -32600),
        (b'{"jsonrpc": "2.0", "id": [1], "method": "shutdown"}', None, -32600),
        (b'{"jsonrpc": "2.0", "id": 1e999, "method": "shutdown"}', None, -32600),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "no/such"}', 5, -32601),
        (b'{"jsonrpc": "2.0", "id": 5, "method": ""}', 5, -32601),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "$/noSuch", "params": {}}', 5, -32601),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "__init__"}', 5, -32601),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "textDocument/didOpen"}', 5, -32601),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "textDocument/hover"}', 5, -32601),
        (b'{"jsonrpc": "2.0", "id": 5, "method": "shutdown", "params": 7}', 5, -32602),
        (b'{"jsonrpc": "2.0", "id": "' + b"x" * 1_000_000 + b'", "method": "no/such"}', "x" * 1_000_000, -32601),
    ],
)
async def test_a_malformed_message_is_answered_and_the_connection_goes_on(
    station: Station, wire: Wire, other: Wire, body: bytes, number: Any, code: int
) -> None:
    await wire.initialize(station)
    await wire.send_body(body)
    assert (await wire.answer(number))["error"]["code"] == code
    assert (await wire.python("'still here'"))["result"]["result"] == "'still here'"


async def test_an_error_repeats_only_a_little_of_what_was_sent(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    for answer in (
        await wire.request("x" * 5_000_000),
        await wire.command("x" * 5_000_000),
        await wire.command("getRun", run_id="x" * 5_000_000),
        await wire.command("variables", session="x" * 5_000_000),
        await wire.command("runAgent", prompt="x", conversation="x" * 5_000_000),
        await wire.command("readFile", path="x" * 5_000_000),
    ):
        assert len(json.dumps(answer["error"])) < 5000


async def test_an_integer_may_be_written_with_a_fraction_of_nothing(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    await wire.send_body(b'{"jsonrpc": "2.0", "id": 7.0, "method": "no/such"}')
    assert (await wire.answer(7))["error"]["code"] == -32601


async def test_half_a_surrogate_pair_is_text_like_any_other(station: Station, wire: Wire, other: Wire) -> None:
    await wire.initialize(station)
    assert (await wire.python("'a\ud800'"))["result"]["status"] == "ok"
    written = await wire.command("writeFile", path="half.txt", content="a\ud800")
    assert ("result" in written) != ("error" in written)
    for name, arguments in (
        ("runAgent", {"prompt": "\udfff", "conversation": "\ud800"}),
        ("execPython", {"code": "1", "session": "\ud800"}),
        ("readFile", {"path": "\ud800"}),
        ("viewData", {"path": "\ud800.csv", "operation": "shape"}),
        ("viewData", {"uri": "file:///\ud800.csv", "operation": "shape"}),
        ("listFiles", {"path": ".", "pattern": "\ud800"}),
        ("getRun", {"run_id": "\ud800"}),
        ("\ud800", {}),
    ):
        answer = await wire.command(name, **arguments)
        assert answer.get("error", {}).get("code") != -32603, (name, arguments, answer)
    events = (await wire.command("events", after=0))["result"]["events"]
    assert "'a\ud800'" in [event.get("code") for event in events]


# The life cycle


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
        ({"processId": None, "rootUri": None, "capabilities": {}}, 4001),
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


# Parameters


@pytest.mark.parametrize(
    "params",
    [
        None,
        7,
        [],
        {},
        {"command": 7},
        {"command": None},
        {"command": "analystd.status", "arguments": 7},
        {"command": "analystd.status", "arguments": {}},
        {"command": "analystd.status", "arguments": "text"},
        {"command": "analystd.status", "arguments": [1]},
        {"command": "analystd.status", "arguments": [[]]},
        {"command": "analystd.status", "arguments": [None]},
        {"command": "analystd.status", "arguments": [{}, {}]},
        {"command": "analystd.status", "arguments": [{}], "workDoneToken": 1.5},
        {"command": "analystd.status", "arguments": [{}], "workDoneToken": True},
        {"command": "analystd.status", "arguments": [{}], "workDoneToken": {}},
        {"command": "analystd.status", "arguments": [{}], "workDoneToken": ["t"]},
        {"command": "analystd.frobnicate", "arguments": [{}]},
        {"command": "", "arguments": [{}]},
        {"command": "__class__"},
    ],
)
async def test_malformed_parameters_of_a_command_are_refused(station: Station, wire: Wire, params: Any) -> None:
    await wire.initialize(station)
    error = (await wire.request(EXECUTE, params))["error"]
    assert (error["code"], error["data"]["kind"]) == (-32602, "invalid_arguments")
    assert status_in(await wire.command("status")) == 1


@pytest.mark.parametrize(
    ("method", "malformed"),
    [
        ("initialized", [7, ["x"]]),
        ("$/setTrace", [None, 7, {}, {"value": "loud"}, {"value": 7}]),
        ("$/cancelRequest", [None, 7, {}, {"id": None}, {"id": 1.5}, {"id": [1]}, {"id": {}}, {"id": True}]),
        ("window/workDoneProgress/cancel", [None, {}, {"token": None}, {"token": 1.5}, {"token": []}, {"token": {}}]),
        ("workspace/didChangeWorkspaceFolders", [None, 7, {}, {"event": 7}, {"event": {"added": 7, "removed": []}}]),
        ("textDocument/didOpen", [None, {}, {"textDocument": 7}, {"textDocument": {**DOCUMENT, "text": None}}]),
        ("textDocument/didOpen", [{"textDocument": {**DOCUMENT, name: {}}} for name in DOCUMENT]),
        (
            "textDocument/didChange",
            [
                {"textDocument": {"uri": "file:///a.txt", "version": 2}, "contentChanges": changes}
                for changes in MALFORMED_CHANGES
            ],
        ),
        ("textDocument/didClose", [None, {}, {"textDocument": {"uri": 7}}, {"textDocument": {"uri": "file:///never"}}]),
        ("notebookDocument/didOpen", [None, {}, {"notebookDocument": 7, "cellTextDocuments": []}]),
        ("notebookDocument/didChange", [None, {}, {"notebookDocument": {"uri": "a", "version": 1}, "change": 7}]),
        ("notebookDocument/didClose", [None, {}, {"notebookDocument": {}, "cellTextDocuments": [7]}]),
        ("no/such/notification", [None, 7, {"a": {"jsonrpc": "2.0", "id": 1}}]),
        ("$/noSuch", [None, 7]),
    ],
)
async def test_malformed_notifications_are_passed_over(
    station: Station, wire: Wire, other: Wire, method: str, malformed: list[Any]
) -> None:
    await wire.initialize(station)
    await wire.notify("textDocument/didOpen", {"textDocument": DOCUMENT})
    for params in malformed:
        await wire.notify(method, params)
    assert status_in(await wire.command("status")) == 1


@pytest.mark.parametrize("command", sorted(ARGUMENTS))
async def test_arguments_that_do_not_fit_the_published_schema_are_refused(station: Station, command: Command) -> None:
    schema = json.loads((SCHEMAS / f"{command.removeprefix('analystd.')}.arguments.json").read_text())
    fits = Draft202012Validator(schema).is_valid
    fitting = {name: FITTING[name] for name in schema.get("required", [])}
    assert fits(fitting)
    malformed = [
        *({**fitting, name: value} for name in schema["properties"] for value in ODD),
        *({each: value for each, value in fitting.items() if each != name} for name in fitting),
        {**fitting, "unknown": 1},
        {**fitting, "jsonrpc": "2.0"},
    ]
    async with opened(station) as wire:
        for arguments in [each for each in malformed if not fits(each)]:
            error = (await wire.request(EXECUTE, {"command": command, "arguments": [arguments]}))["error"]
            assert (error["code"], error["data"]["kind"]) == (-32602, "invalid_arguments"), arguments
            assert error["message"].startswith("Invalid arguments: "), arguments


async def test_an_argument_with_a_key_jsonrpc_stays_what_it_is(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    error = (await wire.command("viewData", path={"jsonrpc": "2.0", "id": 1}, operation="shape"))["error"]
    assert error["message"] == "Invalid arguments: {'jsonrpc': '2.0', 'id': 1} is not of type 'string'"
    params = {"command": "analystd.status", "arguments": [{}], "jsonrpc": "2.0", "id": 5, "method": "exit"}
    assert status_in(await wire.request(EXECUTE, params)) == 1


# Ids, cancelling, progress


async def test_a_second_request_with_the_id_of_one_under_way_is_refused(
    station: Station, wire: Wire, other: Wire
) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", "twin", code="import time; time.sleep(0.5); 'first'")
    await wire.heard("analystd/event", kind="run_started")
    await wire.begin("execPython", "twin", code="'second'")
    assert (await wire.answer("twin"))["error"]["code"] == -32600
    assert (await wire.answer("twin"))["result"]["result"] == "'first'"
    assert (await wire.python("'third'", "twin"))["result"]["result"] == "'third'"


async def test_a_number_and_its_text_are_two_ids(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", 1, code="'number'")
    await wire.begin("execPython", "1", code="'text'")
    assert (await wire.answer("1"))["result"]["result"] == "'text'"
    assert (await wire.answer(1))["result"]["result"] == "'number'"


async def test_cancelling_what_is_not_under_way_changes_nothing(station: Station, wire: Wire, other: Wire) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", "shared", code="import time; time.sleep(0.5); 'mine'")
    await wire.heard("analystd/event", kind="run_started")
    for number in ("never sent", "shared"):
        await other.notify("$/cancelRequest", {"id": number})
    await wire.notify("$/cancelRequest", {"id": "never sent"})
    assert (await wire.answer("shared"))["result"]["result"] == "'mine'"
    await wire.notify("$/cancelRequest", {"id": "shared"})
    assert (await wire.python("6 * 7"))["result"]["result"] == "42"


async def test_a_request_that_is_cancelled_twice_is_answered_once(station: Station, wire: Wire, other: Wire) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", "c", code="import time; time.sleep(60)")
    await wire.heard("analystd/event", kind="run_started")
    cancel = {"method": "$/cancelRequest", "params": {"id": "c"}}
    await wire.send(cancel, cancel)
    assert (await wire.answer("c"))["error"]["code"] == -32800
    finished = await wire.heard("analystd/event", kind="run_finished", status="interrupted")
    assert finished["result"]["status"] == "interrupted"
    assert (await wire.python("'free'", "c"))["result"]["result"] == "'free'"


async def test_a_request_can_be_cancelled_in_the_same_breath(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    params = {"command": "analystd.execPython", "arguments": [{"code": "import time; time.sleep(60)"}]}
    cancel = {"method": "$/cancelRequest", "params": {"id": "c"}}
    await wire.send({"id": "c", "method": EXECUTE, "params": params}, cancel)
    assert (await wire.answer("c"))["error"]["code"] == -32800


async def test_cancelling_a_runs_progress_cancels_its_request(station: Station, wire: Wire, other: Wire) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", "c", token="my run", code="import time; time.sleep(60)")
    await wire.progress("my run", "begin")
    await wire.heard("analystd/event", kind="run_started")
    for token in ("never told", "my run"):
        await other.notify("window/workDoneProgress/cancel", {"token": token})
        await other.command("status")
    await wire.notify("window/workDoneProgress/cancel", {"token": "my run"})
    assert (await wire.answer("c"))["error"]["code"] == -32800
    assert [value["kind"] for value in wire.progress_so_far("my run")][-1] == "end"
    await wire.heard("analystd/event", kind="run_finished", status="interrupted")
    await wire.notify("window/workDoneProgress/cancel", {"token": "my run"})
    assert (await wire.python("'free'"))["result"]["result"] == "'free'"


async def test_a_token_tells_the_progress_of_one_request_at_a_time(station: Station, wire: Wire) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", "first", token=7, code="import time; time.sleep(0.5); 1")
    await wire.progress(7, "begin")
    await wire.begin("execPython", "second", token=7, code="2")
    assert (await wire.answer("first"))["result"]["result"] == "1"
    assert (await wire.answer("second"))["result"]["result"] == "2"
    kinds = [value["kind"] for value in wire.progress_so_far(7)]
    assert (kinds[0], kinds[-1], kinds.count("begin"), kinds.count("end")) == ("begin", "end", 1, 1)
    await wire.begin("execPython", "third", token=7, code="3")
    assert (await wire.answer("third"))["result"]["result"] == "3"
    assert [value["kind"] for value in wire.progress_so_far(7)].count("end") == 2


async def test_answers_to_questions_that_the_daemon_never_asked_are_passed_over(
    station: Station, wire: Wire, other: Wire
) -> None:
    await wire.initialize(station)
    await wire.begin("execPython", "r", code="import time; time.sleep(0.5); 'kept'")
    await wire.heard("analystd/event", kind="run_started")
    for number in ("r", 99, None, 1.5, [1]):
        await wire.send({"id": number, "result": "an answer to nothing"})
        await wire.send({"id": number, "error": {"code": 1, "message": "to nothing"}})
    assert (await wire.answer("r"))["result"]["result"] == "'kept'"


# Editors


VS_CODE = [
    {"id": 0, "method": "initialize", "params": {
        "processId": 4711, "clientInfo": {"name": "Visual Studio Code", "version": "1.106.0"}, "locale": "en",
        "rootPath": None, "rootUri": None, "trace": "off", "workDoneToken": "init-1",
        "capabilities": {
            "workspace": {"applyEdit": True, "workspaceEdit": {"documentChanges": True, "resourceOperations": ["create", "rename"]},
                          "foldingRange": {"refreshSupport": True}, "textDocumentContent": {"dynamicRegistration": True}},
            "window": {"showMessage": {"messageActionItem": {"additionalPropertiesSupport": True}}, "workDoneProgress": True},
            "general": {"positionEncodings": ["utf-16"], "markdown": {"parser": "marked", "version": "1.1.0"},
                        "staleRequestSupport": {"cancel": True, "retryOnContentModified": ["textDocument/inlayHint"]}},
            "textDocument": {"publishDiagnostics": {"tagSupport": {"valueSet": [1, 2]}}, "inlineCompletion": {}},
            "notebookDocument": {"synchronization": {"executionSummarySupport": True}},
        },
        "initializationOptions": {"workspace": "workspace", "settings": {"AGENT_MAX_STEPS": 7, "AGENT_ENABLE_FILES": True}},
    }},
    {"method": "initialized", "params": {}},
    {"method": "workspace/didChangeConfiguration", "params": {"settings": {"analystd": {"workspace": ""}}}},
    {"method": "$/setTrace", "params": {"value": "verbose"}},
    {"method": "textDocument/didOpen", "params": {"textDocument": DOCUMENT}},
    {"method": "textDocument/didSave", "params": {"textDocument": {"uri": DOCUMENT["uri"]}}},
    {"method": "workspace/didChangeWatchedFiles", "params": {"changes": []}},
    {"id": 1, "method": EXECUTE, "params": {"command": "analystd.status", "arguments": [{}], "workDoneToken": "0a-b"}},
    {"method": "textDocument/didClose", "params": {"textDocument": {"uri": DOCUMENT["uri"]}}},
    {"id": 2, "method": "shutdown"},
    {"method": "exit"},
]  # fmt: skip
NEOVIM = [
    {"id": 1, "method": "initialize", "params": {
        "processId": 4711, "clientInfo": {"name": "Neovim", "version": "0.11.5"}, "rootPath": None, "rootUri": None,
        "workspaceFolders": None, "trace": "off", "workDoneToken": "1", "initializationOptions": [],
        "capabilities": {"general": {"positionEncodings": ["utf-8", "utf-16", "utf-32"]}, "window": {"workDoneProgress": True},
                         "textDocument": {"completion": {"completionItemKind": {"valueSet": [1, 2]}}, "semanticTokens": {"formats": ["relative"]}}},
    }},
    {"method": "initialized", "params": {}},
    {"method": "workspace/didChangeConfiguration", "params": {"settings": []}},
    {"method": "textDocument/didOpen", "params": {"textDocument": DOCUMENT}},
    {"method": "textDocument/didChange", "params": {
        "textDocument": {"uri": DOCUMENT["uri"], "version": 2}, "contentChanges": [{"text": "after"}]}},
    {"id": 2, "method": EXECUTE, "params": {"command": "analystd.status", "arguments": []}},
    {"id": 3, "method": "shutdown", "params": None},
    {"method": "exit", "params": None},
]  # fmt: skip
EGLOT = [
    {"id": 1, "method": "initialize", "params": {
        "processId": 4711, "clientInfo": {"name": "Eglot", "version": "1.19"}, "rootPath": "/", "rootUri": None,
        "initializationOptions": {}, "workspaceFolders": [],
        "capabilities": {"workspace": {"applyEdit": True, "workspaceFolders": True}, "general": {"positionEncodings": ["utf-32", "utf-8"]},
                         "window": {"showDocument": {"support": True}, "workDoneProgress": True}, "experimental": {}},
    }},
    {"method": "initialized", "params": {}},
    {"method": "textDocument/didOpen", "params": {"textDocument": DOCUMENT}},
    {"method": "textDocument/didChange", "params": {
        "textDocument": {"uri": DOCUMENT["uri"], "version": 2}, "contentChanges": [{"text": "after"}]}},
    {"id": 2, "method": EXECUTE, "params": {"command": "analystd.status", "arguments": [{}]}},
    {"id": 3, "method": "shutdown", "params": None},
    {"method": "exit", "params": None},
]  # fmt: skip


@pytest.mark.parametrize("session", [VS_CODE, NEOVIM, EGLOT], ids=["vscode", "neovim", "eglot"])
async def test_what_an_editor_says_is_understood(station: Station, wire: Wire, session: list[dict[str, Any]]) -> None:
    first, *rest = json.loads(json.dumps(session))
    folder = {"uri": station.project.as_uri(), "name": "project"}
    first["params"] |= {"rootUri": folder["uri"], "workspaceFolders": [folder]}
    await wire.send(first)
    assert "result" in await wire.answer(first["id"])
    for message in rest:
        await wire.send(message)
        if "id" in message:
            assert "result" in await wire.answer(message["id"]), message
    assert await wire.end() == []
    assert await wire.close() == 0


# Strangers and neighbours


async def test_a_client_that_vanishes_leaves_its_run_to_finish(station: Station) -> None:
    wire, other = await asyncio.gather(open_wire(station), open_wire(station))
    await asyncio.gather(wire.initialize(station), other.initialize(station))
    await wire.begin("execPython", 1, code="import time; time.sleep(0.5); survived = 1")
    await other.heard("analystd/event", kind="run_started")
    wire.process.kill()
    await wire.process.wait()
    assert (await other.python("survived"))["result"]["result"] == "1"
    await other.close()


@pytest.mark.parametrize("token", ["guess", "", None, 7, [], "\ud800"])
async def test_a_stranger_without_the_token_is_refused(station: Station, other: Wire, token: Any) -> None:
    _, socket = card_and_socket(station)
    answer = await said_at(station, framing.frame(hello(token=token)))
    assert b"wrong token" in answer
    assert oct(socket.stat().st_mode & 0o777) == "0o600"
    assert oct(station.state.stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00" * 1000,
        b"Content-Length: 7\r\n\r\n{",
        framing.frame_body(b"null"),
        framing.frame_body(b"[]"),
        framing.frame_body(b"\xff"),
        framing.frame_body(b"[" * 100_000),
        framing.frame_body(b'{"jsonrpc": "2.0", "id": 0, "method": "analystd/hello", "params": []}'),
        framing.frame_body(b'{"jsonrpc": "2.0", "id": 0, "method": "analystd/hello"}'),
        framing.frame_body(b'{"jsonrpc": "2.0", "method": "initialize", "params": {}}'),
    ],
)
async def test_who_says_no_hello_is_not_let_in(station: Station, other: Wire, data: bytes) -> None:
    assert b'"result"' not in await said_at(station, data)


@pytest.mark.parametrize(
    "members", [{"environment": 7}, {"environment": {"A": 7}}, {"environment": []}, {"client": 7}, {"pid": "x"}]
)
async def test_a_hello_with_the_token_and_nonsense_is_told_so(
    station: Station, other: Wire, members: dict[str, Any]
) -> None:
    card, _ = card_and_socket(station)
    answer = await said_at(station, framing.frame(hello(token=card["token"], **members)))
    assert b'"code":-32602' in answer


async def test_all_that_daemons_say_is_checked(station: Station, wire_check: WireCheck) -> None:
    wire_check.check()
    before = wire_check.checked
    async with opened(station) as wire:
        await wire.python("1")
    wire_check.check()
    assert wire_check.checked >= before + 5


def hello(**members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 0, "method": "analystd/hello", "params": members}


async def said_at(station: Station, data: bytes) -> bytes:
    """What is answered to bytes at the socket of the daemon, until it closes."""
    _, socket = card_and_socket(station)
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(data)
    writer.write_eof()
    async with asyncio.timeout(SECONDS):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_window_survives_the_daemons_death(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    wire = await open_wire(station)
    await wire.initialize(station)
    pid = station.daemon_pid()
    assert pid is not None
    await wire.begin("execPython", "lost", code="import time; time.sleep(60)")
    await wire.heard("analystd/event", kind="run_started")
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
