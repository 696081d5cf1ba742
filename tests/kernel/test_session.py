"""What code finds in a session, and what comes back."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from analystd.jail.activity import activity
from analystd.kernel.base import Output, SessionInfo

from .conftest import Runner

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_variable_is_remembered_from_one_run_to_the_next(run: Runner) -> None:
    await run("x = 41")
    execution = await run("x + 1")
    assert (execution.status, execution.result, execution.error) == ("ok", "42", None)


async def test_runs_are_counted(run: Runner) -> None:
    first = await run("1")
    second = await run("2")
    assert first.execution_count is not None
    assert second.execution_count == first.execution_count + 1


async def test_output_is_streamed_in_the_order_in_which_it_was_written(run: Runner) -> None:
    execution = await run("import sys\nfor i in range(3):\n    print(i)\n    print('e', i, file=sys.stderr)")
    assert (execution.stdout, execution.stderr) == ("0\n1\n2\n", "e 0\ne 1\ne 2\n")
    assert "".join(output.text for output in run.outputs if output.kind == "stdout") == execution.stdout


async def test_output_comes_while_the_code_still_runs(run: Runner) -> None:
    seen = asyncio.Event()
    running = asyncio.create_task(
        run.session.execute(
            "import time\nprint('early')\ntime.sleep(60)",
            timeout_seconds=20,
            on_output=lambda output: seen.set(),
        )
    )
    await asyncio.wait_for(seen.wait(), 10)
    assert not running.done()
    assert run.session.info().state == "busy"
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_children_and_c_code_write_in_their_turn(run: Runner) -> None:
    execution = await run("import os\nprint('a')\nos.system('echo b; echo c >&2')\nprint('d')\n!echo e")
    assert (execution.stdout, execution.stderr) == ("a\nb\nd\ne\n", "c\n")


async def test_a_forked_child_writes_once(run: Runner) -> None:
    code = """
import multiprocessing
print("parent")
child = multiprocessing.get_context("fork").Process(target=print, args=("child",))
child.start()
child.join()
"""
    assert (await run(code)).stdout == "parent\nchild\n"


async def test_a_child_that_comes_out_of_its_cell_ends_there(run: Runner) -> None:
    code = """
import os
kernel = os.getpid()
child = os.fork()
if not child:
    raise ValueError("in the child")
os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
    execution = await run(code)
    assert (execution.status, execution.result) == ("ok", "1")
    assert execution.stderr.endswith("ValueError: in the child\n")
    assert (await run("kernel == os.getpid()")).result == "True"
    execution = await run("for _ in range(3): os.fork()\n'mine'")
    assert (execution.stdout, execution.stderr, execution.result) == ("", "", "'mine'")


async def test_the_line_of_an_error_is_the_callers(run: Runner) -> None:
    execution = await run("\n\ndef fail():\n    raise ValueError('no such bar')\n\nfail()")
    assert execution.status == "error"
    assert execution.error is not None
    assert (execution.error.name, execution.error.message, execution.error.line) == ("ValueError", "no such bar", 4)
    assert "".join(execution.error.traceback).count("\x1b") == 0
    assert execution.error.traceback[-1] == "ValueError: no such bar"


async def test_the_line_is_of_this_cell_when_older_code_fails(run: Runner) -> None:
    await run("# a line above\ndef fail():\n    return 1 / 0")
    execution = await run("1\nfail()")
    assert execution.error is not None
    assert (execution.error.name, execution.error.line) == ("ZeroDivisionError", 2)


async def test_a_syntax_error_has_its_line(run: Runner) -> None:
    execution = await run("x = 1\nfor for\n")
    assert execution.error is not None
    assert (execution.error.name, execution.error.line) == ("SyntaxError", 2)


async def test_an_exception_group_is_an_error_with_its_traceback(run: Runner) -> None:
    execution = await run("1\nraise ExceptionGroup('both', [ValueError(1), KeyError(2)])")
    assert execution.error is not None
    assert (execution.error.name, execution.error.line, execution.stderr) == ("ExceptionGroup", 2, "")
    assert any("KeyError: 2" in line for line in execution.error.traceback)


