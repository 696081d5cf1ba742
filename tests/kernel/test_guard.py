"""Code that oversteps a limit is stopped with the guard's words, and the session goes on."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from analystd.kernel.base import Execution
from analystd.kernel.guard import Stop
from analystd.kernel.live import ignore_output
from analystd.kernel.provisioner import Launch
from analystd.kernel.session import UNGUARDED_SECONDS, KernelSession
from analystd.kernel.spare import SpareKernels

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLEEP = "import time\nprint('started', flush=True)\ntime.sleep(60)"
DEAF = "print('started', flush=True)\nwhile True:\n    try:\n        time.sleep(1)\n    except KeyboardInterrupt: pass"


@dataclass
class Watcher:
    """A guard that says when it is entered, and stops the code when a test says so."""

    pids: list[int] = field(default_factory=list)
    left: int = 0
    stop: Stop | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def __call__(self, pid: int, stop: Stop) -> AsyncIterator[None]:
        self.pids.append(pid)
        self.stop = stop
        self.entered.set()
        try:
            yield
        finally:
            self.left += 1

    async def stop_soon(self, message: str, *, tell_variables: bool = False) -> None:
        await asyncio.wait_for(self.entered.wait(), 20)
        self.entered.clear()
        assert self.stop is not None
        self.stop(message, tell_variables=tell_variables)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watcher() -> Watcher:
    return Watcher()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(launch: Launch, watcher: Watcher) -> AsyncIterator[Runner]:
    session = KernelSession(
        "main",
        launch.workspace,
        launch.runtime,
        launch.sandbox,
        guard=watcher,
        spares=SpareKernels(launch, refill_delay_seconds=3600),
    )
    yield Runner(session, [], [])
    await session.aclose()


async def stopped(guarded: Runner, watcher: Watcher, code: str, *, tell_variables: bool = False) -> Execution:
    """What came of code whose guard lost patience once it had printed something."""
    watcher.entered.clear()
    printed = asyncio.Event()
    task = asyncio.create_task(
        guarded.session.execute(code, timeout_seconds=60, on_output=lambda output: printed.set())
    )
    await asyncio.wait_for(printed.wait(), 20)
    await watcher.stop_soon("The jar is full; its limit is 3 biscuits", tell_variables=tell_variables)
    return await asyncio.wait_for(task, 20)


async def test_short_code_is_not_guarded(guarded: Runner, watcher: Watcher) -> None:
    await guarded("import time")
    executions = [await guarded("1") for _ in range(5)]
    # On a busy machine even such code may take its time.
    assert len(watcher.pids) <= sum(execution.seconds >= UNGUARDED_SECONDS for execution in executions)


async def test_the_guard_is_given_the_process_and_left_with_the_code(guarded: Runner, watcher: Watcher) -> None:
    await guarded(f"time.sleep({2 * UNGUARDED_SECONDS})")
    assert (watcher.pids[-1:], watcher.left) == ([guarded.session.info().pid], len(watcher.pids))


async def test_a_breach_is_a_limit_that_keeps_the_variables(guarded: Runner, watcher: Watcher) -> None:
    await guarded("kept = 7")
    execution = await stopped(guarded, watcher, SLEEP)
    assert execution.error is not None
    assert (execution.status, execution.stdout) == ("limit", "started\n")
    assert (execution.error.name, execution.error.line) == ("ResourceLimitError", 3)
    assert execution.error.message == (
        "The jar is full; its limit is 3 biscuits. "
        "The code was interrupted, and what it had started was ended; the variables are kept."
    )
    assert (await guarded("kept")).result == "7"
    assert watcher.left == len(watcher.pids)


async def test_code_that_goes_on_is_ended_with_its_kernel(guarded: Runner, watcher: Watcher) -> None:
    execution = await stopped(guarded, watcher, DEAF)
    assert execution.error is not None
    assert execution.status == "limit"
    assert execution.error.message.endswith("3 biscuits. The session's process was ended; all variables are lost.")
    execution = await guarded("import time\n'kept' in dir()")
    assert (execution.result, execution.stderr) == ("False", "")


async def test_what_the_code_had_started_ends_with_it(guarded: Runner, watcher: Watcher) -> None:
    code = (
        "import subprocess\nkept = 8\n"
        "print([subprocess.Popen(['setsid', 'sleep', '600']).pid for _ in range(3)], flush=True)\ntime.sleep(60)"
    )
    execution = await stopped(guarded, watcher, code)
    pids = [int(pid) for pid in execution.stdout.strip("[]\n").split(",")]
    assert len(pids) == 3
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
    assert (await guarded("kept")).result == "8"


async def test_a_breach_names_the_largest_variables_of_session_and_functions(guarded: Runner, watcher: Watcher) -> None:
    code = """
