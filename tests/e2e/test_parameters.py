"""Parameters that do not fit; ids, cancelling and progress."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.e2e.bytewise import EXECUTE, Wire, opened, status_in
from tests.station import Station
from tests.wire_check import SCHEMAS

from analystd.wire.names import Command

DOCUMENT = {"uri": "file:///a.txt", "languageId": "text", "version": 1, "text": "before"}
ODD: list[Any] = [None, True, -1, 0, 1.5, 1e300, "", "x", "x" * 5000, [], [None], {}, {"jsonrpc": "2.0"}]
MALFORMED_CHANGES: list[Any] = [None, 7, {}, [7], [{"text": 5}], [{}], [{"range": {}, "text": "x"}]]
FITTING = {
    "prompt": "x", "code": "1", "operation": "shape", "path": "x", "content": "x", "run_id": "x", "after": 0, "events": "all", "id": "x",
}  # fmt: skip


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


@pytest.mark.parametrize("command", sorted(Command))
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


@pytest.mark.parametrize("arguments", [None, [], [[]], [{}]])
async def test_an_empty_table_of_any_editor_is_no_arguments(wire: Wire, station: Station, arguments: Any) -> None:
    assert "result" in await wire.initialize(station)
    answer = await wire.request("workspace/executeCommand", {"command": "analystd.listFiles", "arguments": arguments})
    assert answer["result"]["entries"] is not None, answer


async def test_an_empty_table_is_an_object_where_one_is_wanted(wire: Wire, station: Station) -> None:
    params: dict[str, Any] = {
        "processId": None,
        "rootUri": station.project.as_uri(),
        "capabilities": [],
        "workspaceFolders": [],
    }
    options = {"settings": [], "events": "all"}
    answer = await wire.request(
        "initialize", {**params, "clientInfo": {"name": "lua"}, "initializationOptions": options}
    )
    assert "result" in answer, answer
    answer = await wire.command("startAgent", prompt="?", context=[])
    assert "result" in answer, answer
