"""Frames and messages that are none: each is told, or read past, and no other client notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from tests.e2e.bytewise import EXECUTE, Wire, status_in
from tests.station import Station

from analystd.wire import framing

STATUS = {"id": "status", "method": EXECUTE, "params": {"command": "analystd.status", "arguments": [{}]}}


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
            5,
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
        (b'{"jsonrpc": "2.0", "id": "' + b"x" * 2_000_000 + b'", "method": "no/such"}', None, -32600),
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
