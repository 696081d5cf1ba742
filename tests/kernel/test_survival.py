"""Whatever code does, at each level of walls: the session lives on, the next cell works, and nothing outside has changed."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from analystd.jail.limits import SessionLimits
from analystd.jail.process_tree import process_tree
from analystd.jail.resource_usage import memory
from analystd.jail.sandbox import LEVELS, Level, Sandbox, measure_level
from analystd.jail.workspace import GIGABYTE, Workspace
from analystd.kernel.base import Execution, RaisedError
from analystd.kernel.launch import Launch
from analystd.kernel.resource_guard import watchdog
from analystd.kernel.session import KernelSession
from analystd.kernel.warm_kernel import WarmKernels

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMORY_BYTES = 600e6
DISK_GB = 0.05
PROCESSES = 40

Fingerprint = dict[str, tuple[int, int, int, bytes]]

# Who starts the tests in the background has them ignore it; what matters is that no session changes it.
SIGINT_IGNORED_BEFORE = signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@dataclass
class Jailed(Runner):
    """A guarded session behind walls, and a folder outside of them."""

    sandbox: Sandbox
    outside: Path
    limits: Workspace

    def strays(self) -> list[psutil.Process]:
        """Processes of the workspace that are no part of the session."""
        pid = self.session.info().pid
        own = process_tree(pid) if pid is not None else []
        return [each for each in psutil.process_iter() if each.pid not in own and _works_in(each, self.workspace)]

    @property
    def workspace(self) -> Path:
        return self.outside.parent / "workspace"


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=LEVELS)
async def jailed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Jailed]:
    level: Level = request.param
    sandbox = await measure_level(level)
    if sandbox.level == "none":
        pytest.skip(sandbox.reason)
    base = tmp_path_factory.mktemp("base")
    for name in ("workspace", "runtime", "outside"):
        (base / name).mkdir()
    (base / "outside/secret").write_text("secret")
    (base / "outside/folder").mkdir()
    (base / "outside/folder/program").write_text("#!/bin/sh\n")
    (base / "outside/folder/program").chmod(0o755)
    workspace = Workspace(base / "workspace", max_gb=DISK_GB, min_free_ram_percent=0.0)
    limits = SessionLimits(
        memory_percent=100 * MEMORY_BYTES / memory().total,
        processes=PROCESSES,
        min_free_disk_gb=0.0,
        interval_seconds=0.05,
    )
    launch = Launch(base / "workspace", base / "runtime", sandbox)
    session = KernelSession(
        "main",
        launch.workspace,
        launch.runtime,
        sandbox,
        spares=WarmKernels(
            launch, guard=watchdog(workspace, limits=limits, runtime=launch.runtime), refill_delay_seconds=3600
        ),
        grace_seconds=1.0,
    )
    runner = Jailed(session, [], [], sandbox, base / "outside", workspace)
    yield runner
    await session.aclose()
    await none_left(runner)


@pytest.fixture(autouse=True)
def nothing_outside_changes(request: pytest.FixtureRequest) -> Iterator[None]:
    jailed: Jailed = request.getfixturevalue("jailed")
    before = fingerprint(jailed.outside)
    yield
    assert fingerprint(jailed.outside) == before


def fingerprint(folder: Path) -> Fingerprint:
    """Mode, owner, time of change and content of all that is in a folder."""
    return {
        str(path): (status.st_mode, status.st_uid, status.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
        for status in [path.lstat()]
    }


async def survived(jailed: Jailed, code: str, timeout_seconds: float = 60) -> Execution:
    """What came of the code, after which the session must be in working order."""
    execution = await jailed(code, timeout_seconds)
    after = await jailed("import os\nprint('on'); 1 + 1")
    assert (after.status, after.stdout, after.result) == ("ok", "on\n", "2")
    return execution


async def none_left(jailed: Jailed) -> None:
    async with asyncio.timeout(60):
        while jailed.strays():
            await asyncio.sleep(0.02)


def breach_of(execution: Execution) -> str:
    assert execution.error is not None
    assert (execution.status, execution.error.name) == ("limit", "ResourceLimitError")
    return execution.error.message


def error_of(execution: Execution) -> RaisedError:
    assert execution.error is not None
    return execution.error


@pytest.mark.parametrize(
    "bomb",
    [
        "kept = [bytearray(5_000_000)]\nwhile True: kept.append(bytearray(5_000_000))",
        "import numpy as np\nkept = []\nwhile True: kept.append(np.ones(2_000_000))",
        "def load():\n    text = 'x' * 1000\n    while True: text += text[:5_000_000]\nload()",
    ],
)
async def test_a_memory_bomb_is_stopped_and_named(jailed: Jailed, bomb: str) -> None:
    execution = await survived(jailed, bomb)
    assert "of memory; its limit is 0.6 GB" in breach_of(execution)
    # What only a function holds is gone with it: it is named if the session answered before it was interrupted.
    if "variables are kept" in breach_of(execution) and "kept" in bomb:
        assert "The largest are " in breach_of(execution)
    await jailed("%reset")


async def test_a_memory_bomb_of_children_is_stopped(jailed: Jailed) -> None:
    code = """
