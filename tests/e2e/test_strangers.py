"""What editors say of themselves, and what strangers may not; clients that vanish."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from tests.e2e.bytewise import EXECUTE, SECONDS, Wire, card_and_socket, open_wire, opened
from tests.station import Station
from tests.wire_check import WireCheck

from analystd.wire import framing

DOCUMENT = {"uri": "file:///a.txt", "languageId": "text", "version": 1, "text": "before"}


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
