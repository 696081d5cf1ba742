"""A session behind each kind of wall that this machine has: it works, it can be stopped, and it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from analystd.jail.sandbox import LEVELS, Level, Sandbox, measure_level
from analystd.kernel.session import KernelSession
from analystd.wire.errors import SessionUnavailableError

from .conftest import Runner, ignore_output

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=LEVELS)
async def walled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Runner]:
    level: Level = request.param
    sandbox = await measure_level(level)
    if sandbox.level == "none":
        pytest.skip(sandbox.reason)
    workspace, runtime = tmp_path_factory.mktemp("workspace"), tmp_path_factory.mktemp("runtime")
    session = KernelSession("main", workspace, runtime, sandbox, grace_seconds=1.5)
    yield Runner(session, [], [])
    await session.aclose()
    assert [path for path in runtime.rglob("*") if path.is_socket()] == []


async def test_code_runs_and_remembers(walled: Runner) -> None:
    await walled("import os\nx = 41")
    execution = await walled("print(os.getcwd())\n!echo shell\nos.system('echo child')\nx + 1")
    assert execution.stdout.splitlines()[1:] == ["shell", "child"]
    assert execution.result == "42"


SHELL = r"""
name = "world"
!echo hello {name} | tr a-z A-Z
lines = !printf 'a\nb\n'; echo c >&2; exit 3
print(lines, type(lines).__name__)
!exit 7
_exit_code
"""


async def test_shell_commands_work_in_every_form(walled: Runner) -> None:
    execution = await walled(SHELL)
    assert (execution.error, execution.result) == (None, "7")
    assert execution.stdout == "HELLO WORLD\n['a', 'b', 'c'] SList\n"
    assert (await walled("%system echo one; echo two")).result == "['one', 'two']"
    assert (await walled("%%bash\necho from bash")).stdout == "from bash\n"


async def test_plots_and_tables_are_displayed(walled: Runner) -> None:
    execution = await walled(
        "import matplotlib.pyplot as plt, pandas as pd\nplt.plot([1]);\npd.DataFrame({'a': [1]})", timeout_seconds=60
    )
    assert execution.error is None
    assert [sorted(display) for display in execution.displays] == [
        ["text/html", "text/plain"],
        ["image/png", "text/plain"],
    ]


async def test_children_of_a_pool_work_and_print(walled: Runner) -> None:
    code = """
import multiprocessing
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(sum(pool.map(abs, range(-10, 0))))
"""
    execution = await walled(code)
    assert (execution.error, execution.stdout) == (None, "55\n")


@pytest.mark.parametrize(
    "code",
    [
        "print(1, flush=True)\nimport time; time.sleep(60)",
        "print(1, flush=True)\nwhile True: pass",
        "import numpy as np\nprint(1, flush=True)\nwhile True: np.linalg.svd(np.eye(100))",
        "import asyncio\nprint(1, flush=True)\nawait asyncio.sleep(60)",
        "print(1, flush=True)\n!sleep 60",
    ],
)
async def test_an_interrupt_passes_through(walled: Runner, code: str) -> None:
    await walled("x = 7")
    printed = asyncio.Event()
    task = asyncio.create_task(walled.session.execute(code, timeout_seconds=60, on_output=lambda output: printed.set()))
    await asyncio.wait_for(printed.wait(), 20)
    await walled.session.interrupt()
    assert (await task).status == "interrupted"
    assert (await walled("x")).result == "7"


async def test_memory_counts_the_whole_tree(walled: Runner) -> None:
    await walled("import numpy as np\nbig = np.ones(10_000_000)")
    memory = walled.session.info().memory_bytes
    assert memory is not None
    assert memory > 100e6


async def test_a_crash_is_told_by_its_signal(walled: Runner) -> None:
    execution = await walled("import ctypes; ctypes.string_at(0)")
    assert execution.error is not None
    assert execution.status == "died"
    assert "was ended by SIGSEGV" in execution.error.message
    execution = await walled("import os; os._exit(3)")
    assert execution.error is not None
    assert "ended with exit status 3" in execution.error.message


async def test_a_reset_session_answers_from_the_spare(walled: Runner) -> None:
    await walled("x = 1")
    assert await walled.session._spares.ready()
    await walled.session.reset()
    assert (await walled("import sys\n'x' in dir(), 'pandas' in sys.modules")).result == "(False, True)"


async def test_nothing_of_the_tree_outlives_a_kernel_that_is_killed(walled: Runner) -> None:
    await walled("import subprocess\nchild = subprocess.Popen(['sleep', '600'])")
    pid = walled.session.info().pid
    assert pid is not None
    tree = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert any("sleep" in process.name() for process in tree)
    code = "import time\nwhile True:\n    try:\n        time.sleep(1)\n    except KeyboardInterrupt: pass"
    assert (await walled(code, timeout_seconds=0.5)).status == "limit"
    async with asyncio.timeout(5):
        while any(_runs(process) for process in tree):
            await asyncio.sleep(0.01)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_without_walls_nothing_runs(tmp_path: Path) -> None:
    session = KernelSession("main", tmp_path, tmp_path / "runtime", Sandbox("none", "no Landlock"))
    with pytest.raises(SessionUnavailableError, match="no Landlock"):
        await session.execute("1", timeout_seconds=5, on_output=ignore_output)
    assert session.info().state == "absent"
    await session.aclose()
