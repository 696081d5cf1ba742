"""The watchdog sees each limit overstepped by a real process, says which and how far, and says it once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.jail.conftest import Jail

from analystd.jail.limits import Breach, Limits, find_breach, watch
from analystd.jail.processes import deleted_open_bytes, memory_bytes, process_tree
from analystd.jail.sizes import memory
from analystd.jail.workspace import Workspace

QUICK = Limits(interval_seconds=0.02, min_free_disk_gb=0.0)


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, min_free_ram_percent=0.0)


@contextmanager
def program(code: str, cwd: Path) -> Iterator[int]:
    """A program that has said that it is ready, and waits."""
    code += "\nprint('ready', flush=True); import sys; sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid
        process.communicate()


async def first_breach(pid: int, ws: Workspace, limits: Limits, runtime: Path | None = None) -> Breach:
    breaches: asyncio.Queue[Breach] = asyncio.Queue()
    async with watch(pid, ws, breaches.put_nowait, limits=limits, runtime=runtime):
        return await asyncio.wait_for(breaches.get(), 20)


def test_an_idle_program_oversteps_nothing(ws: Workspace) -> None:
    with program("pass", ws.root) as pid:
        assert find_breach(pid, ws, Limits(min_free_disk_gb=0.0)) is None


async def test_memory_of_children_counts(ws: Workspace) -> None:
    code = "import subprocess, sys\n"
    code += (
        "child = subprocess.Popen([sys.executable, '-c', 'x = bytearray(80_000_000); print(1, flush=True); input()'],"
    )
    code += "stdin=subprocess.PIPE, stdout=subprocess.PIPE)\nchild.stdout.readline()"
    total_percent = 100 * 50_000_000 / memory().total
    with program(code, ws.root) as pid:
        breach = await first_breach(pid, ws, Limits(memory_percent=total_percent, interval_seconds=0.02))
    assert breach.limit == "memory"
    assert breach.measured == pytest.approx(0.08, abs=0.03)
    assert breach.message.startswith("The session uses 0.1 GB of memory; its limit is 0.0 GB")


def test_memory_that_forked_processes_share_counts_once(ws: Workspace) -> None:
    code = "import os, time\nx = bytearray(os.urandom(1 << 20) * 100)\n"
    code += "for _ in range(4):\n    if os.fork() == 0:\n        os.read(0, 1); os._exit(0)\n"
    twice = Limits(min_free_disk_gb=0.0, memory_percent=100 * 250_000_000 / memory().total)
    with program(code, ws.root) as pid:
        assert memory_bytes(process_tree(pid)) > 400_000_000
        assert find_breach(pid, ws, twice) is None


async def test_too_many_processes_are_counted(ws: Workspace) -> None:
    code = "import subprocess\nfor _ in range(6): subprocess.Popen(['sleep', '3'])"
    with program(code, ws.root) as pid:
        breach = await first_breach(pid, ws, Limits(processes=5, interval_seconds=0.02))
    assert breach == Breach("processes", 7, "The session has 7 processes; its limit is 5. Start fewer at a time")


async def test_the_machines_free_memory_is_watched(tmp_path: Path) -> None:
    greedy = Workspace(tmp_path, min_free_ram_percent=100.0)
    with program("pass", tmp_path) as pid:
        breach = await first_breach(pid, greedy, QUICK)
    assert breach.limit == "free_ram"
    assert "at least 100% must be" in breach.message


async def test_a_full_disk_is_watched(ws: Workspace) -> None:
    with program("pass", ws.root) as pid:
        breach = await first_breach(pid, ws, Limits(min_free_disk_gb=1e9))
    assert breach.limit == "free_disk"


async def test_growth_of_the_workspace_is_watched(tmp_path: Path) -> None:
    small = Workspace(tmp_path, max_gb=0.001, min_free_ram_percent=0.0)
    with program("open('big', 'wb').write(bytes(3_000_000))", tmp_path) as pid:
        breach = await first_breach(pid, small, QUICK)
    assert (breach.limit, "its limit is 0.001 GB" in breach.message) == ("workspace", True)


async def test_a_deleted_file_that_is_still_open_counts(tmp_path: Path) -> None:
    small = Workspace(tmp_path, max_gb=0.001, min_free_ram_percent=0.0)
    code = "import os\nfile = open('big', 'wb', buffering=0)\nfile.write(bytes(3_000_000))\nos.unlink('big')"
    with program(code, tmp_path) as pid:
        assert deleted_open_bytes([pid], tmp_path) == pytest.approx(3_000_000, rel=0.01)
        assert (await first_breach(pid, small, QUICK)).limit == "workspace"


async def test_the_private_folder_counts(tmp_path: Path) -> None:
    for name in ("workspace", "runtime"):
        (tmp_path / name).mkdir()
    small = Workspace(tmp_path / "workspace", max_gb=0.001, min_free_ram_percent=0.0)
    with program("open('big', 'wb').write(bytes(3_000_000))", tmp_path / "runtime") as pid:
        assert (await first_breach(pid, small, QUICK, tmp_path / "runtime")).limit == "workspace"


def test_a_jailed_program_is_watched_through_its_launcher(jail: Jail) -> None:
    code = "x = bytearray(80_000_000); print('ready', flush=True); import time; time.sleep(60)"
    process = subprocess.Popen(
        jail.sandbox.command([sys.executable, "-c", code], jail.policy),
        env=jail.sandbox.environment(jail.policy),
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert memory_bytes(process_tree(process.pid)) > 80_000_000
        process.kill()


def test_a_deleted_file_in_the_jail_counts_too(jail: Jail) -> None:
    code = "import os, time\nfile = open('big', 'wb', buffering=0)\nfile.write(bytes(3_000_000))\nos.unlink('big')\n"
    process = subprocess.Popen(
        jail.sandbox.command([sys.executable, "-c", code + "print('ready', flush=True); time.sleep(60)"], jail.policy),
        env=jail.sandbox.environment(jail.policy),
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        held = deleted_open_bytes(process_tree(process.pid), jail.policy.workspace)
        assert held == pytest.approx(3_000_000, rel=0.01)
        process.kill()


async def test_the_watch_ends_with_its_block_and_calls_nobody_after(ws: Workspace) -> None:
    breaches: list[Breach] = []
    with program("pass", ws.root) as pid:
        async with watch(pid, ws, breaches.append, limits=QUICK):
            pass
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("watch-")] == []
    assert breaches == []


def test_a_process_that_has_ended_has_no_tree_and_no_memory() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert process_tree(process.pid) == []
    assert memory_bytes([process.pid]) == 0