import subprocess, sys
bomb = "x = [bytearray(200_000_000)]; import time; time.sleep(60)"
children = [subprocess.Popen([sys.executable, "-c", bomb]) for _ in range(4)]
[child.wait() for child in children]
"""
    assert "of memory; its limit is 0.6 GB" in breach_of(await survived(jailed, code))
    await none_left(jailed)


async def test_a_fork_bomb_is_stopped(jailed: Jailed) -> None:
    # It ends by itself too, for the sake of the machine that runs a failing test.
    code = """
import os, time
end = time.monotonic() + 10
while time.monotonic() < end:
    try:
        os.fork()
    except OSError:
        time.sleep(0.01)
"""
    # Of forked processes the memory is counted for each, so that either limit may be the first.
    assert "its limit is" in breach_of(await survived(jailed, code))
    await none_left(jailed)


async def test_a_bomb_of_detached_processes_is_stopped(jailed: Jailed) -> None:
    code = """
import subprocess, time
end = time.monotonic() + 10
while time.monotonic() < end:
    subprocess.Popen("setsid sleep 60 &", shell=True)
"""
    assert f"processes; its limit is {PROCESSES}" in breach_of(await survived(jailed, code))
    await none_left(jailed)


@pytest.mark.parametrize("keep", ["", "os.unlink('big')\n"], ids=["named", "deleted"])
async def test_a_disk_bomb_is_stopped(jailed: Jailed, keep: str) -> None:
    code = f"""
import os, time
def fill():
    with open("big", "wb", buffering=0) as file:
        {keep}
        end = time.monotonic() + 10
        while time.monotonic() < end and file.tell() < 2_000_000_000:
            file.write(bytes(1_000_000))
            time.sleep(0.002)
fill()
"""
    assert "its limit is 0.05 GB" in breach_of(await survived(jailed, code))
    (jailed.workspace / "big").unlink(missing_ok=True)
    async with asyncio.timeout(30):
        # The size that is told may be a second old.
        while jailed.limits.size_bytes() > DISK_GB * GIGABYTE:
            await asyncio.sleep(0.05)


async def test_shared_memory_counts_where_it_is_the_sessions_own(jailed: Jailed) -> None:
    if jailed.sandbox.level != "full":
        pytest.skip("at this level /dev/shm is the machine's, and the free memory is what is watched")
    if psutil.virtual_memory().available < 4e9:
        pytest.skip("too little memory to fill a gigabyte of it")
    code = """
import os, time
try:
    with open("/dev/shm/big", "wb", buffering=0) as file:
        while True: file.write(bytes(1 << 24)); time.sleep(0.02)
finally:
    os.unlink("/dev/shm/big")
