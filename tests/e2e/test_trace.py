"""`AGENT_TRACE` writes what passes between a daemon and its clients, and nothing that opens the daemon to others."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.bytewise import card_and_socket, opened
from tests.station import Station
from tests.wire_check import WireCheck


async def test_a_trace_has_each_message_and_neither_the_token_nor_a_key(fresh_station: Station, tmp_path: Path) -> None:
    fresh_station.play([])
    trace = tmp_path / "messages.trace"
    fresh_station.environment |= {"AGENT_TRACE": str(trace), "AGENT_MODEL_API_KEY": "s3cret"}
    async with opened(fresh_station, "relay") as wire:
        options = {"settings": {"AGENT_MODEL_API_KEY": "s3cret"}}
        await wire.request("initialize", {"capabilities": {}, "initializationOptions": options})
        assert (await wire.command("execPython", 77, code="'seen' + ' twice'"))["result"]["result"] == "'seen twice'"
        token = card_and_socket(fresh_station)[0]["token"]
    written = trace.read_bytes()
    assert trace.stat().st_mode & 0o777 == 0o600
    assert b"\"code\": \"'seen' + ' twice'\"" in written
    assert json.dumps("'seen twice'").encode() in written
    assert b'"AGENT_MODEL_API_KEY": "(a key)"' in written
    assert b"s3cret" not in written
    assert token.encode() not in written
    assert "every message is written to" in fresh_station.log.read_text()


def test_a_trace_in_the_workspace_is_refused(fresh_station: Station) -> None:
    fresh_station.play([])
    fresh_station.environment["AGENT_TRACE"] = str(fresh_station.workspace / "messages.trace")
    refused = fresh_station.run("exec", "1", check=4)
    assert "AGENT_TRACE" in refused.stderr


def test_every_daemon_of_these_tests_is_traced_and_checked(fresh_station: Station, wire_check: WireCheck) -> None:
    fresh_station.play([])
    wire_check.check()
    before = wire_check.checked
    fresh_station.run("exec", "1")
    wire_check.check()
    assert wire_check.checked > before
