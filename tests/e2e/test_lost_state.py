"""What the daemon is found by is removed, replaced or moved while it runs: nobody is left alone with a daemon that cannot be reached."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.wires import SECONDS, wire
from tests.station import Station, is_running

from analystd.discovery.registry import Address, daemon_address


def _address(station: Station) -> Address:
    return Address(station.state, daemon_address().name)


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _remove_state(station: Station) -> None:
    shutil.rmtree(station.state)


def _move_state(station: Station) -> None:
    station.state.rename(station.home / "moved")


def _remove_lock(station: Station) -> None:
    _address(station).lock.unlink()


def _replace_lock(station: Station) -> None:
    _address(station).lock.unlink()
    _address(station).lock.touch()


@pytest.mark.parametrize("lose", [_remove_state, _move_state, _remove_lock, _replace_lock])
def test_a_daemon_whose_lock_is_not_its_own_any_more_ends_and_another_starts_at_once(
    fresh_station: Station, lose: Callable[[Station], None]
) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", "x = 1")
    old = station.daemon_pid()
    assert old is not None
    lose(station)
    # Unless the desk's lock is still there, the next daemon need not even wait for the end of this one.
    assert station.run("exec", "print('x' in globals())").stdout == "False\n"
    assert station.daemon_pid() != old
    _until(lambda: not is_running(old))
    assert station.run("exec", "6 * 7").stdout == "42\n"


async def test_before_it_ends_its_windows_hear_why_and_which_variables_end_with_it(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    async with wire(station) as window:
        await window.initialize(station)
        await window.command("execPython", "first", code="x = 1")
        _remove_state(station)
        text = (await window.event("worker_died"))["text"]
        assert text.startswith(f"The lock of this daemon, {_address(station).lock}, was removed or replaced")
        assert text.endswith("the variables of the Python session 'main' are lost")
        answer = await window.command("execPython", "second", code="'x' in globals()")
        while "error" in answer:
            assert answer["error"]["code"] in (4005, 4007)
            answer = await window.command("execPython", "again", code="'x' in globals()")
        assert answer["result"]["result"] == "False"


def test_the_log_says_why_it_ended(fresh_station: Station) -> None:
    station = fresh_station
    station.run("serve", "--detach")
    pid = station.daemon_pid()
    assert pid is not None
    _remove_lock(station)
    _until(lambda: not is_running(pid))
    assert "nobody can find this daemon any more, and it ends" in station.log.read_text()


def _without_card(address: Address) -> None:
    address.card.unlink()


def _with_another_card(address: Address) -> None:
    address.card.write_text('{"pid": 1, "version": "9.9.9", "protocol": 1, "token": "x", "socket": "/nowhere"}')


def _with_a_folder_for_a_card(address: Address) -> None:
    address.card.unlink()
    (address.card / "below").mkdir(parents=True)


def _without_socket(address: Address) -> None:
    address.socket.unlink()


def _with_another_socket(address: Address) -> None:
    address.socket.unlink()
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(address.socket))


def _with_a_file_for_a_socket(address: Address) -> None:
    address.socket.unlink()
    address.socket.touch()


@pytest.mark.parametrize(
    "damage",
    [
        _without_card,
        _with_another_card,
        _with_a_folder_for_a_card,
        _without_socket,
        _with_another_socket,
        _with_a_file_for_a_socket,
    ],
)
def test_a_card_or_socket_that_is_removed_or_replaced_is_put_back(
    fresh_station: Station, damage: Callable[[Address], None]
) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", "x = 41")
    pid = station.daemon_pid()
    damage(_address(station))
    assert station.run("exec", "print(x + 1)").stdout == "42\n"
    assert station.daemon_pid() == pid
    assert "has stopped" in station.run("stop").stdout


def test_sessions_go_on_when_the_runtime_folder_was_cleaned_away(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    station.run("exec", "x = 41")
    shutil.rmtree(station.state / "run")
    assert station.run("exec", "print(x + 1)").stdout == "42\n"
    assert station.run("exec", "--reset", "6 * 7").stdout == "42\n"
    assert station.run("exec", "--workspace", str(station.home / "other"), "6 * 7").stdout == "42\n"
    assert station.run("files", "--workspace", str(station.home / "other"), check=0).returncode == 0
    assert (station.state / "run").stat().st_mode & 0o077 == 0
    assert "has stopped" in station.run("stop").stdout


async def test_a_start_lock_that_is_removed_lets_no_second_daemon_start(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])

    async def start() -> int:
        process = await asyncio.create_subprocess_exec(
            *station.command("exec", "1"), env=station.environment, cwd=station.project
        )
        return await process.wait()

    async def remove() -> None:
        while True:
            (station.state / "start.lock").unlink(missing_ok=True)
            await asyncio.sleep(0.01)

    removing = asyncio.create_task(remove())
    assert await asyncio.gather(*(start() for _ in range(4))) == [0] * 4
    removing.cancel()
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and _is_daemon(path, station)]
    assert pids == [station.daemon_pid()]


def _is_daemon(process: Path, station: Station) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
        environment = (process / "environ").read_bytes()
    except OSError:
        return False
    return b"serve" in words and os.fsencode(str(station.home / "state")) in environment