async def test_an_endless_recursion_is_told_briefly(run: Runner) -> None:
    execution = await run("def deeper(n):\n    return deeper(n + 1)\ndeeper(0)")
    assert execution.error is not None
    assert execution.error.name == "RecursionError"
    assert len(execution.error.traceback) < 500


async def test_a_result_that_cannot_be_shown_is_an_error(run: Runner) -> None:
    execution = await run("class Shy:\n    def __repr__(self):\n        raise RuntimeError('not for you')\nShy()")
    assert execution.error is not None
    assert (execution.error.name, execution.error.message) == ("RuntimeError", "not for you")


async def test_a_plot_arrives_as_png_without_being_shown(run: Runner) -> None:
    execution = await run("import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);")
    (display,) = execution.displays
    assert base64.b64decode(display["image/png"]).startswith(b"\x89PNG")
    assert run.outputs == [Output("display", data=display)]


async def test_a_table_arrives_as_text_and_as_html(run: Runner) -> None:
    execution = await run("import pandas as pd\npd.DataFrame({'a': [1, 2]})")
    assert execution.result == "   a\n0  1\n1  2"
    (display,) = execution.displays
    assert "<table" in display["text/html"]


async def test_a_wide_table_is_printed_in_lines_of_120(run: Runner) -> None:
    execution = await run("print(pd.DataFrame([[123456789] * 10], columns=[f'c{i}' for i in range(10)]))")
    assert len(execution.stdout.splitlines()) == 2


async def test_cleared_output_is_gone_from_the_result(run: Runner) -> None:
    code = "from IPython.display import clear_output\nprint('a')\nclear_output(wait=True)\nprint('b')"
    assert (await run(code)).stdout == "b\n"


async def test_an_updated_display_is_shown_once(run: Runner) -> None:
    code = "from IPython.display import HTML, display\nd = display(HTML('1'), display_id=True)\nd.update(HTML('2'))"
    execution = await run(code)
    assert [display["text/html"] for display in execution.displays] == ["2"]


async def test_asking_for_input_fails_at_once_and_says_what_to_do(run: Runner) -> None:
    execution = await run("name = input('Your name? ')", timeout_seconds=5)
    assert execution.error is not None
    assert execution.error.name == "StdinNotImplementedError"
    assert "Write the value into the code instead" in execution.error.message


@pytest.mark.parametrize("code", ["breakpoint()", "import pdb; pdb.set_trace()"])
async def test_a_debugger_does_not_hang_and_reports_that_it_is_not_available(run: Runner, code: str) -> None:
    error = (await run(code, timeout_seconds=10)).error
    assert error is not None
    assert error.message.startswith("The debugger is not available")


async def test_help_is_printed(run: Runner) -> None:
    await run("def mean(values):\n    'The middle of it.'")
    assert "The middle of it." in (await run("mean?")).stdout


async def test_top_level_await_works(run: Runner) -> None:
    assert (await run("import asyncio\nawait asyncio.sleep(0, 7)")).result == "7"


async def test_the_session_starts_in_the_workspace_and_imports_from_it(run: Runner, workspace: Path) -> None:
    (workspace / "rates.py").write_text("euro = 1.1")
    execution = await run("import os, rates\nos.getcwd(), rates.euro")
    assert execution.result == f"('{workspace}', 1.1)"


async def test_reset_by_magic_needs_no_confirmation(run: Runner) -> None:
    await run("gone = 1")
    await run("%reset")
    assert (await run("'gone' in dir()")).result == "False"


async def test_a_fresh_namespace_holds_nothing_of_ours(run: Runner) -> None:
    await run("%reset")
    execution = await run("sorted(name for name in dir() if not name.startswith('_'))")
    assert execution.result == "['In', 'Out', 'exit', 'get_ipython', 'open', 'quit']"


