"""While no code runs, limits hold all the same: for what earlier code left running, in processes and in threads, behind the real walls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from tests.kernel.conftest import Runner, ignore_output

from analystd.jail.limits import SessionLimits
from analystd.jail.process_tree import is_dead, process_tree
from analystd.jail.resource_usage import memory
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.workspace import GIGABYTE, Workspace
from analystd.kernel.base import Execution, Trouble
from analystd.kernel.launch import Launch
from analystd.kernel.resource_guard import watchdog
from analystd.kernel.session import KernelSession
from analystd.kernel.warm_kernel import WarmKernels

pytestmark = pytest.mark.asyncio(loop_scope="module")

DISK_BYTES = 50_000_000
MEMORY_BYTES = 600_000_000
PROCESSES = 40

KEEP = "import os, subprocess, sys, threading, time\nkept = 1\n"
FILL = "f = open('fill', 'wb')\nfor _ in range(300): f.write(bytes(1_000_000)); f.flush(); time.sleep(0.005)\ntime.sleep(60)"
FORK = "for _ in range(200): subprocess.Popen(['sleep', '60']); time.sleep(0.005)\ntime.sleep(60)"
EAT = "x = []\nwhile True: x.append(b'x' * 10_000_000); time.sleep(0.01)"
THREADS = "for _ in range(300): threading.Thread(target=time.sleep, args=[60], daemon=True).start()\ntime.sleep(60)"


@dataclass
class Watched(Runner):
    """A session behind walls, under the eyes of a watchdog with small limits."""

    workspace: Workspace
    troubles: list[Trouble]

    async def trouble(self) -> Trouble:
        """What happens while no code runs."""
        async with asyncio.timeout(30):
            while not self.troubles:
                await asyncio.sleep(0.02)
        return self.troubles.pop(0)

    def running(self) -> int:
        """How many processes the session has, those aside that only wait to be buried."""
        return sum(not is_dead(pid) for pid in process_tree(self.session.info().pid or 0))

    async def quiet(self) -> None:
        """Wait until the watchdog has looked some times more, and nothing has happened."""
        await asyncio.sleep(1.0)
        assert self.troubles == []


@pytest_asyncio.fixture(loop_scope="module")
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    for name in ("workspace", "runtime"):
        (tmp_path / name).mkdir()
    sandbox = await measure_sandbox("auto")
    workspace = Workspace(tmp_path / "workspace", max_gb=DISK_BYTES / GIGABYTE, min_free_ram_percent=0.0)
    limits = SessionLimits(
        memory_percent=100 * MEMORY_BYTES / memory().total,
        processes=PROCESSES,
        threads=200,
        min_free_disk_gb=0.0,
        interval_seconds=0.05,
        idle_seconds=0.2,
    )
    launch = Launch(tmp_path / "workspace", tmp_path / "runtime", sandbox)
    guard = watchdog(workspace, limits=limits, runtime=launch.runtime)
    troubles: list[Trouble] = []
    session = KernelSession(
        "main",
        launch.workspace,
        launch.runtime,
        sandbox,
        spares=WarmKernels(launch, guard=guard, refill_delay_seconds=3600),
        grace_seconds=1.0,
        on_trouble=troubles.append,
    )
    runner = Watched(session, [], [], workspace, troubles)
    assert (await runner(KEEP)).status == "ok"
    yield runner
    await session.aclose()


def in_child(code: str) -> str:
    """Code that leaves other code running in a process of its own, out of the session's group."""
    return f"subprocess.Popen([sys.executable, '-c', {KEEP + code!r}], start_new_session=True);"