import numpy as np
prices = np.zeros(10_000_000)
def load():
    rows = [bytes(100_000) for _ in range(400)]
    print("started", flush=True)
    while True: pass
load()
"""
    execution = await stopped(guarded, watcher, code, tell_variables=True)
    assert execution.error is not None
    told = "The largest are prices (numpy.ndarray, 80 MB), rows in load() (list, 40 MB)."
    assert execution.error.message.endswith(told)


async def test_what_an_interrupted_function_had_gathered_is_freed(guarded: Runner, watcher: Watcher) -> None:
    before = guarded.session.info().memory_bytes
    await stopped(guarded, watcher, "def load():\n    rows = bytearray(300_000_000)\n" + _inner(SLEEP) + "\nload()")
    after = guarded.session.info().memory_bytes
    assert before is not None
    assert after is not None
    assert after - before < 100e6


async def test_stopping_when_nothing_runs_does_nothing(guarded: Runner) -> None:
    guarded.session.stop_for("too late")
    assert (await guarded("1 + 1")).result == "2"


async def test_a_breach_without_a_guard_works_too(run: Runner) -> None:
    printed = asyncio.Event()
    task = asyncio.create_task(run.session.execute(SLEEP, timeout_seconds=60, on_output=lambda output: printed.set()))
    await asyncio.wait_for(printed.wait(), 20)
    run.session.stop_for("Enough")
    run.session.stop_for("Enough again")
    execution = await task
    assert execution.error is not None
    assert execution.error.message.startswith("Enough. ")


async def test_a_timeout_is_still_one(guarded: Runner, watcher: Watcher) -> None:
    execution = await guarded("time.sleep(60)", timeout_seconds=0.3)
    assert execution.error is not None
    assert (execution.status, execution.error.name) == ("limit", "TimeoutError")
    assert watcher.left == len(watcher.pids)


async def test_cancelling_leaves_the_guard(guarded: Runner, watcher: Watcher) -> None:
    watcher.entered.clear()
    task = asyncio.create_task(guarded("time.sleep(60)"))
    await asyncio.wait_for(watcher.entered.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watcher.left == len(watcher.pids)


async def test_a_guard_that_fails_is_heard_and_the_session_goes_on(launch: Launch) -> None:
    @contextlib.asynccontextmanager
    async def broken(pid: int, stop: Stop) -> AsyncIterator[None]:
        Path("/no/eyes").stat()
        yield

    session = KernelSession("main", launch.workspace, launch.runtime, launch.sandbox, guard=broken)
    with pytest.raises(OSError, match="/no/eyes"):
        await session.execute("import time; time.sleep(60)", timeout_seconds=60, on_output=ignore_output)
    execution = await session.execute("1 + 1", timeout_seconds=30, on_output=ignore_output)
    assert execution.result == "2"
    await session.aclose()


async def test_the_largest_variables_are_told_in_order(run: Runner) -> None:
    code = """
import collections, numpy as np, pandas as pd
class Model:
    def __init__(self): self.weights = np.zeros(1_000_000)
    def __sizeof__(self): raise RuntimeError("no")
    def __getattr__(self, name): raise RuntimeError("no")
model = Model()
table = pd.DataFrame({"close": np.zeros(4_000_000)})
by_name = {str(i): bytes(10_000) for i in range(2_000)}
same = alias = [bytes(1_000_000)] * 5_000
small = 1
"""
    await run("%reset")
    await run(code)
    told = [(variable.name, variable.type) for variable in await run.session.largest_variables()]
    assert told == [
        ("table", "pandas.DataFrame"),
        ("by_name", "dict"),
        ("model", "Model"),
        ("same", "list"),
        ("small", "int"),
    ]
    sizes = [variable.memory_bytes or 0 for variable in await run.session.largest_variables(4)]
    assert sizes == pytest.approx([32e6, 20e6, 8e6, 1e6], rel=0.1)


async def test_a_session_without_a_kernel_has_no_largest_variables(launch: Launch) -> None:
    session = KernelSession("main", launch.workspace, launch.runtime, launch.sandbox)
    assert await session.largest_variables() == ()
    await session.aclose()


async def test_a_kernel_that_does_not_answer_leaves_what_was_known(run: Runner) -> None:
    await run("%reset\nbig = bytearray(5_000_000)\nlittle = 1")
    await run.session.variables()
    pid = run.session.info().pid
    assert pid is not None
    os.kill(pid, 19)
    try:
        assert [variable.name for variable in await run.session.largest_variables(1)] == ["big"]
    finally:
        os.kill(pid, 18)
    assert (await run("1 + 1")).result == "2"


def _inner(code: str) -> str:
    return "\n".join("    " + line for line in code.splitlines())