@pytest.mark.parametrize(
    "mischief",
    [
        "import sys; sys.stdout.close(); sys.stderr.close()",
        "import sys; sys.stdout = sys.stderr = None",
        "import sys; del sys.stdout",
        "import os; os.close(1); os.close(2)",
        "import builtins; builtins.len = builtins.isinstance = builtins.print = None",
        "import builtins; builtins.__import__ = None",
        "import os; os.makedirs('gone'); os.chdir('gone'); os.rmdir('../gone')",
        "import sys; sys.path.clear()",
        "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
        "import os; os.environ.clear()",
    ],
)
async def test_whatever_a_cell_does_to_the_process_the_next_one_works(run: Runner, mischief: str) -> None:
    await run(mischief)
    execution = await run("import os\nprint(len([1, 2]))\nos.system('echo shell')\n'fine'")
    assert (execution.status, execution.stdout, execution.result) == ("ok", "2\nshell\n", "'fine'")
    await run("import os, sys; os.chdir(os.environ.get('HOME', '/tmp'))")


async def test_a_snapshot_tells_the_state(run: Runner) -> None:
    await run("1")
    info = run.session.info()
    assert info == SessionInfo("main", "idle", info.pid, info.execution_count, info.memory_bytes)
    assert info.pid is not None
    assert info.memory_bytes is not None
    assert 20e6 < info.memory_bytes < 2e9


async def test_code_that_is_no_text_is_an_error(run: Runner) -> None:
    assert (await run("1\x00")).status == "error"
    assert (await run("'\ud800'")).result == "'?'"
    assert (await run("")).status == "ok"


async def test_two_runs_at_once_take_turns(run: Runner) -> None:
    first, second = await asyncio.gather(run("print(1); 'a'"), run("print(2); 'b'"))
    assert (first.stdout, first.result, second.stdout, second.result) == ("1\n", "'a'", "2\n", "'b'")


async def test_a_profile_that_code_wrote_does_not_run_in_later_kernels(run: Runner) -> None:
    code = """
import os, pathlib
folder = pathlib.Path(os.environ["IPYTHONDIR"], "profile_default")
(folder / "startup").mkdir(parents=True, exist_ok=True)
(folder / "startup/00.py").write_text("planted = 1")
(folder / "ipython_config.py").write_text("c.InteractiveShellApp.exec_lines = ['planted = 2']")
"""
    await run("import os; os._exit(0)")
    await run(code)
    await run("import os; os._exit(0)")
    assert (await run("'planted' in dir()")).result == "False"


async def test_the_file_that_code_is_of_is_its_file_and_no_later_codes(run: Runner) -> None:
    executions = [
        await run.session.execute(code, timeout_seconds=30, on_output=lambda output: None, file=file)
        for code, file in (("__file__", "/w/a b.py"), ("__file__", "/w/c.py"), ("'__file__' in dir()", None))
    ]
    assert [execution.result for execution in executions] == ["'/w/a b.py'", "'/w/c.py'", "False"]
    await run("__file__ = 'mine'")
    assert (await run("__file__")).result == "'mine'"
    await run("del __file__")


async def test_a_spawned_process_starts_after_a_reset_by_magic(run: Runner) -> None:
    await run("%reset -f")
    code = "import multiprocessing, operator\nwith multiprocessing.get_context('spawn').Pool(1) as pool: print(pool.map(operator.neg, [1, 2]))"
    execution = await run(code)
    assert (execution.status, execution.stdout) == ("ok", "[-1, -2]\n"), execution
    assert (await run("__name__, __spec__")).result == "('__main__', None)"


async def test_a_session_that_is_idle_sleeps(run: Runner) -> None:
    # What appears in the workspace while one of its threads runs is taken for its own.
    await run("import threading\nfor _ in range(3): threading.Thread(target=print, args=('hello',)).start()")
    pid = run.session.info().pid
    assert pid is not None
    await asyncio.sleep(3)
    before = activity([pid])
    await asyncio.sleep(11)
    assert activity([pid]) == before


async def test_many_threads_that_print_leave_nothing_behind(run: Runner) -> None:
    # Each has a socket of its own, and there can be about a thousand.
    code = """
import threading, time
for _ in range(4):
    threads = [threading.Thread(target=print, args=("x",)) for _ in range(400)]
    [each.start() for each in threads]
    [each.join() for each in threads]
    time.sleep(1.5)
"""
    execution = await run(code, timeout_seconds=60)
    assert (execution.error, execution.stdout.count("x")) == (None, 1600)
