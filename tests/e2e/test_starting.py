"""Starting and stopping, from many sides at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil
import pytest
from tests.e2e.bytewise import open_wire
from tests.e2e.wires import SECONDS, wire, wires
from tests.station import Station, is_running

from analystd.discovery.registry import Address, daemon_address
from analystd.util.locks import take_lock

RELAYS = 20


def test_who_starts_beside_one_that_begins_slowly_waits_for_it(fresh_station: Station) -> None:
    address = Address(fresh_station.state, daemon_address().name)
    fresh_station.state.mkdir(parents=True, mode=0o700)
    lock = take_lock(address.lock, 0)
    assert lock is not None
    starting = subprocess.Popen(
        fresh_station.command("exec", "6 * 7"),
        env=fresh_station.environment,
        cwd=fresh_station.project,
        stdout=subprocess.PIPE,
    )
    # Longer than a daemon waits for the lock.
    time.sleep(3.5)
    lock.release()
    output, _ = starting.communicate(timeout=SECONDS)
    assert (starting.returncode, output) == (0, b"42\n")


def _nothing(_address: Address) -> None:
    return None


def _stale_traces(address: Address) -> None:
    """What a daemon leaves that was killed: its socket, its card with the pid of nobody, its lock file, a draft."""
    address.folder.mkdir(parents=True)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    card = {"pid": ended.pid, "version": "0.1.0", "protocol": 1, "token": "x", "socket": str(address.socket)}
    address.card.write_text(json.dumps(card))
    address.card.with_suffix(".new").write_text("half a ca")
    address.lock.touch()
    (address.folder / "start.lock").touch()
    subprocess.run(
        [sys.executable, "-c", f"import socket; socket.socket(socket.AF_UNIX).bind({str(address.socket)!r})"],
        check=True,
    )


def _card_of_a_living_stranger(address: Address) -> None:
    """A stale card whose pid was given to another process."""
    address.folder.mkdir(parents=True)
    card = {"pid": os.getpid(), "version": "0.1.0", "protocol": 1, "token": "x", "socket": str(address.socket)}
    address.card.write_text(json.dumps(card))


@pytest.mark.parametrize("before", [_nothing, _stale_traces, _card_of_a_living_stranger])
async def test_twenty_relays_at_once_make_one_daemon_and_all_are_served(
    fresh_station: Station, before: Callable[[Address], None]
) -> None:
    station = fresh_station
    station.play([])
    before(Address(station.state, daemon_address().name))
    async with wires(station, RELAYS) as windows:
        answers = await asyncio.gather(*(window.initialize(station) for window in windows))
        assert [answer for answer in answers if "error" in answer] == []
        states = await asyncio.gather(*(window.command("status") for window in windows))
        assert {state["result"]["pid"] for state in states} == {station.daemon_pid()}
        assert len(states[0]["result"]["clients"]) == RELAYS
    assert _daemons(station) == [station.daemon_pid()]


async def test_relays_that_start_while_the_daemon_is_stopped_are_all_served(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    await asyncio.to_thread(station.run, "exec", "x = 1")
    old = station.daemon_pid()
    async with wires(station, RELAYS) as windows:
        stopping = asyncio.create_task(asyncio.to_thread(station.run, "stop"))
        answers = await asyncio.gather(*(window.initialize(station) for window in windows))
        await stopping
        assert [answer for answer in answers if "error" in answer] == []
        states = await asyncio.gather(*(window.command("status") for window in windows))
        assert {state["result"]["pid"] for state in states} == {station.daemon_pid()}
    assert old is not None
    assert not is_running(old)
    assert _daemons(station) == [station.daemon_pid()]


async def test_a_daemon_that_waits_for_a_run_takes_no_new_ones_and_ends_with_it(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    async with wire(station) as window:
        await window.initialize(station)
        await window.command("execPython", "first", code="kept = 1")
        await window.send_command("execPython", "long", code="import time\nwhile kept: time.sleep(0.01)")
        started = await window.event("run_started")
        stopping = await asyncio.create_subprocess_exec(
            *station.command("stop"), env=station.environment, stdout=asyncio.subprocess.PIPE
        )
        assert stopping.stdout is not None
        line = (await asyncio.wait_for(stopping.stdout.readline(), SECONDS)).decode()
        assert line.startswith(f"Waiting for {started['run_id']} (python): ")
        error = (await window.command("execPython", "late", code="1"))["error"]
        assert (error["code"], error["data"]["kind"]) == (4005, "stopping")
        assert started["run_id"] in error["data"]["hint"]
        assert (await window.command("listFiles", "view"))["result"]["entries"] == []
        await window.send_command("cancelRun", "cancel", run_id=started["run_id"])
        assert (await window.answer("long"))["result"]["status"] == "interrupted"
        said = (await asyncio.wait_for(stopping.communicate(), SECONDS))[0].decode()
        assert f"These variables are lost: main in {station.workspace}" in said
        assert said.splitlines()[-1].endswith("has stopped.")
        assert stopping.returncode == 0
    assert _daemons(station) == []


async def test_a_daemon_that_hangs_is_killed_by_stop_now(fresh_station: Station) -> None:
    station = fresh_station
    await asyncio.to_thread(station.run, "serve", "--detach")
    pid = station.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    said = await asyncio.to_thread(station.run, "stop", "--now")
    assert "did not answer and was killed" in said.stdout
    assert not is_running(pid)
    assert set(_kept(station)) <= {"logs", "run", "start.log"}


async def test_an_idle_daemon_ends_and_one_that_holds_a_variable_does_not(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    holder, idler = (Station(tmp_path_factory.mktemp("s"), AGENT_IDLE_EXIT_SECONDS="1") for _ in range(2))
    try:
        await asyncio.to_thread(holder.run, "exec", "x = 1")
        kept = holder.daemon_pid()
        assert kept is not None
        async with wire(idler) as window:
            await window.initialize(idler)
            ended = (await window.command("status"))["result"]["pid"]
        async with asyncio.timeout(SECONDS):
            while is_running(ended):
                await asyncio.sleep(0.05)
        assert _kept(idler) == ["desks", "logs", "run", "start.log"]
        assert is_running(kept)
        await asyncio.to_thread(holder.run, "exec", "--reset", "1")
    finally:
        holder.stop()
        idler.stop()


async def test_a_daemon_with_a_window_or_a_run_is_not_idle(fresh_station: Station) -> None:
    station = fresh_station
    station.environment["AGENT_IDLE_EXIT_SECONDS"] = "1"
    async with wire(station) as window:
        await window.initialize(station)
        pid = station.daemon_pid()
        assert pid is not None
        await window.send_command("execPython", "run", code="import time; time.sleep(2)")
        await window.event("run_started")
    # The window is gone, and its run is not.
    async with wire(station) as window:
        await window.initialize(station)
        assert (await window.command("status"))["result"]["pid"] == pid
        runs = (await window.command("listRuns"))["result"]["runs"]
        assert [run["status"] for run in runs] in (["running"], ["ok"])


async def test_a_second_serve_refuses_and_says_who_runs(fresh_station: Station) -> None:
    station = fresh_station
    async with serving(station) as first:
        for arguments in (("serve",), ("serve", "--detach")):
            done = await asyncio.to_thread(station.run, *arguments, check=1)
            assert f"runs already: pid {first.pid}" in done.stderr
            assert "Traceback" not in done.stderr
        assert station.result("status")["pid"] == first.pid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_daemon_cleanly(fresh_station: Station, number: signal.Signals) -> None:
    station = fresh_station
    async with serving(station) as daemon, wire(station) as window:
        await window.initialize(station)
        await window.command("execPython", "1", code="x = 1")
        workers = psutil.Process(daemon.pid).children(recursive=True)
        assert workers
        daemon.send_signal(number)
        assert await asyncio.wait_for(daemon.wait(), SECONDS) == 0
        _, alive = await asyncio.to_thread(psutil.wait_procs, workers, SECONDS)
        assert alive == []
        assert _kept(station) == ["desks", "logs", "run"]


async def test_what_a_killed_daemon_left_is_cleared_by_the_next(fresh_station: Station) -> None:
    station = fresh_station
    await asyncio.to_thread(station.run, "exec", "x = 1")
    pid = station.daemon_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(station.run, "exec", "x = 1")
    assert len(list((station.state / "run").iterdir())) == 1
    assert len(list(station.state.glob("*.sock"))) == 1
    await asyncio.to_thread(station.run, "stop")
    assert list((station.state / "run").iterdir()) == []


async def test_a_socket_that_was_passed_on_is_served_and_stays(fresh_station: Station) -> None:
    station = fresh_station
    station.state.mkdir(parents=True, mode=0o700)
    path = station.state / "activation.sock"
    async with wire(station) as window:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            listening.listen()
            opening = asyncio.create_task(window.initialize(station))
            await _readable(listening)
            daemon = await _activated(station, listening)
        assert "result" in await opening
        assert (await window.command("status"))["result"]["pid"] == daemon.pid == station.daemon_pid()
        assert list(station.state.glob("*.sock")) == [path]
        await asyncio.to_thread(station.run, "stop", "--now")
        assert await asyncio.wait_for(daemon.wait(), SECONDS) == 0
        assert path.exists()


async def _readable(listening: socket.socket) -> None:
    """Wait until somebody connects, as systemd does."""
    connected, loop = asyncio.Event(), asyncio.get_running_loop()
    loop.add_reader(listening, connected.set)
    await asyncio.wait_for(connected.wait(), SECONDS)
    loop.remove_reader(listening)


async def _activated(station: Station, listening: socket.socket) -> asyncio.subprocess.Process:
    """The daemon, started as systemd starts a service for its socket."""
    number = listening.fileno()
    script = (
        f"import os, sys; os.dup2({number}, 3); os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    words = (sys.executable, "-c", script, *station.command("serve"))
    return await asyncio.create_subprocess_exec(*words, env=station.environment, pass_fds=[number])


@asynccontextmanager
async def serving(station: Station) -> AsyncIterator[asyncio.subprocess.Process]:
    """`analystd serve` in the foreground, past the line that says where it listens."""
    daemon = await asyncio.create_subprocess_exec(
        *station.command("serve"), cwd=station.project, env=station.environment, stderr=asyncio.subprocess.PIPE
    )
    assert daemon.stderr is not None
    try:
        async with asyncio.timeout(SECONDS):
            while b"listens on" not in (line := await daemon.stderr.readline()) or line.startswith(b"20"):
                assert line, "the daemon ended"
        assert line.startswith(b"analystd ")
        yield daemon
    finally:
        if daemon.returncode is None:
            daemon.terminate()
        await daemon.wait()


def _daemons(station: Station) -> list[int]:
    """The daemons of this station that run, found as processes and not by what they say of themselves."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if words[-3:] == ["analystd", "serve", "--detach"] and _home(process) == str(station.home / "state"):
            found.append(process.pid)
    return found


def _home(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("XDG_STATE_HOME")
    except psutil.Error:
        return None


def _kept(station: Station) -> list[str]:
    return sorted(path.name for path in station.state.iterdir())


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
