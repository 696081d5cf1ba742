"""Two versions of analystd on one desk: the newer takes over, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.e2e.versions import copy_of_version, with_version
from tests.e2e.wires import SECONDS, Wire, wire
from tests.station import Station, is_running

from analystd import __version__

NEWER = "99.0.0"
STOPS_ITSELF = """
import os, signal, threading
x = 41
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGSTOP)).start()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_version(tmp_path_factory.mktemp("v"), NEWER)


@pytest.fixture
def versions(fresh_station: Station, place: Path) -> Iterator[tuple[Station, Station]]:
    """A station as the older and as the newer version see it."""
    fresh_station.play([])
    newer = with_version(fresh_station, place)
    yield fresh_station, newer
    newer.run("stop", "--now", check=None)


async def test_an_older_daemon_with_nothing_to_lose_makes_way_and_its_windows_go_over(
    versions: tuple[Station, Station],
) -> None:
    older, newer = versions
    async with wire(older) as old_window, wire(newer) as new_window:
        await old_window.initialize(older)
        old_pid = await _pid(old_window)
        assert "result" in await new_window.initialize(newer)
        state = (await new_window.command("status"))["result"]
        assert state["version"] == NEWER
        await _until_ended(old_pid)
        # The older window's relay found its way to the newer daemon, and its window is open there.
        assert (await old_window.command("execPython", "moved", code="'moved'"))["result"]["result"] == "'moved'"
        assert await _pid(old_window) == state["pid"]
    assert len(_cards(older)) == 1


async def test_an_older_daemon_with_a_run_takes_no_new_ones_and_ends_with_it(versions: tuple[Station, Station]) -> None:
    older, newer = versions
    async with wire(older) as old_window, wire(newer) as new_window:
        await old_window.initialize(older)
        old_pid = await _pid(old_window)
        await old_window.send_command("execPython", "long", code="import time\ntime.sleep(2)")
        await old_window.event("run_started")
        opening = asyncio.create_task(new_window.initialize(newer))
        await _until_it_makes_way(older, old_pid)
        error = (await old_window.command("execPython", "late", code="1"))["error"]
        assert (error["code"], error["data"]["kind"]) == (4005, "stopping")
        assert f"analystd {NEWER} takes over from {__version__}" in error["message"]
        assert (await old_window.answer("long"))["result"]["status"] == "ok"
        assert "result" in await opening
        await _until_ended(old_pid)
        assert (await new_window.command("execPython", "1", code="'served'"))["result"]["result"] == "'served'"


async def test_a_desk_that_the_older_daemon_keeps_too_long_is_refused_with_the_reason(
    versions: tuple[Station, Station],
) -> None:
    older, newer = versions
    async with wire(older) as old_window, wire(newer) as new_window:
        await old_window.initialize(older)
        old_pid = await _pid(old_window)
        await old_window.send_command("execPython", "long", code="import time\nwhile True: time.sleep(0.01)")
        started = await old_window.event("run_started")
        error = (await new_window.initialize(newer))["error"]
        assert (error["code"], error["data"]["kind"]) == (4001, "desk_in_use")
        assert (
            f"(pid {old_pid}, version {__version__}; it makes way when the runs under way have ended)"
            in error["message"]
        )
        await old_window.send_command("cancelRun", "cancel", run_id=started["run_id"])
        await old_window.answer("long")
        await _until_ended(old_pid)
        assert "result" in await new_window.initialize(newer, "again")


async def test_a_desk_in_which_the_last_run_left_variables_is_kept_for_those_who_may_go_on_with_them(
    versions: tuple[Station, Station],
) -> None:
    older, newer = versions
    async with wire(older) as old_window, wire(newer) as new_window:
        await old_window.initialize(older)
        old_pid = await _pid(old_window)
        await old_window.send_command("execPython", "long", code="import time\ntime.sleep(1.5)\nleft = 1")
        await old_window.event("run_started")
        error = (await new_window.initialize(newer))["error"]
        kept = f"it makes way when these sessions hold no variables any more: main in {older.workspace} (1 variable)"
        assert kept in error["message"]
        assert (await old_window.answer("long"))["result"]["status"] == "ok"
        assert (await old_window.command("execPython", "more", code="left + 1"))["result"]["result"] == "2"
        await old_window.command("resetSession", "reset")
        await _until_ended(old_pid)
        assert "result" in await new_window.initialize(newer, "again")


