"""Whatever one client sends, in whatever order: another is served, the daemon lives, and its memory does not grow."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.e2e.bytewise import SECONDS, Wire, at_socket, opened
from tests.station import Station

from analystd.wire import framing
from analystd.wire.commands import COMMANDS
from analystd.wire.names import Command
from analystd.wire.schemas import schema_of

EXAMPLES = 150
SCHEMAS = {command.name: schema_of(command.arguments) for command in COMMANDS}
MAX_GROWTH_BYTES = 64 * 1024 * 1024

METHODS = [
    "initialize", "initialized", "shutdown", "exit", "workspace/executeCommand", "$/cancelRequest", "$/setTrace", "$/progress",
    "window/workDoneProgress/cancel", "textDocument/didOpen", "textDocument/didChange", "textDocument/didClose",
    "notebookDocument/didOpen", "notebookDocument/didChange", "workspace/didChangeWorkspaceFolders", "textDocument/hover",
    "workspace/didChangeConfiguration", "window/showMessage", "analystd/event", "analystd/hello", "no/such", "$/no/such",
]  # fmt: skip
MEMBERS = [
    "jsonrpc", "id", "method", "params", "result", "error", "command", "arguments", "workDoneToken", "token", "value", "kind",
    "textDocument", "uri", "languageId", "version", "text", "contentChanges", "range", "start", "line", "character", "capabilities",
    "processId", "rootUri", "workspaceFolders", "initializationOptions", "workspace", "settings", "desk", "events", "events_after",
    "path", "operation", "n_rows", "offset", "columns", "filter", "sort", "code", "session", "run_id", "after", "limit", "prompt", "op",
]  # fmt: skip

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(
        ["2.0", "\ud800", "a\0b", "file:///a.txt", "main", "head", "1 + 1", "raise SystemExit", "../x", "x" * 5000]
    ),
    st.sampled_from(METHODS),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
ids = st.integers(1, 99) | st.sampled_from([1, 2, "1", "2"]) | values
PLAUSIBLE: dict[str, list[Any]] = {
    "session": ["main", "main", "", "\ud800", 7],
    "code": ["1 + 1", "raise SystemExit", "print('\ud800')", "x" * 5000, "\0", 7],
    "prompt": ["and by month?", "\ud800"],
    "conversation": ["", "\ud800"],
    "path": ["t.csv", ".", "../x", "a\0b", "\ud800", ""],
    "uri": ["file:///a.csv", "file://[", "file:///%00", "http://x", "\ud800"],
    "operation": ["head", "shape", "profile", "drop"],
    "filter": [[{"column": "a", "op": "=", "value": 1e300}], [{"column": "\ud800", "op": "in", "value": ["\ud800"]}]],
    "sort": [[{"column": "a"}]],
    "columns": [["a"], ["\ud800"], []],
    "delimiter": [",", "\ud800"],
    "content": ["text", "\ud800"],
    "pattern": ["*", "[", "\ud800", "\0"],
    "context": [{"uri": "\ud800", "range": {"jsonrpc": "2.0"}, "text": "\ud800"}],
    "events": ["all", "mine", "none"],
    "limit": [1, 10_000],
    "after": [0, 2**63],
    "timeout_seconds": [0.001, 5],
}


def arguments_of(command: Command) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments with the names that a command has, often with a value that fits."""
    schema = SCHEMAS[command]
    members = {name: st.sampled_from(PLAUSIBLE.get(name, [1])) for name in schema["properties"]}
    required = {name: members[name] for name in schema.get("required", [])}
    fitting = st.fixed_dictionaries(
        required, optional={name: each for name, each in members.items() if name not in required}
    )
    odd = st.fixed_dictionaries(
        {}, optional={name: each | values for name, each in members.items() if name != "session"}
    )
    return st.one_of(fitting, fitting, odd)


def execute(command: Command) -> st.SearchStrategy[dict[str, Any]]:
    token = {"workDoneToken": st.sampled_from([1, "t"]) | values}
    return st.fixed_dictionaries(
        {"command": st.just(str(command)), "arguments": st.lists(arguments_of(command), min_size=1, max_size=1)},
        optional=token,
    )


# The one command that ends the daemon is not asked for.
requests = st.fixed_dictionaries(
    {
        "jsonrpc": st.just("2.0"),
        "id": ids,
        "method": st.just("workspace/executeCommand"),
        "params": st.sampled_from([command for command in Command if command is not Command.SHUTDOWN]).flatmap(execute),
    }
)
messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": st.sampled_from(METHODS)}, optional={"id": ids, "params": values}
)
loose = st.dictionaries(st.sampled_from(["jsonrpc", "id", "method", "params", "result", "error"]), values)
bodies = st.one_of(
    (requests | messages | loose | values).map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=60),
    (requests | messages).map(lambda value: json.dumps(value).encode()[:-3]),
)
frames = st.one_of(
    *[requests.map(framing.frame)] * 4,
    *[bodies.map(framing.frame_body)] * 2,
    st.builds(
        lambda name, length, body: b"%b: %b\r\n\r\n%b" % (name, length, body),
        st.sampled_from([b"Content-Length", b"content-length", b"Content-Type", b"", "Länge".encode()]),
        st.sampled_from([b"0", b"2", b"-1", b"9999999999999", b"x", b""]),
        bodies,
    ),
    st.binary(max_size=60),
)


@pytest.mark.timeout(300)
def test_whatever_a_client_sends_another_is_served(station: Station) -> None:
    async def talk(wire: Wire, data: Sequence[bytes], opens: bool) -> None:
        """Say it all, let what was asked come to its end, and leave."""
        if opens:
            await wire.initialize(station)
        with contextlib.suppress(ConnectionError, AssertionError):
            await wire.send_bytes(b"".join(data))
            # An answer, or the end of a connection on which no more is read.
            await wire.command("variables", "last")
            await wire.send_last(framing.frame({"jsonrpc": "2.0", "method": "exit"}))
            await wire.end()

    async def look(before: int) -> None:
        async with opened(station) as witness:
            status = (await witness.command("status"))["result"]
            assert status["pid"] == pid
            assert status["memory_bytes"] < before + MAX_GROWTH_BYTES
            assert (await witness.command("events", after=0, limit=1))["result"]["seq"] > 0

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @example(data=[framing.frame_body(b"[" * 1000)], opens=True)
    @given(data=st.lists(frames, min_size=4, max_size=16), opens=st.sampled_from([True, True, True, False]))
    def say(data: list[bytes], opens: bool) -> None:
        async def one() -> None:
            async with asyncio.timeout(SECONDS):
                wire = await at_socket(station)
                await talk(wire, data, opens)
                await wire.close()
            await look(before)

        asyncio.run(one())

    async def begin() -> dict[str, Any]:
        async with opened(station) as witness:
            await witness.python("1")
            result: dict[str, Any] = (await witness.command("status"))["result"]
            return result

    status = asyncio.run(begin())
    pid, before = status["pid"], status["memory_bytes"]
    say()
    tracebacks = station.log.read_text().count("Traceback")
    assert tracebacks == 0, station.log_tail(200)
