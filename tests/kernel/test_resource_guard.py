"""Code that exceeds a limit is stopped with the guard's message, and the session continues."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import psutil
import pytest
import pytest_asyncio

from analystd.jail.limits import Breach, LimitName
from analystd.jail.watchdog import OnBreach
from analystd.kernel.base import Execution, Trouble
from analystd.kernel.kernel_client import KernelClient
from analystd.kernel.launch import Launch
from analystd.kernel.session import KernelSession
from analystd.kernel.warm_kernel import WarmKernels

from .conftest import Runner, ignore_output

pytestmark = pytest.mark.asyncio(loop_scope="module")

MESSAGE = "The jar is full; its limit is 3 biscuits"
SLEEP = "import time\nprint('started', flush=True)\ntime.sleep(60)"
DEAF = "print('started', flush=True)\nwhile True:\n    try:\n        time.sleep(1)\n    except KeyboardInterrupt: pass"


class Watcher:
    """A guard that reports an exceeded limit when a test says so, and records the calls that it receives."""

    def __init__(self) -> None:
        self.pids: list[int] = []
        self.told: list[str] = []
        self._on_breach: OnBreach | None = None

    def __call__(self, pid: int, on_breach: OnBreach) -> Watcher:
        self.pids.append(pid)
        self._on_breach = on_breach
        return self

    def begin(self) -> None:
        self.told.append("begin")

    def end(self) -> None:
        self.told.append("end")

    async def excuse(self) -> None:
        self.told.append("excuse")

    async def aclose(self) -> None:
        self.told.append("aclose")

    async def overstep(self, limit: LimitName = "workspace") -> None:
        """Have the session do something about a limit; returns when that is done."""
        assert self._on_breach is not None
        await self._on_breach(Breach(limit, 4, MESSAGE))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watcher() -> Watcher:
    return Watcher()


@pytest.fixture(scope="module")
def troubles() -> list[Trouble]:
    """The events that the session reported while no code ran."""
    return []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(launch: Launch, watcher: Watcher, troubles: list[Trouble]) -> AsyncIterator[Runner]:
    session = KernelSession(
        "main",
        launch.workspace,
        launch.runtime,
        launch.sandbox,
        spares=WarmKernels(launch, guard=watcher, refill_delay_seconds=3600),
        on_trouble=troubles.append,
    )
    yield Runner(session, [], [])
    await session.aclose()
    assert watcher.told[-1] == "aclose"


async def stopped(guarded: Runner, watcher: Watcher, code: str, limit: LimitName = "workspace") -> Execution:
    """What came of code whose guard lost patience once it had printed something."""
    printed = asyncio.Event()
    task = asyncio.create_task(
        guarded.session.execute(code, timeout_seconds=60, on_output=lambda output: printed.set())
    )
    await asyncio.wait_for(printed.wait(), 20)
    # It has gone on to what follows the print.
    await asyncio.sleep(0.2)
    await watcher.overstep(limit)
    return await asyncio.wait_for(task, 20)


async def test_the_guard_watches_a_kernel_to_its_end_and_learns_when_code_runs(
    guarded: Runner, watcher: Watcher
) -> None:
    await guarded("1")
    watcher.told.clear()
    await guarded("2")
    await guarded("1 / 0")
    assert watcher.told == ["begin", "end"] * 2
    assert watcher.pids == [guarded.session.info().pid]


async def test_a_breach_is_a_limit_that_keeps_the_variables(guarded: Runner, watcher: Watcher) -> None:
    await guarded("kept = 7")
    execution = await stopped(guarded, watcher, SLEEP)
    assert execution.error is not None
    assert (execution.status, execution.stdout) == ("limit", "started\n")
    assert (execution.error.name, execution.error.line) == ("ResourceLimitError", 3)
    assert execution.error.message == (
        "The jar is full; its limit is 3 biscuits. "
        "The code and the processes that it had started were stopped; the variables are kept."
    )
    assert (await guarded("kept")).result == "7"
    assert watcher.told[-1] == "end"


async def test_code_that_goes_on_is_ended_with_its_kernel(guarded: Runner, watcher: Watcher) -> None:
    execution = await stopped(guarded, watcher, DEAF)
    assert execution.error is not None
    assert execution.status == "limit"
    assert execution.error.message.endswith("3 biscuits. The session's process was killed; all variables are lost.")
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
    execution = await stopped(guarded, watcher, code, "memory")
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
    assert watcher.told[-1] == "end"


async def test_cancelling_tells_the_guard(guarded: Runner, watcher: Watcher) -> None:
    watcher.told.clear()
    task = asyncio.create_task(guarded("time.sleep(60)"))
    async with asyncio.timeout(20):
        while not watcher.told:
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert watcher.told == ["begin", "end"]


async def test_processes_left_by_earlier_code_are_killed_for_a_limit_and_reported(
    guarded: Runner, watcher: Watcher, troubles: list[Trouble]
) -> None:
    troubles.clear()
    code = "import subprocess\nkept = 9\nsubprocess.Popen(['setsid', 'sleep', '600']).pid"
    pid = int((await guarded(code)).result or 0)
    await watcher.overstep("processes")
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    told = (
        "The jar is full; its limit is 3 biscuits. "
        "No code was running: processes left by earlier code were killed; the variables are kept."
    )
    assert troubles == [Trouble("limit", told)]
    execution = await guarded("kept")
    assert (execution.result, execution.stderr) == ("9", f"[Since the last run: {told}]\n")
    assert (await guarded("kept")).stderr == ""


async def test_a_session_that_exceeds_a_limit_by_itself_is_killed_and_reported(
    guarded: Runner, watcher: Watcher, troubles: list[Trouble]
) -> None:
    troubles.clear()
    await guarded("lost = 10")
    await watcher.overstep("memory")
    await ended(guarded)
    told = "The session's process was ended because of a limit (The jar is full; its limit is 3 biscuits); all variables are lost."
    assert troubles == [Trouble("limit", told)]
    execution = await guarded("'lost' in dir()")
    assert execution.result == "False"
    assert (
        execution.stderr
        == f"[Since the last run the session's process {told.removeprefix('The session' + chr(39) + 's process ')}]\n"
    )


async def test_ending_what_was_started_is_not_tried_again_and_again(guarded: Runner, watcher: Watcher) -> None:
    await guarded("import subprocess, threading, time")
    await guarded("def respawn():\n    while True: subprocess.Popen(['sleep', '60']); time.sleep(0.05)")
    await guarded("threading.Thread(target=respawn, daemon=True).start()")
    for _ in range(2):
        await watcher.overstep("threads")
    await ended(guarded)


async def test_code_that_may_free_resources_gets_a_note_and_the_guard_excuses_it(
    guarded: Runner, watcher: Watcher
) -> None:
    await guarded("1")
    watcher.told.clear()
    execution = await guarded.session.execute(
        "1 + 1", timeout_seconds=30, on_output=ignore_output, overstepped="The jar is full. Eat biscuits"
    )
    assert (execution.status, watcher.told) == ("ok", ["excuse", "begin", "end"])
    assert execution.stderr == (
        "[The jar is full. Eat biscuits. This code may run to free resources, and is stopped as soon as it uses more.]\n"
    )


async def test_a_kernel_that_nobody_has_yet_is_ended_for_a_limit(launch: Launch) -> None:
    watcher = Watcher()
    kernel = await KernelClient.start(launch, guard=watcher)
    await watcher.overstep("memory")
    await asyncio.wait_for(asyncio.shield(kernel.process.ended), 20)
    assert kernel.process.how_it_ended() == "was ended because of a limit (The jar is full; its limit is 3 biscuits)"
    await kernel.aclose()


async def test_the_death_of_an_idle_session_is_told_at_once(guarded: Runner, troubles: list[Trouble]) -> None:
    await guarded("import os, threading")
    troubles.clear()
    await guarded("threading.Timer(0.2, os._exit, [5]).start()")
    await ended(guarded)
    told = "The session's process ended with exit status 5; all variables are lost."
    assert troubles == [Trouble("died", told)]


async def test_a_death_that_its_run_tells_is_not_told_twice(guarded: Runner, troubles: list[Trouble]) -> None:
    troubles.clear()
    assert (await guarded("import os; os._exit(3)")).status == "died"
    execution = await guarded("exit()")
    assert execution.stderr == "[The code ended the session's process by exit(); all variables are lost.]\n"
    await guarded("1")
    assert troubles == []


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


async def ended(guarded: Runner) -> None:
    async with asyncio.timeout(20):
        while guarded.session.info().state != "dead":
            await asyncio.sleep(0.01)


def _inner(code: str) -> str:
    return "\n".join("    " + line for line in code.splitlines())