async def test_a_session_that_does_not_tell_its_variables_is_kept(versions: tuple[Station, Station]) -> None:
    older, newer = versions
    async with wire(older) as old_window, wire(newer) as new_window:
        await old_window.initialize(older)
        await old_window.command("execPython", "1", code=STOPS_ITSELF)
        stopped = await asyncio.to_thread(_stopped_below, await _pid(old_window))
        await new_window.initialize(newer)
        told = await new_window.until(lambda message: message.get("method") == "window/showMessage")
        assert f"main in {older.workspace} (busy, or does not answer)" in told["params"]["message"]
        stopped.resume()
        assert (await new_window.command("execPython", "2", code="x"))["result"]["result"] == "41"


async def test_variables_outrank_an_upgrade_and_the_user_is_told(versions: tuple[Station, Station]) -> None:
    older, newer = versions
    async with wire(older) as old_window, wire(newer) as new_window:
        await old_window.initialize(older)
        await old_window.command("execPython", "1", code="precious = 42; import math")
        await new_window.initialize(newer)
        told = await new_window.until(lambda message: message.get("method") == "window/showMessage")
        assert f"main in {older.workspace} (1 variable)" in told["params"]["message"]
        assert "`analystd stop` ends the older one" in told["params"]["message"]
        assert (await new_window.command("execPython", "2", code="precious"))["result"]["result"] == "42"
        refused = await asyncio.to_thread(newer.run, "serve", check=1)
        assert f"analystd {__version__} runs already" in refused.stderr
        assert "(1 variable)" in refused.stderr
        state = await asyncio.to_thread(newer.run, "status")
        assert f"this command is {NEWER}: after `analystd stop`" in state.stdout
        await new_window.command("resetSession", "reset")
        old_pid = await _pid(new_window)
        # The next newcomer brings the newer version.
        assert (await asyncio.to_thread(newer.result, "exec", "'new'"))["result"] == "'new'"
        await _until_ended(old_pid)
        assert (await new_window.command("status", "3"))["result"]["version"] == NEWER


async def test_an_older_client_uses_the_newer_daemon(versions: tuple[Station, Station]) -> None:
    older, newer = versions
    await asyncio.to_thread(newer.run, "exec", "x = 'of the newer'")
    assert (await asyncio.to_thread(older.run, "exec", "x")).stdout == "'of the newer'\n"
    refused = await asyncio.to_thread(older.run, "serve", check=1)
    assert f"analystd {NEWER} runs already" in refused.stderr
    assert len(_cards(older)) == 1


def _cards(station: Station) -> list[dict[str, object]]:
    kept = [json.loads(path.read_text()) for path in station.state.glob("*.json")]
    return [card for card in kept if "pid" in card]


async def _pid(window: Wire) -> int:
    return int((await window.command("status", "pid"))["result"]["pid"])


async def _until_it_makes_way(station: Station, pid: int) -> None:
    async with asyncio.timeout(SECONDS):
        while not any(card["pid"] == pid and card["hands_over"] for card in _cards(station)):
            await asyncio.sleep(0.02)


async def _until_ended(pid: int) -> None:
    async with asyncio.timeout(SECONDS):
        while is_running(pid):
            await asyncio.sleep(0.05)


def _stopped_below(pid: int) -> psutil.Process:
    """The process that has stopped itself, as soon as it has."""
    deadline = time.monotonic() + SECONDS
    while True:
        for process in psutil.Process(pid).children(recursive=True):
            if process.status() == psutil.STATUS_STOPPED:
                return process
        assert time.monotonic() < deadline, "nothing stops"
        time.sleep(0.05)
