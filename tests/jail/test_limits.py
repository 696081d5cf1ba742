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

from analystd.jail.held import held_files
from analystd.jail.limits import Breach, SessionLimits, Watched
from analystd.jail.process_tree import is_dead, memory_bytes, process_tree
from analystd.jail.resource_usage import memory
from analystd.jail.watchdog import Watchdog
from analystd.jail.workspace import Workspace

QUICK = SessionLimits(interval_seconds=0.02, min_free_disk_gb=0.0)


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


def find_breach(pid: int, ws: Workspace, limits: SessionLimits) -> Breach | None:
    """The most urgent limit that a program exceeds now."""
    return next(iter(Watched(pid, ws, limits).look().breaches), None)


async def first_breach(pid: int, ws: Workspace, limits: SessionLimits, runtime: Path | None = None) -> Breach:
    breaches: asyncio.Queue[Breach] = asyncio.Queue()
    watchdog = Watchdog(pid, ws, breaches.put, limits=limits, runtime=runtime)
    watchdog.begin()
    try:
        return await asyncio.wait_for(breaches.get(), 20)
    finally:
        await watchdog.aclose()


def test_an_idle_program_exceeds_no_limit(ws: Workspace) -> None:
    with program("pass", ws.root) as pid:
        assert find_breach(pid, ws, SessionLimits(min_free_disk_gb=0.0)) is None


async def test_memory_of_children_counts(ws: Workspace) -> None:
    code = "import subprocess, sys\n"
    code += (
        "child = subprocess.Popen([sys.executable, '-c', 'x = bytearray(80_000_000); print(1, flush=True); input()'],"
    )
    code += "stdin=subprocess.PIPE, stdout=subprocess.PIPE)\nchild.stdout.readline()"
    total_percent = 100 * 50_000_000 / memory().total
    with program(code, ws.root) as pid:
        breach = await first_breach(pid, ws, SessionLimits(memory_percent=total_percent, interval_seconds=0.02))
    assert breach.limit == "memory"
    assert breach.measured == pytest.approx(0.08, abs=0.03)
    assert breach.message.startswith("The session uses 0.1 GB of memory; its limit is 0.0 GB")


def test_memory_that_forked_processes_share_counts_once(ws: Workspace) -> None:
    code = "import os, time\nx = bytearray(os.urandom(1 << 20) * 100)\n"
    code += "for _ in range(4):\n    if os.fork() == 0:\n        os.read(0, 1); os._exit(0)\n"
    twice = SessionLimits(min_free_disk_gb=0.0, memory_percent=100 * 250_000_000 / memory().total)
    with program(code, ws.root) as pid:
        assert memory_bytes(process_tree(pid)) > 400_000_000
        assert find_breach(pid, ws, twice) is None


async def test_too_many_processes_are_counted(ws: Workspace) -> None:
    code = "import subprocess\nfor _ in range(6): subprocess.Popen(['sleep', '3'])"
    with program(code, ws.root) as pid:
        breach = await first_breach(pid, ws, SessionLimits(processes=5, interval_seconds=0.02))
    assert breach == Breach("processes", 7, "The session has 7 processes; its limit is 5. Start fewer at a time")


async def test_the_machines_free_memory_is_watched(tmp_path: Path) -> None:
    greedy = Workspace(tmp_path, min_free_ram_percent=100.0)
    with program("pass", tmp_path) as pid:
        breach = await first_breach(pid, greedy, QUICK)
    assert breach.limit == "free_ram"
    assert "at least 100% must be" in breach.message


async def test_a_full_disk_is_watched(ws: Workspace) -> None:
    with program("pass", ws.root) as pid:
        breach = await first_breach(pid, ws, SessionLimits(min_free_disk_gb=1e9))
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
        assert held_files([pid], tmp_path.stat().st_dev).disk_bytes == pytest.approx(3_000_000, rel=0.01)
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
        held = held_files(process_tree(process.pid), jail.policy.workspace.stat().st_dev).disk_bytes
        assert held == pytest.approx(3_000_000, rel=0.01)
        process.kill()


def test_a_process_that_has_ended_has_no_tree_and_no_memory() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert process_tree(process.pid) == []
    assert memory_bytes([process.pid]) == 0


def test_a_deleted_file_that_is_only_mapped_counts(tmp_path: Path) -> None:
    code = (
        "import mmap, os\nfile = open('big', 'w+b', buffering=0)\nfile.write(bytes(3_000_000))\n"
        "view = mmap.mmap(file.fileno(), 3_000_000)\nfile.close()\nos.unlink('big')\n"
        # mmap keeps a descriptor of its own; C code does not.
        "import ctypes; [os.close(n) for n in range(3, 20) if os.path.exists(f'/proc/self/fd/{n}')]"
    )
    with program(code, tmp_path) as pid:
        held = held_files([pid], tmp_path.stat().st_dev)
        # Only root may ask how large a mapped file is; for others it is one whose size is not known.
        assert held.unmeasured or held.disk_bytes == pytest.approx(3_000_000, rel=0.01)