"""
    assert "of memory; its limit is" in breach_of(await survived(jailed, code))


@pytest.mark.parametrize(
    "loop",
    [
        "sum(iter(int, 1))",
        "import collections, itertools\ncollections.deque(itertools.repeat(1), maxlen=0)",
        "10 ** 10 ** 9",
    ],
)
async def test_a_loop_in_c_that_hears_no_interrupt_ends_in_time(jailed: Jailed, loop: str) -> None:
    execution = await survived(jailed, loop, timeout_seconds=0.5)
    assert execution.status == "limit", execution
    assert "The code ran longer than 0.5 s" in error_of(execution).message


async def test_a_regular_expression_without_end_is_interrupted(jailed: Jailed) -> None:
    await jailed("kept = 1")
    execution = await survived(jailed, "import re\nre.match('(a+)+b', 'a' * 60)", timeout_seconds=0.5)
    assert error_of(execution).message.endswith("the variables are kept.")
    assert (await jailed("kept")).result == "1"


@pytest.mark.parametrize(
    ("death", "told"),
    [
        ("import os; os._exit(3)", "ended with exit status 3"),
        ("import ctypes; ctypes.string_at(0)", "was ended by SIGSEGV"),
        ("import os; os.abort()", "was ended by SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"),
        ("import os, signal; os.killpg(0, signal.SIGTERM); import time; time.sleep(5)", "was ended by SIGTERM"),
        ("import resource, os; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass", "was ended by SIG"),
    ],
)
async def test_a_death_is_told_and_survived(jailed: Jailed, death: str, told: str) -> None:
    execution = await survived(jailed, death)
    assert execution.status == "died"
    assert told in error_of(execution).message


async def test_killing_everybody_kills_nobody_outside(jailed: Jailed) -> None:
    """Tried first with a signal that would do nobody harm."""
    if any("signals reach" in gap for gap in jailed.sandbox.gaps):
        pytest.skip("at this level this machine lets signals out")
    watcher = (
        "import signal, sys\nsignal.signal(signal.SIGWINCH, lambda *_: print('reached', flush=True))\n"
        "print('ready', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", watcher], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as outside:
        assert outside.stdout is not None
        assert outside.stdout.readline() == "ready\n"
        everybody = "import os, signal\ntry:\n    os.kill(-1, {})\nexcept OSError: pass"
        await survived(jailed, everybody.format("signal.SIGWINCH"))
        assert select.select([outside.stdout], [], [], 0.2)[0] == []
        await survived(jailed, everybody.format("signal.SIGKILL"))
        assert outside.poll() is None
        assert outside.communicate(timeout=10)[0] == ""


@pytest.mark.parametrize(
    "mischief",
    [
        "input('? ')",
        "import sys; sys.stdout.close(); sys.stderr.close(); sys.stdin.close()",
        "import os; [os.close(n) for n in (0, 1, 2)]",
        "import sys; sys.stdout = sys.stderr = sys.__stdout__ = None",
        "import builtins; builtins.print = builtins.len = builtins.open = builtins.repr = None",
        "import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone')",
        "import os; os.chdir('/')",
        "%reset",
        "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]",
        "import sys; sys.setrecursionlimit(120)",
        "import sys; sys.settrace(None); sys.modules.pop('json', None)",
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))",
        "import gc; gc.disable(); import sys; sys.meta_path.clear()",
        "import os\nfor name in os.listdir('.'): os.path.isfile(name) and os.unlink(name)",
        "import os, shutil; shutil.rmtree(os.environ['IPYTHONDIR'], ignore_errors=True)",
        "import logging; logging.disable(); import asyncio; asyncio.get_event_loop().set_debug(True)",
        "raise SystemExit(1)",
        "def deeper(n): return deeper(n + 1)\ndeeper(0)",
        "import threading\nfor _ in range(50): threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import atexit; atexit.register(lambda: 1 / 0)",
        "import subprocess; left = [subprocess.Popen(['sleep', '600']) for _ in range(3)]",
    ],
)
async def test_mischief_is_survived(jailed: Jailed, mischief: str) -> None:
    await survived(jailed, mischief)
    await jailed("import os; os.chdir(os.environ['HOME'])")


async def test_permissions_are_restored_on_folders_that_code_has_closed(jailed: Jailed) -> None:
    code = "import os\nfor name in ('HOME', 'JUPYTER_RUNTIME_DIR'): os.chmod(os.environ[name], 0)\nos._exit(0)"
    assert (await survived(jailed, code)).status == "died"
    assert (await jailed("open('mine', 'w').close(); 'mine' in os.listdir()")).result == "True"
    (jailed.workspace / "mine").unlink()


async def test_hundreds_of_megabytes_of_output_end_in_time(jailed: Jailed) -> None:
    code = "import os\nfor _ in range(5_000): os.write(1, b'y' * 65_536)\nprint('last')"
    execution = await survived(jailed, code, timeout_seconds=60)
    assert execution.status == "ok"
    assert execution.truncated
    assert execution.stdout.endswith("last\n")
    assert len(execution.stdout) < 1.2e6


async def test_output_after_the_cell_and_what_is_left_behind_end_with_the_session(jailed: Jailed) -> None:
    code = """
import subprocess, threading, time
def talk():
    while True:
        print("still here")
        time.sleep(0.01)
threading.Thread(target=talk).start()
subprocess.Popen("while true; do echo child; sleep 0.05; done", shell=True, start_new_session=True)
"""
    await survived(jailed, code)
    assert (await jailed("time.sleep(0.3); 5")).result == "5"
    await jailed.session.reset()
    await none_left(jailed)
    assert (await jailed("2 + 2")).result == "4"


async def test_the_owner_was_never_in_danger(jailed: Jailed) -> None:
    assert (await jailed("6 * 7")).result == "42"
    assert os.getpid() == psutil.Process().pid
    assert (signal.getsignal(signal.SIGINT) is signal.SIG_IGN) == SIGINT_IGNORED_BEFORE
    info = jailed.session.info()
    assert (info.name, info.state) == ("main", "idle")


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(str(folder))
    except psutil.Error:
        return False
