"""Output without end, from where it should not come, and too big to show."""

from __future__ import annotations

import asyncio
import re
import tracemalloc

import psutil
import pytest

from analystd.kernel.inside.output_limits import HEAD_CHARACTERS, MAX_DISPLAYS, TAIL_CHARACTERS
from analystd.kernel.inside.streams import BACKGROUND_CHARACTERS

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")

CUT = re.compile(r"\n… \[(\d+) bytes cut\] …\n")


async def test_big_output_keeps_its_two_ends_and_says_how_much_is_missing(run: Runner) -> None:
    execution = await run('for i in range(3000): print("\\n".join(map(str, range(i * 100, i * 100 + 100))))')
    whole = "".join(f"{i}\n" for i in range(300_000))
    head, missing, tail = CUT.split(execution.stdout)
    assert execution.truncated
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert (len(head), len(tail)) == (HEAD_CHARACTERS, TAIL_CHARACTERS)
    assert len(head) + int(missing) + len(tail) == len(whole)


async def test_output_just_below_the_bound_is_whole(run: Runner) -> None:
    execution = await run("print('é' * 1_000_000)")
    assert (execution.stdout, execution.truncated) == ("é" * 1_000_000 + "\n", False)


@pytest.mark.parametrize(
    "flood",
    [
        "while True: print('x' * 100)",
        "import os; os.system('yes')",
        "import sys\nwhile True: sys.stderr.write('y' * 10_000_000)",
        "import os\nwhile True: os.write(1, b'z' * 65536)",
    ],
)
async def test_endless_output_neither_fills_memory_nor_stalls_the_daemon(run: Runner, flood: str) -> None:
    longest = 0.0
    tracemalloc.start()
    task = asyncio.create_task(run(flood, timeout_seconds=1))
    while not task.done():
        before = asyncio.get_running_loop().time()
        await asyncio.sleep(0.01)
        longest = max(longest, asyncio.get_running_loop().time() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    execution = await task
    assert execution.truncated
    assert len(execution.stdout) + len(execution.stderr) < 2.2e6
    assert peak < 30e6
    assert longest < 0.5
    assert (await run("1 + 1")).result == "2"


async def test_a_big_result_is_bounded(run: Runner) -> None:
    execution = await run("'x' * 10_000_000")
    assert execution.result is not None
    assert len(execution.result) < 140_000
    assert execution.truncated


async def test_a_result_of_half_a_gigabyte_comes_bounded_and_in_time(run: Runner) -> None:
    if psutil.virtual_memory().available < 6e9:
        pytest.skip("too little memory for a string of half a gigabyte and its copies")
    execution = await run("'x' * 500_000_000", timeout_seconds=60)
    assert execution.result is not None
    assert len(execution.result) < 140_000
    assert (execution.status, execution.truncated) == ("ok", True)
    assert (await run("len(_)")).result == "500000000"
    await run("%reset -f")


async def test_a_display_that_is_too_big_leaves_a_note(run: Runner) -> None:
    execution = await run("from IPython.display import HTML, display\ndisplay(HTML('x' * 10_000_000))")
    note = "<IPython.core.display.HTML object>\n… [text/html of 10.0 MB left out: more than 4.2 MB] …"
    assert execution.displays == ({"text/plain": note},)
    assert execution.truncated


async def test_no_more_than_a_hundred_displays_are_kept_beside_the_result(run: Runner) -> None:
    execution = await run("for i in range(150): display(HTML(str(i)))\n'end'")
    assert (len(execution.displays), execution.result, execution.truncated) == (MAX_DISPLAYS, "'end'", True)


async def test_an_animation_ends_with_its_last_picture(run: Runner) -> None:
    code = "for i in range(150):\n    clear_output(wait=True)\n    display(HTML(str(i)))"
    execution = await run("from IPython.display import HTML, clear_output, display\n" + code)
    assert [display["text/html"] for display in execution.displays] == ["149"]
    assert not execution.truncated


async def test_a_flood_of_small_messages_loses_none_that_matters(run: Runner) -> None:
    execution = await run("d = display(0, display_id=True)\nfor i in range(2000): d.update(i)\n'end'")
    assert (execution.displays, execution.result) == (({"text/plain": "1999"},), "'end'")


async def test_the_text_is_truncated_if_the_kernel_dies_with_its_tail(run: Runner) -> None:
    execution = await run("import os\nprint('x' * 2_000_000)\nimport time; time.sleep(0.3)\nos._exit(1)")
    assert (execution.status, execution.truncated) == ("died", True)
    assert execution.stdout == "x" * HEAD_CHARACTERS


async def test_a_huge_message_of_an_error_is_bounded(run: Runner) -> None:
    execution = await run("raise ValueError('x' * 100_000_000)")
    assert execution.error is not None
    assert len(execution.error.message) < 10_000
    assert sum(map(len, execution.error.traceback)) < 200_000


async def test_lone_surrogates_and_broken_utf_8_arrive_as_something_printable(run: Runner) -> None:
    execution = await run("import os\nprint('\\ud800')\nos.write(1, b'\\xff\\n');")
    assert execution.stdout == "\\ud800\n\N{REPLACEMENT CHARACTER}\n"


async def test_colours_are_not_asked_for(run: Runner) -> None:
    execution = await run("import subprocess, sys\nsubprocess.run([sys.executable, '-c', '1/0'])\n!ls --color=auto")
    assert "\x1b" not in execution.stdout + execution.stderr


async def test_late_output_of_a_thread_belongs_to_the_code_that_started_it(run: Runner) -> None:
    start = "threading.Thread(target=late).start()"
    await run(
        "import threading\ngo = threading.Event()\ndone = threading.Event()\n"
        "def late():\n    go.wait()\n    print('late')\n    display('shown late')\n    done.set()\n" + start
    )
    execution = await run("go.set()\ndone.wait()\nprint('mine')")
    assert (execution.stdout, execution.displays) == ("mine\n", ())
    assert await run.late_text(start, "late") == "late\n"
    assert [output.data for output in run.late[start] if output.kind == "display"] == [{"text/plain": "'shown late'"}]


async def test_late_output_of_a_child_belongs_to_the_code_that_started_it(run: Runner) -> None:
    first = "child('first')"
    await run(
        "import subprocess, os\n"
        "def child(name): subprocess.Popen(['sh', '-c', f'read x; echo {name}; echo {name} >&2; sleep 60'], stdin=far)\n"
        "far, near = os.pipe()\n" + first
    )
    second = "far, near2 = os.pipe(); child('second')"
    await run(second)
    execution = await run(
        "import time\nos.write(near2, b'go\\n'); os.write(near, b'go\\n'); time.sleep(0.5); print('mine')"
    )
    assert (execution.stdout, execution.stderr) == ("mine\n", "")
    assert await run.late_text(first, "first\nfirst") == "first\nfirst\n"
    assert await run.late_text(second, "second\nsecond") == "second\nsecond\n"


async def test_the_pipes_of_children_that_have_ended_are_closed(run: Runner) -> None:
    count = "len(os.listdir('/proc/self/fd'))"
    await run("import subprocess, os, time")
    before = int((await run(count)).result or 0)
    for _ in range(10):
        await run("subprocess.Popen(['sleep', '0.2'])")
    await run("time.sleep(0.5)")
    assert int((await run(count)).result or 0) <= before + 2


async def test_many_children_that_keep_running_do_not_use_up_the_descriptors(run: Runner) -> None:
    await run("import os, subprocess\nthere = []")
    for _ in range(40):
        await run("there.append(subprocess.Popen(['sleep', '60']))")
    assert int((await run("len(os.listdir('/proc/self/fd'))")).result or 0) < 200
    assert (await run("!echo on\nprint('still')")).stdout == "on\nstill\n"
    # While they are there, later cells share a pipe, and so does what comes late of them.
    await run("for each in there:\n    each.kill()\n    each.wait()")


async def test_output_between_two_cells_is_of_the_one_that_started_it(run: Runner) -> None:
    start = "threading.Timer(0.05, print, ['between']).start()"
    await run(start)
    assert await run.late_text(start, "between") == "between\n"
    assert (await run("1")).stdout == ""


async def test_a_flood_in_the_background_is_cut_which_is_said_once(run: Runner) -> None:
    await run("import os, subprocess")
    flood = "far, near3 = os.pipe(); subprocess.Popen(['sh', '-c', 'sleep 0.2; yes | head -c 1000000; read x; echo more'], stdin=far)"
    await run(flood)
    text = await run.late_text(flood, "is left out until the next run")
    # All of the flood has been read before it is asked for more.
    await asyncio.sleep(0.5)
    await run("os.write(near3, b'go\\n')")
    assert BACKGROUND_CHARACTERS <= len(text) < BACKGROUND_CHARACTERS + 100
    assert "more" in await run.late_text(flood, "\nmore\n")


async def test_a_pool_made_earlier_prints_for_the_cell_that_gives_it_work(run: Runner) -> None:
    await run("from concurrent.futures import ThreadPoolExecutor\npool = ThreadPoolExecutor(1)\npool.submit(print, 1)")
    assert (await run("pool.submit(print, 2).result()")).stdout == "2\n"


async def test_a_handler_that_fails_does_no_harm(run: Runner) -> None:
    def fail(output: object) -> None:
        raise OSError("the editor has gone")

    execution = await run.session.execute("print('on')\n1", timeout_seconds=10, on_output=fail)
    assert (execution.stdout, execution.result) == ("on\n", "1")


async def test_code_that_forges_messages_of_the_kernel_harms_only_itself(run: Runner) -> None:
    code = """
from ipykernel.kernelapp import IPKernelApp
app = IPKernelApp.instance()
for content in ([1], {"data": 3}, {"name": 1, "text": {}}, "text", {"execution_state": ["idle"]}):
    for kind in ("stream", "display_data", "status", "execute_result", "clear_output", 7):
        message = app.session.msg("x", content, parent=get_ipython().parent_header)
        message["header"]["msg_type"] = kind
        try:
            app.session.send(app.iopub_socket, message)
        except Exception:
            pass
print("done")
"""
    execution = await run(code)
    assert execution.stdout.endswith("done\n")
    assert (await run("1 + 1")).result == "2"