def test_a_descriptor_of_one_thread_alone_is_found(tmp_path: Path) -> None:
    code = (
        "import ctypes, os, threading\nready = threading.Event()\n"
        "def hide():\n"
        "    ctypes.CDLL(None).unshare(0x400)\n"
        "    descriptor = os.open('big', os.O_CREAT | os.O_RDWR); os.write(descriptor, bytes(3_000_000)); os.unlink('big')\n"
        "    ready.set(); threading.Event().wait()\n"
        "threading.Thread(target=hide, daemon=True).start(); ready.wait()"
    )
    with program(code, tmp_path) as pid:
        assert held_files([pid], tmp_path.stat().st_dev).disk_bytes == pytest.approx(3_000_000, rel=0.01)


async def test_a_deleted_file_on_its_way_through_a_socket_counts(tmp_path: Path) -> None:
    small = Workspace(tmp_path, max_gb=0.05, min_free_ram_percent=0.0)
    code = (
        "import os, socket, threading, time\nnear, far = socket.socketpair()\nfile = open('big', 'wb', buffering=0)\nos.unlink('big')\n"
        "def fill():\n"
        "    time.sleep(0.5)\n"
        "    for _ in range(100): file.write(bytes(1_000_000))\n"
        "    socket.send_fds(near, [b'x'], [file.fileno()]); file.close()\n"
        "threading.Thread(target=fill).start()"
    )
    with program(code, tmp_path) as pid:
        breach = await first_breach(pid, small, QUICK)
    assert breach.limit == "workspace"


def test_files_kept_in_a_socket_are_detected_by_the_growth_of_the_disk(tmp_path: Path) -> None:
    small = Workspace(tmp_path, max_gb=0.05, min_free_ram_percent=0.0)
    code = (
        "import os, socket\nnear, far = socket.socketpair()\nfile = open('big', 'wb', buffering=0)\n"
        "sys = __import__('sys'); print('ready', flush=True); sys.stdin.readline()\n"
        "file.write(bytes(100_000_000)); os.unlink('big'); os.fsync(file.fileno())\n"
        "socket.send_fds(near, [b'x'], [file.fileno()]); file.close()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code + "\nprint('sent', flush=True); sys.stdin.read()"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        watched = Watched(process.pid, small, QUICK)
        assert watched.look().breaches == ()
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "sent\n"
        assert held_files([process.pid], tmp_path.stat().st_dev).unmeasured
        looks = [watched.look() for _ in range(3)]
        assert [breach.limit for breach in looks[-1].breaches] == ["workspace"]
        assert looks[-1].size == pytest.approx(100_000_000, rel=0.3)
        process.communicate()


def test_memory_files_count_as_memory(ws: Workspace) -> None:
    code = "import os\nos.write(os.memfd_create('x'), bytes(60_000_000))"
    little = SessionLimits(min_free_disk_gb=0.0, memory_percent=100 * 50_000_000 / memory().total)
    with program(code, ws.root) as pid:
        breach = find_breach(pid, ws, little)
    assert breach is not None
    assert breach.limit == "memory"
    assert breach.measured == pytest.approx(0.07, abs=0.02)


async def test_too_many_threads_are_counted_as_such(ws: Workspace) -> None:
    code = "import threading\nfor _ in range(80): threading.Thread(target=threading.Event().wait, daemon=True).start()"
    with program(code, ws.root) as pid:
        breach = await first_breach(pid, ws, SessionLimits(threads=70, interval_seconds=0.02, min_free_disk_gb=0.0))
    assert breach.message == "The session has 81 threads in 1 processes; its limit is 70. Start fewer at a time"


def test_a_process_whose_first_thread_has_ended_is_neither_dead_nor_small(ws: Workspace) -> None:
    code = (
        "import ctypes, platform, threading, time\nexit = {'x86_64': 60}.get(platform.machine(), 93)\n"
        "def go_on():\n    x = bytearray(80_000_000); time.sleep(0.2); print('ready', flush=True); time.sleep(60)\n"
        "threading.Thread(target=go_on).start()\nctypes.CDLL(None).syscall(exit, 0)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ws.root, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert "Z (zombie)" in Path(f"/proc/{process.pid}/status").read_text()
        assert not is_dead(process.pid)
        assert memory_bytes([process.pid]) > 80_000_000
        process.kill()
    assert is_dead(process.pid)
