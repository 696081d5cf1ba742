"""Hostile content before a real terminal: no command lets out what a terminal would obey, and each says how code ended."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.station import Station

SECONDS = 60.0

HOSTILE = "\x1b]52;c;aGk=\x07\x1b]8;;http://evil\x1b\\go\x1b]8;;\x1b\\\x1b]0;t\x07\x1bPq\x1b\\\x1b[2J\x9b31m\x9d0;t\x9c\x08\x7fx\ry\u202e\u200b\u2028z"
"""What a terminal would obey: clipboard, link, title, device control, erasing, one-byte forms, and what hides or turns text."""

FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u200b\u202e\u2028]|\r(?!\n)|\x1b(?!\\[[0-9;]*m)")
"""All control characters but line ends and colours."""

OWN_PROGRESS = re.compile("\rReading [^\r\x1b]* … [0-9]+%\x1b\\[K|\r\x1b\\[K")
"""The line that tells how far a view is."""


def on_terminal(station: Station, *arguments: str, interrupt_at: str = "") -> tuple[int, str]:
    """Run `analystd` on a terminal; gives its exit status and all that the terminal got. Ctrl-C is sent once it has shown a text."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        station.command(*arguments),
        cwd=station.project,
        env={**station.environment, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        shown, deadline = b"", time.monotonic() + SECONDS
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                if not select.select([ours], [], [], 1)[0]:
                    continue
                if not (piece := os.read(ours, 65536)):
                    break
                shown += piece
                if interrupt_at and interrupt_at.encode() in shown:
                    process.send_signal(signal.SIGINT)
                    interrupt_at = ""
        os.close(ours)
        return process.wait(SECONDS), shown.decode()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Station:
    """A station in which everything that can be hostile is: data, names, code, answers, displays, errors, the log."""
    station = Station(tmp_path_factory.mktemp("s"))
    table = f'a,"{HOSTILE}"\n1,"{HOSTILE}"\n'
    name = HOSTILE.replace("/", "")
    (station.workspace / "data.csv").write_text(table)
    (station.workspace / f"{name}.csv").write_text(table)
    call = f'<tool name="pyexe">\n{json.dumps({"code": f"print({HOSTILE!r})"})}\n</tool>'
    station.play([call, f"So it is {HOSTILE}", f"Again {HOSTILE}"])
    return station


@pytest.fixture(scope="module", autouse=True)
def stopped(hostile: Station) -> object:
    yield
    hostile.stop()


DISPLAY = f"""
from IPython.display import display
display({{'text/plain': {HOSTILE!r}, 'image/{HOSTILE}': 'x'}}, raw=True)
display({{'image/{HOSTILE}': 'x'}}, raw=True)
"""
RAISE = f"type({'E' + HOSTILE!r}, (Exception,), {{}})\nraise type({'E' + HOSTILE!r}, (Exception,), {{}})({HOSTILE!r})"
VALUE = f"type('V', (), {{'__repr__': lambda self: {HOSTILE!r}}})()"


@pytest.mark.timeout(400)
def test_no_command_lets_out_what_a_terminal_would_obey(hostile: Station) -> None:
    station = hostile
    name = HOSTILE.replace("/", "")
    commands = [
        ["exec", f"print({HOSTILE!r})"],
        ["exec", f"import sys; print({HOSTILE!r}, file=sys.stderr)"],
        ["exec", DISPLAY],
        ["exec", RAISE],
        ["exec", VALUE],
        ["exec", f"# {HOSTILE}"],
        ["exec", f"open({('new' + name)!r}, 'w').close()"],
        ["run", f"What is {HOSTILE}?"],
        ["run", "Again?"],
        ["files"],
        ["files", name],
        ["runs"],
        ["logs"],
        ["status"],
        ["doctor"],
        ["model", "list"],
        ["model", "show"],
        ["model", "use", HOSTILE],
        ["cancel", HOSTILE],
        ["show", HOSTILE],
        ["trust", HOSTILE],
        ["exec", "--session", HOSTILE, "1"],
        ["exec", "--workspace", HOSTILE, "1"],
        *(
            ["view", file, operation]
            for file in ("data.csv", f"{name}.csv")
            for operation in ("head", "columns", "schema", "shape", "describe", "profile")
        ),
        ["view", f"no{name}"],
        ["view", "data.csv", "--filter", f"{HOSTILE} = 1"],
        ["view", "data.csv", "--sort", HOSTILE],
        [HOSTILE],
    ]
    for command in commands:
        check_inert(command, on_terminal(station, *command)[1])
    for run in station.result("runs")["runs"]:
        for command in (["show", run["run_id"]], ["logs", run["run_id"]]):
            check_inert(command, on_terminal(station, *command)[1])
    for command in commands + [["show", run["run_id"]] for run in station.result("runs")["runs"]]:
        if command != [HOSTILE]:
            done = on_terminal(station, *command, "--json")[1]
            check_inert(command, done)
            assert isinstance(json.loads(done), dict)


def check_inert(command: list[str], shown: str) -> None:
    shown = OWN_PROGRESS.sub("", shown)
    found = FORBIDDEN.search(shown)
    assert found is None, f"{command}: {shown[max(0, found.start() - 40) : found.end() + 40]!r}"
    assert "Traceback (most recent call last)\r\n  File" not in shown


def test_a_limit_a_timeout_and_a_death_are_told_on_stderr_with_what_became_of_the_variables(station: Station) -> None:
    station.run("exec", "keep = 1")
    late = station.run("exec", "--timeout", "1", "import time; time.sleep(60)", check=4).stderr
    assert late.endswith("TimeoutError: The code ran longer than 1 s and was interrupted; the variables are kept.\n")
    assert station.run("exec", "keep").stdout == "1\n"
    died = station.run("exec", "import os; os._exit(7)", check=1).stderr
    assert died == "KernelDied: The session's process ended with exit status 7; all variables are lost.\n"


def test_show_tells_why_code_ended_once(station: Station) -> None:
    run_id = station.result("exec", "--timeout", "1", "import time; time.sleep(60)", check=4)["run_id"]
    assert station.run("show", run_id).stdout.count("ran longer than 1 s and was interrupted") == 1


def test_after_ctrl_c_it_is_told_what_became_of_the_variables(station: Station) -> None:
    deaf = "while True:\n    try:\n        print('going', flush=True)\n        while True: pass\n    except KeyboardInterrupt: pass"
    status, shown = on_terminal(station, "exec", deaf, interrupt_at="going")
    assert status == 130
    assert "all variables are lost" in shown
    status, shown = on_terminal(station, "exec", "print('going', flush=True)\nwhile True: pass", interrupt_at="going")
    assert status == 130
    assert "KeyboardInterrupt" in shown


def test_displays_are_printed_in_their_order_and_once(station: Station) -> None:
    code = "import pandas as pd\nprint(0)\nfor n in (1, 2):\n    display(pd.DataFrame({'a': [n]}))\nprint(3)\npd.DataFrame({'a': [4]})"
    done = station.run("exec", code)
    assert done.stdout == "0\n   a\n0  1\n   a\n0  2\n3\n   a\n0  4\n"
    assert done.stderr == ""
    assert station.run("exec", "display('text')\n'text'").stdout == "'text'\n'text'\n"
    assert (
        station.run("exec", "from IPython.display import Markdown\ndisplay(Markdown('# Title'))").stdout == "# Title\n"
    )


def test_a_plot_is_told_with_its_type_and_can_be_saved(station: Station, tmp_path: Path) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
    done = station.run("exec", code)
    run_id = station.result("runs")["runs"][0]["run_id"]
    assert done.stdout == "<Figure size 640x480 with 1 Axes>\n"
    assert done.stderr == f"[display: image/png; `analystd show {run_id} --save DIR` saves it]\n"
    saved = station.run("show", run_id, "--save", str(tmp_path / "plots")).stdout.strip()
    assert Path(saved).read_bytes().startswith(b"\x89PNG\r\n")
    assert (
        "cannot be written: File exists"
        in station.run("show", run_id, "--save", str(tmp_path / "plots"), check=4).stderr
    )


def test_a_link_in_the_place_of_a_saved_file_is_not_followed(station: Station, tmp_path: Path) -> None:
    run_id = station.result("exec", "display('text')")["run_id"]
    victim = tmp_path / "victim"
    victim.write_text("mine")
    (tmp_path / f"{run_id}-1.txt").symlink_to(victim)
    station.run("show", run_id, "--save", str(tmp_path), check=4)
    assert victim.read_text() == "mine"


def test_a_progress_bar_rewrites_its_line_on_a_terminal(station: Station) -> None:
    code = "import time\nfor n in (10, 100):\n    print(f'\\r{n}%', end='', flush=True); time.sleep(0.5)\nprint()"
    _, shown = on_terminal(station, "exec", code)
    assert shown == "\r\x1b[K10%\r\x1b[K100%\r\n"


def test_code_on_stdin_may_begin_with_a_byte_order_mark(station: Station) -> None:
    assert station.run("exec", "-", stdin="\ufeffprint(7)").stdout == "7\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (b"print('\xff')", "analystd: stdin is not UTF-8: invalid start byte at byte 7"),
        (b"#" * (16 * 2**20 + 1), "analystd: stdin holds more than 16 MiB"),
    ],
    ids=["not UTF-8", "too long"],
)
def test_what_cannot_be_code_on_stdin_is_refused_in_a_sentence(station: Station, given: bytes, words: str) -> None:
    done = subprocess.run(
        station.command("exec", "-"),
        env=station.environment,
        cwd=station.project,
        input=given,
        capture_output=True,
        timeout=SECONDS,
    )
    assert done.returncode == 2
    assert done.stderr.decode().splitlines()[0] == words


