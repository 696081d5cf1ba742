"""`import toolbox` in a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from analystd.jail.sandbox import LEVELS, Level, measure_level
from analystd.kernel.session import KernelSession

from .conftest import Runner

asynchronous = pytest.mark.asyncio(loop_scope="module")


@asynchronous
async def test_a_user_s_own_module_of_that_name_comes_first(run: Runner, workspace: Path) -> None:
    (workspace / "toolbox.py").write_text("mine = 3\n")
    assert (await run("import toolbox; toolbox.mine")).result == "3"
    assert (await run("toolbox.skewness([1, 2, 6])")).error is not None, "not a series"
    assert (
        await run("import pandas; from toolbox import max_drawdown; max_drawdown(pandas.Series([4, 2])).depth")
    ).result == "-0.5"
    missing = await run("toolbox.no_such_function")
    assert missing.error is not None
    assert "module 'toolbox' has no attribute 'no_such_function'" in missing.error.message
    (workspace / "toolbox.py").unlink()
    await run.session.reset()
    assert (await run("import toolbox; toolbox.read.__module__")).result == "'toolbox.reading'"


@asynchronous
@pytest.mark.parametrize("level", LEVELS)
async def test_the_toolbox_works_behind_the_walls(level: Level, tmp_path: Path) -> None:
    sandbox = await measure_level(level)
    if sandbox.level != level:
        pytest.skip(sandbox.reason)
    for name in ("workspace", "runtime"):
        (tmp_path / name).mkdir()
    (tmp_path / "workspace" / "trades.csv").write_text("symbol,side,quantity,price\nX,buy,2,10\nX,sell,1,13\n")
    session = KernelSession("main", tmp_path / "workspace", tmp_path / "runtime", sandbox)
    try:
        code = """
import toolbox
result = toolbox.profit_and_loss(toolbox.read("trades.csv"))
toolbox.save_plot(result["net"], "net.png")
result.loc["X", "realised"]
"""
        done = await session.execute(code, timeout_seconds=60, on_output=lambda _: None)
        assert done.error is None
        assert done.result == "np.float64(3.0)"
        assert (tmp_path / "workspace" / "net.png").read_bytes().startswith(b"\x89PNG")
    finally:
        await session.aclose()