def in_thread(code: str) -> str:
    """Code that leaves other code running in a thread of the session."""
    return f"threading.Thread(target=exec, args=[{code!r}, dict(globals())], daemon=True).start()"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (FILL, "; its limit is 0.0465661 GB. Delete files"),
        (FORK, f"processes; its limit is {PROCESSES}"),
        (EAT, "GB of memory; its limit is 0.6 GB"),
        (THREADS, " threads in 4 processes; its limit is 200"),
    ],
)
async def test_a_child_that_exceeds_a_limit_is_killed_and_the_variables_are_kept(
    watched: Watched, code: str, words: str
) -> None:
    assert (await watched(in_child(code))).status == "ok"
    trouble = await watched.trouble()
    assert trouble.kind == "limit"
    assert words in trouble.text
    assert trouble.text.endswith("processes left by earlier code were killed; the variables are kept.")
    await watched.quiet()
    execution = await watched("kept")
    assert (execution.result, execution.stderr.splitlines()[0]) == ("1", f"[Since the last run: {trouble.text}]")
    assert watched.running() == 3


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (FILL, "; its limit is 0.0465661 GB. Delete files"),
        (EAT, "GB of memory; its limit is 0.6 GB"),
        (THREADS, " threads in 3 processes; its limit is 200"),
    ],
)
async def test_a_thread_that_exceeds_a_limit_ends_the_session_with_a_report(
    watched: Watched, code: str, words: str
) -> None:
    assert (await watched(in_thread(code))).status == "ok"
    trouble = await watched.trouble()
    assert trouble.kind == "limit"
    assert words in trouble.text
    assert trouble.text.endswith("all variables are lost.")
    execution = await watched("'kept' in dir()")
    assert execution.result == "False"
    assert "all variables are lost" in execution.stderr


async def test_files_that_somebody_else_puts_there_end_nothing(watched: Watched) -> None:
    assert (await watched(in_child("time.sleep(60)"))).status == "ok"
    # Until it sleeps it may be the one who does it.
    await watched.quiet()
    (watched.workspace.root / "gift").write_bytes(bytes(DISK_BYTES + 10_000_000))
    await watched.quiet()
    assert watched.running() == 4


async def test_code_may_delete_what_is_too_much_but_not_add_to_it(watched: Watched) -> None:
    (watched.workspace.root / "gift").write_bytes(bytes(DISK_BYTES + 10_000_000))
    execution = await over(
        watched, "f = open('more', 'wb')\nwhile True: f.write(bytes(1_000_000)); f.flush(); time.sleep(0.02)"
    )
    assert (execution.status, execution.error and execution.error.name) == ("limit", "ResourceLimitError")
    assert (watched.workspace.root / "more").stat().st_size < DISK_BYTES
    execution = await over(watched, "time.sleep(0.5)\nos.remove('gift'); os.remove('more'); kept")
    assert (execution.status, execution.result) == ("ok", "1")
    watched.workspace.check_resources()


async def test_after_a_limit_of_memory_variables_can_be_deleted(watched: Watched) -> None:
    execution = await watched("x = []\nwhile True: x.append(b'x' * 10_000_000); time.sleep(0.005)")
    assert execution.status == "limit"
    await watched.quiet()
    execution = await watched("time.sleep(0.5); del x; kept")
    assert (execution.status, execution.result) == ("ok", "1")
    await watched.quiet()


async def test_a_spare_that_exceeds_a_limit_is_killed_and_replaced(watched: Watched) -> None:
    launch = Launch(watched.workspace.root, watched.workspace.root.parent / "runtime", await measure_sandbox("auto"))
    little = SessionLimits(memory_percent=100 * 1_000_000 / memory().total, min_free_disk_gb=0.0, interval_seconds=0.05)
    spares = WarmKernels(launch, guard=watchdog(watched.workspace, limits=little), refill_delay_seconds=0)
    spares.refill()
    async with asyncio.timeout(60):
        while await spares.ready():
            await asyncio.sleep(0.05)
    await spares.aclose()


async def over(watched: Watched, code: str) -> Execution:
    """What came of code that began when a limit was overstepped already."""
    return await watched.session.execute(
        code, timeout_seconds=30, on_output=ignore_output, overstepped="The workspace is full"
    )