def test_output_on_a_full_device_is_told_in_a_sentence_and_a_reader_may_leave(station: Station) -> None:
    with open("/dev/full", "w") as device:  # noqa: PTH123
        done = subprocess.run(
            station.command("exec", "print(1)"),
            env=station.environment,
            cwd=station.project,
            stdout=device,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "analystd: the output could not be written: No space left on device\n")
    many = station.command("exec", "for i in range(100000): print(i)")
    with subprocess.Popen(
        many, env=station.environment, cwd=station.project, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_closed_streams_are_no_failure(station: Station) -> None:
    command = " ".join(map(shlex.quote, station.command("exec", "print(1)\n2")))
    for closed in (">&-", "2>&-", ">&- 2>&-", "<&-"):
        done = subprocess.run(
            ["sh", "-c", f"{command} {closed}"],
            env=station.environment,
            cwd=station.project,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout == ("" if closed.startswith(">") else "1\n2\n")


def test_a_name_with_line_ends_poses_as_no_message_of_ours(station: Station) -> None:
    done = station.run("view", "no\nanalystd: all is well.csv", check=4)
    assert done.stderr.splitlines()[0] == "WorkspaceError: No such file: no\\nanalystd: all is well.csv"


def test_the_trail_of_a_question_shows_displays_and_why_code_ended(fresh_station: Station) -> None:
    station = fresh_station
    codes = ["import pandas as pd\ndisplay(pd.DataFrame({'a': [7]}))", "import os; os._exit(3)"]
    calls = [f'<tool name="pyexe">\n{json.dumps({"code": code})}\n</tool>' for code in codes]
    station.play([*calls, "Done."])
    done = station.run("run", "Show it.")
    assert done.stdout == "Done.\n"
    assert "     a\n  0  7\n" in done.stderr
    assert done.stderr.count("! The session's process ended with exit status 3; all variables are lost.\n") == 1
    shown = station.run("show", station.result("runs")["runs"][0]["run_id"]).stdout
    assert "     a\n  0  7\n" in shown
    assert "! The session's process ended with exit status 3; all variables are lost.\n" in shown
