"""What IPython runs for a cell: files, captured and repeated code, and what goes wrong in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from .conftest import Runner
from .test_stopping import started

pytestmark = pytest.mark.asyncio(loop_scope="module")

CAPTURED = "%%capture\ndef ratio():\n    first = 1\n    return first / 0"


@pytest.mark.parametrize(
    "code",
    [
        "%run bad.py",
        "%run -i bad.py",
        "%%capture\n1 / 0",
        "get_ipython().run_cell('1 / 0')\nNone",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    get_ipython().showtraceback()",
    ],
)
async def test_an_error_that_ends_not_the_cell_is_shown(run: Runner, workspace: Path, code: str) -> None:
    (workspace / "bad.py").write_text("x = 1\n1 / 0\n")
    execution = await run(code)
    assert (execution.status, execution.error) == ("ok", None)
    assert "ZeroDivisionError: division by zero" in execution.stderr
    assert (await run("1 + 1")).stderr == ""


async def test_an_error_before_that_of_the_cell_is_shown_too(run: Runner) -> None:
    execution = await run("get_ipython().run_cell('1 / 0')\n[][7]")
    assert execution.error is not None
    assert (execution.status, execution.error.name, execution.error.line) == ("error", "IndexError", 2)
    assert execution.stderr.count("ZeroDivisionError: division by zero") == 1
    assert "IndexError" not in execution.stderr


async def test_an_error_of_the_cell_is_told_once(run: Runner) -> None:
    execution = await run("1 / 0")
    assert (execution.status, execution.stderr) == ("error", "")


async def test_an_interrupt_of_a_file_interrupts_the_cell(run: Runner, workspace: Path) -> None:
    (workspace / "long.py").write_text("import time\nprint('started', flush=True)\ntime.sleep(60)\n")
    task = await started(run, "%run long.py")
    await asyncio.sleep(0.1)
    await run.session.interrupt()
    assert (await task).status == "interrupted"
    assert (await run("1 + 1")).result == "2"


async def test_a_function_of_captured_code_is_not_attributed_to_the_next_cell(run: Runner) -> None:
    await run(CAPTURED)
    execution = await run("ratio()")
    assert execution.error is not None
    assert execution.error.line == 1
    assert "return first / 0" in "\n".join(execution.error.traceback)
    assert "first = 1" in ((await run("import inspect\ninspect.getsource(ratio)")).result or "")
