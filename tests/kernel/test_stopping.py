"""How code is stopped, how kernels die, and what is left of the session."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psutil
import pytest

from analystd.kernel.base import Execution

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLEEP = "import time\nprint('started', flush=True)\ntime.sleep(60)"
LOOP = "print('started', flush=True)\nwhile True: pass"
NUMPY_LOOP = (
    "import numpy as np\nm = np.random.rand(100, 100)\nprint('started', flush=True)\nwhile True: np.linalg.svd(m)"
)
AWAIT = "import asyncio\nprint('started', flush=True)\nawait asyncio.sleep(60)"
CHILD = "import subprocess\nprint('started', flush=True)\nsubprocess.run(['sleep', '60'], check=True)"
SHELL = "print('started', flush=True)\n!sleep 60"
DEAF = """
import time
print('started', flush=True)
while True:
    try:
        time.sleep(1)
    except KeyboardInterrupt:
        pass
"""


async def started(run: Runner, code: str, timeout_seconds: float = 60) -> asyncio.Task[Execution]:
    """The task of code that prints `started`, once it has."""
    printed = asyncio.Event()
    task = asyncio.create_task(
        run.session.execute(code, timeout_seconds=timeout_seconds, on_output=lambda output: printed.set())
    )
    await asyncio.wait_for(printed.wait(), 20)
    return task


@pytest.mark.parametrize("code", [SLEEP, LOOP, NUMPY_LOOP, AWAIT, CHILD, SHELL])
async def test_an_interrupt_stops_code_and_keeps_the_variables(run: Runner, code: str) -> None:
    await run("kept = 7")
    task = await started(run, code)
    await run.session.interrupt()
    execution = await task
    assert execution.status == "interrupted"
    assert (await run("kept")).result == "7"


async def test_an_interrupt_of_a_session_that_does_nothing_is_harmless(run: Runner) -> None:
    await run("kept = 8")
    await run.session.interrupt()
    assert (await run("kept")).result == "8"


async def test_interrupts_around_the_end_of_code_do_not_reach_the_next(run: Runner) -> None:
    for _ in range(20):
        task = asyncio.create_task(run("sum(range(10_000))"))
        await asyncio.sleep(0.003)
        await asyncio.gather(run.session.interrupt(), run.session.interrupt())
        assert (await task).status in ("ok", "interrupted")
        assert (await run("1 + 1")).result == "2"


async def test_an_interrupt_reaches_code_whose_kernel_is_not_there_yet(run: Runner) -> None:
    await run("import os; os._exit(3)")
    task = asyncio.create_task(run("print('ran')"))
    await asyncio.sleep(0)
    assert run.session.info().state in ("starting", "dead")
    await run.session.interrupt()
    execution = await task
    assert (execution.status, execution.stdout) == ("interrupted", "")
    assert execution.error is not None
    assert execution.error.message == "The code was cancelled before it ran."
    assert (await run("1 + 1")).result == "2"


async def test_code_that_raises_on_interrupt_has_failed(run: Runner) -> None:
    task = await started(run, f"try:\n    {LOOP.replace(chr(10), chr(10) + '    ')}\nfinally:\n    1 / 0")
    await run.session.interrupt()
    execution = await task
    assert execution.error is not None
    assert (execution.status, execution.error.name) == ("error", "ZeroDivisionError")


async def test_too_long_is_a_limit_that_keeps_the_variables(run: Runner) -> None:
    await run("kept = 9")
    execution = await run("import time\n\ntime.sleep(60)", timeout_seconds=0.2)
    assert execution.error is not None
    assert (execution.status, execution.error.line) == ("limit", 3)
    assert execution.error.message == "The code ran longer than 0.2 s and was interrupted; the variables are kept."
    assert (await run("kept")).result == "9"


async def test_code_that_ignores_the_interrupt_is_ended_with_its_kernel(run: Runner) -> None:
    await run("lost = 1")
    execution = await run(DEAF, timeout_seconds=0.3)
    assert (execution.status, execution.stdout) == ("limit", "started\n")
    assert execution.error is not None
    assert "did not end within 1.5 s of being interrupted" in execution.error.message
    assert execution.error.message.endswith("all variables are lost.")
    assert (await run("'lost' in dir()")).result == "False"


async def test_ignoring_the_signal_itself_helps_no_longer(run: Runner) -> None:
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + SLEEP
    task = await started(run, code)
    await run.session.interrupt()
    execution = await task
    assert execution.error is not None
    assert (execution.status, execution.error.name) == ("interrupted", "KeyboardInterrupt")
    assert "all variables are lost" in execution.error.message


async def test_a_cancelled_run_is_interrupted_and_the_next_one_works(run: Runner) -> None:
    await run("kept = 10")
    task = await started(run, SLEEP)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert run.session.info().state == "idle"
    assert (await run("kept")).result == "10"


async def test_a_run_that_is_cancelled_twice_leaves_no_trace_in_the_next(run: Runner) -> None:
    await run("kept = 11")
    task = await started(run, DEAF)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    execution = await run("print('next')")
    assert (execution.status, execution.stdout) == ("ok", "next\n")


async def test_a_run_can_be_cancelled_while_its_kernel_starts(run: Runner) -> None:
    await run("import os; os._exit(0)")
    task = asyncio.create_task(run("1"))
    await asyncio.sleep(0.1)
    assert run.session.info().state == "starting"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await run("2")).result == "2"


async def test_a_kernel_that_exits_has_died_and_the_next_run_has_a_fresh_one(run: Runner) -> None:
    await run("lost = 1")
    execution = await run("import os, time\nprint('last words')\ntime.sleep(0.2)\nos._exit(3)")
    assert (execution.status, execution.stdout) == ("died", "last words\n")
    assert execution.error is not None
    assert execution.error.message == "The session's process ended with exit status 3; all variables are lost."
    assert run.session.info().state == "dead"
    execution = await run("'lost' in dir()")
    assert (execution.result, execution.stderr) == ("False", "")


async def test_a_segmentation_fault_says_where_it_happened(run: Runner) -> None:
    execution = await run("import ctypes\n\nctypes.string_at(0)")
    assert execution.error is not None
    assert (execution.status, execution.error.line) == ("died", 3)
    assert execution.error.message == "The session's process was ended by SIGSEGV; all variables are lost."
    assert (await run("1 + 1")).result == "2"


async def test_the_next_run_reports_a_kernel_that_died_while_idle(run: Runner) -> None:
    await run("import os, threading\nthreading.Timer(0.05, os._exit, [5]).start()")
    async with asyncio.timeout(10):
        while run.session.info().state != "dead":
            await asyncio.sleep(0.01)
    execution = await run("1")
    note = "[Since the last run the session's process ended with exit status 5; all variables are lost.]\n"
    assert (execution.status, execution.stderr) == ("ok", note)


async def test_exit_ends_the_kernel_in_order(run: Runner) -> None:
    execution = await run("lost = 1\nexit()")
    assert execution.status == "ok"
    execution = await run("'lost' in dir()")
    assert execution.result == "False"


async def test_sys_exit_is_an_error_that_keeps_the_variables(run: Runner) -> None:
    execution = await run("kept = 12\nimport sys\nsys.exit('done')")
    assert execution.error is not None
    assert (execution.status, execution.error.name, execution.stderr) == ("error", "SystemExit", "")
    assert (await run("kept")).result == "12"


async def by_force(run: Runner) -> None:
    assert (await run(DEAF, timeout_seconds=0.2)).status == "limit"


async def by_closing(run: Runner) -> None:
    await run.session.aclose()


@pytest.mark.parametrize("end", [by_force, by_closing])
async def test_nothing_that_was_started_outlives_the_kernel(
    run: Runner, end: Callable[[Runner], Awaitable[None]]
) -> None:
    code = """
import subprocess
plain = subprocess.Popen(["sleep", "600"])
detached = subprocess.Popen(["setsid", "sleep", "600"])
subprocess.run("setsid sleep 600 >/dev/null 2>&1 & echo $!", shell=True)
print(plain.pid, detached.pid)
"""
    execution = await run(code)
    pids = [int(pid) for pid in execution.stdout.split()]
    assert all(runs(pid) for pid in pids)
    await end(run)
    async with asyncio.timeout(5):
        while any(runs(pid) for pid in pids):
            await asyncio.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
