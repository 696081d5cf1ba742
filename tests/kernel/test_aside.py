"""Requests of editors outside of runs: completions, and descriptions of names."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from analystd.kernel.base import Completions

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEAN = "def mean(values, *, weight=1):\n    'The middle of it.'\n"


async def test_without_a_kernel_there_is_no_answer_and_none_is_started(run: Runner) -> None:
    assert await run.session.complete("pri", 3) == Completions((), 3, 3)
    assert await run.session.inspect("print", 2) is None
    assert run.session.info().state == "absent"


async def test_attributes_of_a_variable_complete(run: Runner) -> None:
    await run("import collections\nprices = collections.Counter(a=1)")
    completions = await run.session.complete("x = 1\nprices.most", 17)
    assert completions == Completions(("most_common",), 13, 17)


async def test_names_of_the_session_and_of_python_complete(run: Runner) -> None:
    await run("price_of_gold = 1")
    assert "price_of_gold" in (await run.session.complete("price_", 6)).matches
    assert "print" in (await run.session.complete("pri", 3)).matches


async def test_keys_of_a_dictionary_complete(run: Runner) -> None:
    await run("rates = {'euro': 1.1}")
    assert "euro" in (await run.session.complete("rates['", 7)).matches


async def test_the_cursor_counts_code_points(run: Runner) -> None:
    await run("prices = collections.Counter(a=1)")
    code = "'𝄞é'; prices.most  # 𝄞"
    assert await run.session.complete(code, 17) == Completions(("most_common",), 13, 17)


@pytest.mark.parametrize(
    ("code", "cursor"), [("", 0), ("x", 99), ("x", -5), ("\ud800.", 2), ("x\x00.", 3), ("((((", 4)]
)
async def test_no_code_is_too_odd_to_ask_about(run: Runner, code: str, cursor: int) -> None:
    completions = await run.session.complete(code, cursor)
    assert 0 <= completions.start <= completions.end <= len(code)
    await run.session.inspect(code, cursor)


async def test_a_function_is_told_by_signature_and_docstring(run: Runner) -> None:
    await run(MEAN)
    told = "mean(values, *, weight=1)\n\nThe middle of it."
    assert await run.session.inspect("1 + mean", 8) == told
    assert await run.session.inspect("mean([1], weight=", 17) == told


async def test_methods_classes_and_modules_are_told_too(run: Runner) -> None:
    await run("import json\nimport pandas as pd\nprices = pd.DataFrame({'close': [1.5]})")
    merge = await run.session.inspect("prices.merge(", 13)
    assert merge is not None
    assert merge.startswith("merge(right: ")
    assert "\n\nMerge DataFrame" in merge
    module = await run.session.inspect("json", 4)
    assert module is not None
    assert module.startswith("module json\n\nJSON")
    frame = await run.session.inspect("pd.DataFrame", 12)
    assert frame is not None
    assert frame.startswith("class DataFrame(data=None, index")


async def test_a_value_is_told_by_type_shape_and_preview(run: Runner) -> None:
    assert await run.session.inspect("prices", 6) == "prices: pandas.DataFrame 1 × 1\n\ncolumns: close"
    await run("count = 7")
    assert await run.session.inspect("count", 1) == "count: int\n\n7"


async def test_what_is_not_known_is_not_told(run: Runner) -> None:
    assert await run.session.inspect("nothing.there", 5) is None
    assert await run.session.inspect("count.there", 8) is None


async def test_a_long_docstring_is_bounded(run: Runner) -> None:
    await run("def long(): ...\nlong.__doc__ = 'x' * 10_000_000")
    told = await run.session.inspect("long", 2)
    assert told is not None
    assert len(told) < 10_000


async def test_asking_runs_no_property_and_no_getattr(run: Runner) -> None:
    code = """
touched = []
class Traps:
    @property
    def value(self): touched.append("property"); return self
    def __getattr__(self, name): touched.append(name); raise AttributeError(name)
    def __repr__(self): touched.append("repr"); return ""
traps = Traps()
"""
    await run(code)
    for question in ("traps.value", "traps.value.x", "traps.other"):
        await run.session.inspect(question, len(question))
        await run.session.complete(question + ".", len(question) + 1)
    await run.session.complete("traps.", 6)
    touched = (await run("[name for name in touched if not name.startswith('_')]")).result
    assert touched == "[]"


@pytest.mark.parametrize("method", ["__dir__", "__repr__"])
async def test_an_object_that_never_answers_delays_nobody_for_long(run: Runner, method: str) -> None:
    await run(f"class Loops:\n    def {method}(self):\n        while True: pass\nloops = Loops()")
    await run.session.complete("loops.", 6)
    await run.session.inspect("loops", 5)
    assert (await run("1 + 1")).result == "2"


@pytest.mark.parametrize(
    "ask",
    [lambda run: run.session.complete("pri", 3), lambda run: run.session.inspect("print", 3)],
    ids=["complete", "inspect"],
)
async def test_a_busy_session_answers_at_once_and_empty(
    run: Runner, ask: Callable[[Runner], Awaitable[object]]
) -> None:
    printed = asyncio.Event()
    task = asyncio.create_task(
        run.session.execute(
            "import time\nprint(1)\ntime.sleep(60)", timeout_seconds=60, on_output=lambda output: printed.set()
        )
    )
    await asyncio.wait_for(printed.wait(), 20)
    assert await asyncio.wait_for(ask(run), 0.5) in (Completions((), 3, 3), None)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_asking_counts_as_no_run_and_leaves_no_name(run: Runner) -> None:
    before = (await run("sorted(dir())")).execution_count
    assert before is not None
    await run.session.complete("prices.", 7)
    await run.session.inspect("mean", 4)
    execution = await run("_")
    assert execution.execution_count == before + 1
