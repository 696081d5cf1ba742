"""The description of the user's variables, and what is not called to make it."""

from __future__ import annotations

import asyncio

import pytest

from analystd.kernel.base import SessionVariable

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_session_without_a_kernel_has_no_variables(run: Runner) -> None:
    assert await run.session.variables() == ()
    assert run.session.info().state == "absent"


async def test_each_variable_has_type_shape_size_and_preview(run: Runner) -> None:
    code = """
import numpy as np
import pandas as pd
from collections import deque
prices = pd.DataFrame({"close": [1.5, 2.5], "volume": [10, 20]})
closes = prices["close"]
matrix = np.zeros((3, 4))
names = ["a", "b"]
count = 7
def mean(values, *, weight=1): ...
class Bar: ...
_private = 1
"""
    await run(code)
    variables = {variable.name: variable for variable in await run.session.variables()}
    assert list(variables) == ["Bar", "closes", "count", "deque", "matrix", "mean", "names", "prices"]
    assert variables["prices"].type == "pandas.DataFrame"
    assert variables["prices"].shape == "2 × 2"
    assert variables["prices"].preview == "columns: close, volume"
    assert variables["closes"].preview == "float64: 1.5, 2.5"
    assert variables["matrix"] == SessionVariable(
        "matrix", "numpy.ndarray", "3 × 4", 96, "float64: " + ", ".join(["0.0"] * 10)
    )
    assert variables["names"].preview == "['a', 'b']"
    assert variables["count"].preview == "7"
    assert variables["mean"].preview == "mean(values, *, weight=1)"
    assert variables["Bar"].preview == "class Bar"


async def test_asking_changes_nothing_in_the_namespace(run: Runner) -> None:
    names = "[name for name in dir() if not name.startswith('_i')]"
    await run(names)
    before = (await run(names)).result
    await run.session.variables()
    assert (await run("_")).result == before
    after = (await run(names)).result
    assert before is not None
    assert after is not None
    assert {name for name in after.split() if not name.strip("',[]_").isdigit()} == {
        name for name in before.split() if not name.strip("',[]_").isdigit()
    }


async def test_big_values_are_previewed_briefly(run: Runner) -> None:
    await run("%reset\nbig = list(range(5_000_000))\ntext = 'x' * 10_000_000\nnested = [[[[[[[1]]]]]]]")
    big, nested, text = await run.session.variables()
    assert (big.shape, big.preview) == ("5000000", "[0, 1, 2, 3, 4, 5, 6, 7, ...]")
    assert text.memory_bytes is not None
    assert text.memory_bytes > 10_000_000
    assert len(text.preview) <= 200
    assert nested.type == "list"


async def test_objects_that_raise_or_loop_or_lie_do_no_harm(run: Runner) -> None:
    code = """
%reset
class Raises:
    def __repr__(self): raise RuntimeError("no")
    @property
    def shape(self): raise RuntimeError("no")
class Loops:
    def __repr__(self):
        while True: pass
class Stubborn:
    def __repr__(self):
        while True:
            try:
                while True: pass
            except Exception: pass
class Eager:
    def __getattr__(self, name): print("called", name)
class Nowhere:
    __module__ = None
a, b, c, d, e, f = Raises(), Loops(), Stubborn(), Eager(), [Raises()], Nowhere()
"""
    await run(code)
    variables = {variable.name: variable for variable in await run.session.variables()}
    assert variables["b"].preview == "<Loops>"
    assert variables["c"].preview == "<Stubborn>"
    assert variables["f"].type == "Nowhere"
    assert "f" in {variable.name for variable in await run.session.largest_variables(20)}
    assert variables["a"].preview.startswith("<Raises instance")
    assert (await run("1 + 1")).stdout == ""


async def test_while_code_runs_the_last_known_variables_are_told(run: Runner) -> None:
    await run("%reset\nx = 1")
    known = await run.session.variables()
    seen = asyncio.Event()
    task = asyncio.create_task(
        run.session.execute(
            "x = 2\nprint(1)\n__import__('time').sleep(60)", timeout_seconds=60, on_output=lambda output: seen.set()
        )
    )
    await asyncio.wait_for(seen.wait(), 10)
    assert await run.session.variables() == known
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [variable.preview for variable in await run.session.variables()] == ["2"]


async def test_a_reset_session_has_no_variables(run: Runner) -> None:
    await run("x = 1")
    await run.session.reset()
    assert await run.session.variables() == ()
    assert (await run("'x' in dir()")).result == "False"
