"""Relays as processes: they end when their editor does, however it ends, and carry it over the daemon's end until then."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import pytest
from tests.e2e.wires import SECONDS, Wire, wire
from tests.station import Station, is_running


async def test_the_end_of_the_process_that_initialize_names_ends_the_relay(station: Station) -> None:
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
    async with wire(station) as window:
        params = {"processId": other.pid, "rootUri": station.project.as_uri(), "capabilities": {}}
        assert "result" in await window.request("initialize", params)
        assert window.process.returncode is None
        other.kill()
        await other.wait()
        assert await window.ended() == 1


async def test_a_process_id_that_nobody_has_is_passed_over(station: Station) -> None:
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    async with wire(station) as window:
        params = {"processId": ended.pid, "rootUri": station.project.as_uri(), "capabilities": {}}
        assert "result" in await window.request("initialize", params)
        assert (await window.command("execPython", code="1"))["result"]["result"] == "1"
        assert await window.close() == 1


async def test_the_end_of_its_parent_ends_the_relay_though_its_stdin_stays_open(station: Station) -> None:
    script = "import subprocess, sys; r = subprocess.Popen(sys.argv[1:]); print(r.pid, file=sys.stderr, flush=True); r.wait()"
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, *station.command("stdio")),
        env=station.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert parent.stderr is not None
    relay = int(await asyncio.wait_for(parent.stderr.readline(), SECONDS))
    window = Wire(parent)
    assert "result" in await window.initialize(station)
    parent.kill()
    async with asyncio.timeout(SECONDS):
        while is_running(relay):
            await asyncio.sleep(0.05)
    await window.close()


@pytest.mark.parametrize("said", [b"", b"Content-Length: 100\r\n\r\n{", b"Content-Le"])
async def test_an_editor_that_vanishes_ends_the_relay(station: Station, said: bytes) -> None:
    async with wire(station) as window:
        await window.initialize(station)
        await window.send_bytes(said)
        assert await window.close() == 1


async def test_a_window_that_was_carried_over_has_its_documents_and_all_events(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    async with wire(station) as window, wire(station) as other:
        await asyncio.gather(window.initialize(station), other.initialize(station))
        await window.command("execPython", "1", code="print('before')")
        pid = (await window.command("status"))["result"]["pid"]
        os.kill(pid, signal.SIGKILL)
        # The other window is at the new daemon first, and works there.
        await _until_served_by_another(other, pid)
        assert (await other.command("execPython", "2", code="print('after')"))["result"]["stdout"] == "after\n"
        await _until_served_by_another(window, pid)
        await window.command("execPython", "3", code="print('last')")
        await _until_event(window, "run_finished", 3)
        seqs = [message["params"]["seq"] for message in window.heard if message.get("method") == "analystd/event"]
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


async def test_requests_under_way_when_the_daemon_is_killed_are_each_answered_once(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    async with wire(station) as window:
        await window.initialize(station)
        pid = (await window.command("status"))["result"]["pid"]
        for number in range(50):
            await window.send_command("execPython", f"run {number}", code="import time; time.sleep(60)")
        await window.event("run_started")
        os.kill(pid, signal.SIGKILL)
        await _until_served_by_another(window, pid)
        answers = [message for message in window.heard if str(message.get("id")).startswith("run ")]
        assert sorted(message["id"] for message in answers) == sorted(f"run {number}" for number in range(50))
        assert {message["error"]["code"] for message in answers} == {4007}


async def _until_served_by_another(window: Wire, pid: int) -> None:
    """Ask until the answer comes from another daemon; what was asked of the dying one is answered 4007."""
    async with asyncio.timeout(SECONDS):
        while (answer := await window.command("status", "status")).get("result", {"pid": pid})["pid"] == pid:
            assert answer["error"]["code"] == 4007


async def _until_event(window: Wire, kind: str, count: int) -> None:
    """Read on until so many events of a kind were told in all."""
    while sum(message.get("params", {}).get("kind") == kind for message in window.heard) < count:
        await window.event(kind)
