"""What a session that runs for weeks must not gather."""

from __future__ import annotations

import pytest

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

RSS_MB = "int(open('/proc/self/statm').read().split()[1]) * 4096 / 1e6"
SYNTAX_NODES = (
    "__import__('gc').collect(); sum(isinstance(o, __import__('ast').AST) for o in __import__('gc').get_objects())"
)


async def number(run: Runner, code: str) -> float:
    return float((await run(f"{code.rpartition('; ')[0] or 'pass'}\nprint({code.rpartition('; ')[2]})")).stdout)


async def test_what_cells_print_is_not_kept(run: Runner) -> None:
    flood = "for _ in range(400): print('x' * 99_000)"
    await run(flood)
    before = await number(run, RSS_MB)
    await run(flood)
    assert await number(run, RSS_MB) - before < 20


async def test_what_cells_show_is_not_kept_twice(run: Runner) -> None:
    await run("from analystd_inside.shell import SessionShell\nshell = SessionShell.instance()")
    await run("'a' * 1000")
    assert (await run("Out[max(Out)] == 'a' * 1000")).result == "True"
    assert (await run("shell.history_manager.outputs, shell.history_manager.output_hist_reprs")).result == (
        "(defaultdict(list, {}), {})"
    )


async def test_the_syntax_of_cells_with_errors_is_not_kept(run: Runner) -> None:
    for _ in range(3):
        await run("1 / 0")
    before = await number(run, SYNTAX_NODES)
    for _ in range(20):
        await run("1 / 0")
    assert await number(run, SYNTAX_NODES) <= before


async def test_of_cells_long_ago_the_code_is_not_kept(run: Runner) -> None:
    await run(
        "from analystd_inside import history_pruning\nkept, history_pruning.KEPT_CELLS = history_pruning.KEPT_CELLS, 5"
    )
    first = int((await run("len(In) - 1")).result or "")
    for _ in range(5):
        await run("pass")
    shown = await run(
        f"print(repr(In[{first}]), '_i{first}' in globals(), repr(In[-2]))\nhistory_pruning.KEPT_CELLS = kept"
    )
    assert shown.stdout == "'' False 'pass'\n"
