"""A kernel that was taken over may send anything: the cell ends, the daemon stays small and responsive, and the session continues."""

from __future__ import annotations

import asyncio

import psutil
import pytest
from tests.kernel.hostile_messages import ACTS, PRELUDE, REPLIES, REPLYING

from analystd.util.strict_json import encoded

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("act", ACTS)
async def test_whatever_a_kernel_publishes_the_session_goes_on(run: Runner, act: str) -> None:
    before = psutil.Process().memory_info().rss
    longest = 0.0
    task = asyncio.create_task(run(f"{PRELUDE}\n{ACTS[act]}\nprint('done')"))
    while not task.done():
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        longest = max(longest, asyncio.get_running_loop().time() - begun)
    execution = await task
    assert execution.status in ("ok", "error"), execution.error
    assert len(encoded(execution.to_json())) < 60_000_000
    assert longest < 2
    assert psutil.Process().memory_info().rss - before < 400e6
    assert (await run("1 + 1")).result == "2"


@pytest.mark.parametrize("reply", REPLIES)
async def test_whatever_a_kernel_replies_the_result_has_its_form(run: Runner, reply: str) -> None:
    execution = await run(PRELUDE + REPLYING.replace("{reply}", REPLIES[reply]))
    assert execution.status in ("ok", "error")
    assert execution.execution_count is None or 0 <= execution.execution_count <= 2**53
    assert len(encoded(execution.to_json())) < 2_000_000
    if execution.error is not None:
        assert all(
            isinstance(text, str)
            for text in (execution.error.name, execution.error.message, *execution.error.traceback)
        )
        assert len(execution.error.name) < 1000
    assert (await run("1 + 1")).result == "2"


FORGED = [
    "None",
    "{}",
    "{'variables': 7}",
    "{'variables': [1, None, [2]]}",
    "{'variables': [{}]}",
    "{'variables': [{'name': ['x'], 'type': 3, 'shape': {}, 'memory_bytes': 'much', 'preview': None}] * 100_000}",
    "{'variables': [{'name': 'x' * 9_000_000, 'type': '', 'shape': '', 'memory_bytes': 10 ** 4000, 'preview': ''}]}",
    "{'matches': [1, 'x' * 9_000_000], 'cursor_start': [], 'cursor_end': 1}",
    "{'matches': 3, 'cursor_start': 0, 'cursor_end': 1}",
    "{'data': [1]}",
    "{'data': {'text/plain': {}}}",
]


@pytest.mark.parametrize("content", FORGED)
async def test_whatever_a_kernel_answers_beside_its_cells_is_no_harm(run: Runner, content: str) -> None:
    forging = (
        f"def forged(stream, kind, *args, _send=app.session.send, **kwargs):\n"
        f"    args = ({content}, *args[1:]) if kind.endswith('_reply') and kind != 'execute_reply' else args\n"
        f"    return _send(stream, kind, *args, **kwargs)\n"
        f"original = app.session.send\napp.session.send = forged"
    )
    await run(f"{PRELUDE}\n{forging}")
    variables = await run.session.variables()
    assert all(isinstance(each.name, str) and len(each.name) <= 1000 for each in variables)
    assert len(variables) <= 10_000
    await run.session.largest_variables()
    await run.session.complete("pri", 3)
    await run.session.inspect("print", 5)
    assert (await run("app.session.send = original\n1 + 1")).result == "2"
