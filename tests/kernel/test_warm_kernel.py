"""Kernels in reserve: when they are made, and how soon a reset session answers with one."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from analystd.kernel.base import Execution
from analystd.kernel.kernel_client import KernelClient
from analystd.kernel.launch import Launch
from analystd.kernel.session import KernelSession
from analystd.kernel.warm_kernel import WarmKernels
from analystd.wire.errors import SessionUnavailableError

from .conftest import ignore_output

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def execute(session: KernelSession, code: str) -> Execution:
    return await session.execute(code, timeout_seconds=30, on_output=ignore_output)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def spares(launch: Launch) -> AsyncIterator[WarmKernels]:
    spares = WarmKernels(launch, refill_delay_seconds=0)
    yield spares
    await spares.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def session(launch: Launch, spares: WarmKernels) -> AsyncIterator[KernelSession]:
    session = KernelSession("main", launch.workspace, launch.runtime, launch.sandbox, spares=spares)
    yield session
    await session.aclose()


async def test_there_is_no_spare_before_python_is_used(spares: WarmKernels, launch: Launch) -> None:
    assert not await spares.ready()
    assert list(launch.runtime.iterdir()) == []


async def test_a_reset_session_answers_at_once_and_from_a_fresh_kernel(
    session: KernelSession, spares: WarmKernels
) -> None:
    await execute(session, "x = 1")
    assert await spares.ready()
    old_pid = session.info().pid
    await session.reset()
    execution = await execute(session, "import sys\n'x' in dir(), 'pandas' in sys.modules")
    assert (execution.result, execution.execution_count) == ("(False, True)", 1)
    assert session.info().pid != old_pid


async def test_a_reset_without_a_spare_works_too(session: KernelSession) -> None:
    await execute(session, "x = 1")
    await session.reset()
    await session.reset()
    assert (await execute(session, "'x' in dir()")).result == "False"


async def test_a_session_that_was_never_used_is_reset_for_nothing(session: KernelSession) -> None:
    await session.reset()
    assert session.info().state == "absent"


async def test_sessions_side_by_side_share_the_spare_and_nothing_else(
    session: KernelSession, launch: Launch, spares: WarmKernels
) -> None:
    other = KernelSession("other", launch.workspace, launch.runtime, launch.sandbox, spares=spares)
    try:
        await asyncio.gather(execute(session, "x = 'main'"), execute(other, "x = 'other'"))
        results = await asyncio.gather(execute(session, "x"), execute(other, "x"))
        assert [execution.result for execution in results] == ["'main'", "'other'"]
        begin = time.perf_counter()
        await asyncio.gather(*(execute(each, "import time; time.sleep(3)") for each in (session, other)))
        # One after the other they would take six.
        assert time.perf_counter() - begin < 5.9
    finally:
        await other.aclose()


async def test_a_spare_that_died_is_replaced(session: KernelSession, spares: WarmKernels) -> None:
    await execute(session, "x = 1")
    assert await spares.ready()
    kernel = await spares.take()
    spares._preparing = asyncio.ensure_future(_itself(kernel))
    kernel.process.kill()
    await kernel.process.ended
    await session.reset()
    assert (await execute(session, "1 + 1")).result == "2"


async def test_a_reset_stops_what_runs(session: KernelSession) -> None:
    seen = asyncio.Event()
    code = "print(1)\nimport time\ntime.sleep(60)"
    task = asyncio.create_task(session.execute(code, timeout_seconds=60, on_output=lambda output: seen.set()))
    await asyncio.wait_for(seen.wait(), 20)
    await session.reset()
    assert (await task).status == "interrupted"
    assert (await execute(session, "1 + 1")).result == "2"


async def test_closing_leaves_no_sockets_and_can_be_repeated(launch: Launch, tmp_path: Path) -> None:
    session = KernelSession("main", launch.workspace, tmp_path, launch.sandbox)
    await execute(session, "1")
    await session.aclose()
    await session.aclose()
    assert [path.name for path in tmp_path.rglob("*") if path.is_socket()] == []
    with pytest.raises(SessionUnavailableError):
        await execute(session, "1")


async def test_an_interpreter_without_ipykernel_is_reported_with_a_remedy(launch: Launch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'ipykernel'\" >&2\nexit 1\n")
    python.chmod(0o755)
    session = KernelSession("main", launch.workspace, tmp_path / "runtime", launch.sandbox, python=python)
    with pytest.raises(SessionUnavailableError) as raised:
        await execute(session, "1")
    assert "No module named 'ipykernel'" in raised.value.message
    assert raised.value.hint == f"Install ipykernel for {python}, or set AGENT_PYTHON to an interpreter that has it"
    await session.aclose()


async def test_a_runtime_folder_with_a_long_name_is_no_obstacle(launch: Launch, tmp_path: Path) -> None:
    session = KernelSession("main", launch.workspace, tmp_path / ("long" * 25), launch.sandbox)
    assert (await execute(session, "1 + 1")).result == "2"
    await session.aclose()


async def test_a_kernel_says_nothing_before_it_is_asked(launch: Launch) -> None:
    kernel = await KernelClient.start(launch)
    assert kernel.process.last_words() == []
    assert (kernel.execution_count, kernel.cell) == (0, None)
    await kernel.aclose()


async def test_a_kernel_ends_with_the_daemon_that_is_killed(launch: Launch) -> None:
    code = f"""
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from analystd.kernel.kernel_client import KernelClient
from analystd.kernel.launch import Launch
from tests.kernel.conftest import OpenSandbox

async def main():
    kernel = await KernelClient.start(Launch(Path({str(launch.workspace)!r}), Path({str(launch.runtime)!r}), OpenSandbox("none", "")))
    print(kernel.process.pid, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert daemon.stdout is not None
    kernel = psutil.Process(int(await asyncio.wait_for(daemon.stdout.readline(), 30)))
    assert kernel.is_running()
    daemon.kill()
    await daemon.wait()
    async with asyncio.timeout(5):
        while kernel.is_running() and kernel.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


async def _itself(kernel: KernelClient) -> KernelClient:
    return kernel
