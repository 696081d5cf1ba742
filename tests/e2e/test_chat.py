"""`analystd chat` at a real pseudo-terminal, and from a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest
from tests.e2e.test_terminal import HOSTILE
from tests.station import SECONDS, Station, is_running

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

PROGRAMMER = 1_500_000_000
UP, ALT_ENTER, CTRL_D = "\x1b[A", "\x1b\r", "\x04"


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def called(code: str) -> str:
    return f'<tool name="pyexe">\n{json.dumps({"code": code})}\n</tool>'


class Typist:
    """Someone at a terminal in which a chat runs."""

    def __init__(self, station: Station, *arguments: str) -> None:
        program, *rest = station.command("chat", *arguments)
        # Nobody here answers where the cursor is.
        environment = {**station.environment, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.child = pexpect.spawn(
            program,
            rest,
            cwd=str(station.project),
            env=environment,
            encoding="utf-8",
            timeout=SECONDS,
            dimensions=(40, 120),
        )
        self.shown = ""

    def sees(self, text: str) -> str:
        """Wait until the terminal shows a text; gives what it showed up to its end."""
        self.child.expect_exact(text)
        return self._take()

    def types(self, text: str) -> None:
        self.child.send(text)

    def asks(self, text: str) -> None:
        self.prompted()
        self.types(f"{text}\r")

    def prompted(self) -> str:
        """Wait until a question can be typed."""
        # The terminal is told to mark what is pasted whenever a line begins to be read.
        return self.sees("\x1b[?2004h")

    def leaves(self) -> int:
        self.prompted()
        self.types(CTRL_D)
        return self.ends()

    def ends(self) -> int:
        self.child.expect(pexpect.EOF)
        self._take()
        self.child.close()
        assert isinstance(self.child.exitstatus, int)
        return self.child.exitstatus

    def _take(self) -> str:
        after = self.child.after if isinstance(self.child.after, str) else ""
        shown = f"{self.child.before}{after}"
        self.shown += shown
        return shown


@contextlib.contextmanager
def chatting(station: Station, *arguments: str) -> Iterator[Typist]:
    typist = Typist(station, *arguments)
    try:
        yield typist
    finally:
        typist.child.close(force=True)


def play_slowly(station: Station, reply: str, delay: float) -> None:
    station.play([])
    (station.home / "script.jsonl").write_text(json.dumps({"say": reply, "delay": delay}) + "\n")


def counted(words: int) -> str:
    """A text of so many words in which nothing is repeated."""
    return f"Alpha {' '.join(map(str, range(words)))} omega."


def runs(station: Station) -> list[dict[str, object]]:
    found: list[dict[str, object]] = station.result("runs")["runs"]
    return found


def test_words_are_shown_while_they_come(fresh_station: Station) -> None:
    play_slowly(fresh_station, counted(30), 0.1)
    with chatting(fresh_station) as typist:
        typist.asks("Tell me.")
        typist.sees("Alpha")
        began = time.monotonic()
        assert "omega" not in typist.sees("omega.")[:-6]
        assert time.monotonic() - began > 1
        assert typist.leaves() == 0


def test_steps_answer_plot_and_numbers_from_nowhere_are_shown(fresh_station: Station) -> None:
    station = fresh_station
    (station.workspace / "bars.csv").write_text("day,close\n2024-01-01,10.5\n2024-01-02,12\n")
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()\nprint('mean:', 11.25)"
    station.play([fenced(code), "It is 99.", "The **mean** is 11.25, not 77."], parameters=PROGRAMMER)
    with chatting(station) as typist:
        typist.asks("What is the mean close?")
        typist.sees("print('mean:', 11.25)")
        path = re.search(r"\[plot: (\S+\.png)\]", typist.sees(".png]"))
        assert path is not None
        typist.sees("← mean: 11.25")
        typist.sees("The answer:")
        typist.sees("\x1b[1mmean\x1b[0m is 11.25, not 77.")
        typist.sees("in no output of this conversation: 77")
        typist.sees("not [?77?].")
        assert typist.leaves() == 0
    plot = Path(path[1])
    assert plot.read_bytes().startswith(b"\x89PNG\r\n")
    assert stat.S_IMODE(plot.parent.stat().st_mode) == 0o700


def test_what_the_model_only_thinks_is_not_shown(fresh_station: Station) -> None:
    fresh_station.play(["<think>Hm, secret.</think>Plain < words."])
    with chatting(fresh_station) as typist:
        typist.asks("Well?")
        typist.sees("Plain < words.")
        assert typist.leaves() == 0
    assert "secret" not in typist.shown
    assert "<thi" not in typist.shown
    assert typist.shown.count("Plain < words.") == 1


def test_ctrl_c_stops_the_run_and_not_the_chat(fresh_station: Station) -> None:
    station = fresh_station
    endless = called("kept = 5\nopen('runs.txt', 'w').close()\nwhile True: pass")
    station.play([endless, "Still here."])
    with chatting(station) as typist:
        typist.asks("Count.")
        typist.sees("while True: pass")
        while not (station.workspace / "runs.txt").exists():
            time.sleep(0.05)
        typist.types("\x03")
        typist.sees("Stopped.")
        typist.asks("/vars")
        typist.sees("kept")
        typist.asks("Are you there?")
        typist.sees("Still here.")
        assert typist.leaves() == 0
    after, before = runs(station)
    assert (before["status"], after["status"]) == ("cancelled", "done")
    assert before["conversation"] == after["conversation"]


def test_ctrl_c_empties_a_line_and_leaves_an_empty_one_at_the_second_time(station: Station) -> None:
    with chatting(station) as typist:
        typist.prompted()
        typist.types("half a question")
        typist.sees("question")
        typist.types("\x03")
        typist.prompted()
        typist.types("\x03")
        typist.sees("Ctrl-C again leaves")
        typist.prompted()
        typist.types("\x03")
        assert typist.ends() == 0


def test_what_was_asked_is_there_at_the_next_start_and_goes_on_in_several_lines(fresh_station: Station) -> None:
    station = fresh_station
    station.play(["One.", "Two."])
    with chatting(station) as typist:
        typist.asks(f"first line{ALT_ENTER}second\\\rthird")
        typist.sees("One.")
        assert typist.leaves() == 0
    kept = next(station.state.glob("desks/*/chat_history.jsonl"))
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with chatting(station) as typist:
        typist.prompted()
        typist.types(UP)
        typist.sees("third")
        typist.types("\r")
        typist.sees("One.")
        assert typist.leaves() == 0
    asked = [station.result("show", str(run["run_id"]))["events"][0]["prompt"] for run in runs(station)]
    assert asked == ["first line\nsecond\nthird"] * 2


def test_hostile_text_reaches_the_terminal_as_something_to_read(fresh_station: Station) -> None:
    station = fresh_station
    (station.workspace / f"{HOSTILE.replace('/', '')}.csv").write_text(f'a,"{HOSTILE}"\n1,"{HOSTILE}"\n')
    code = f"x = {HOSTILE!r}\nprint(x)"
    # In pieces of a few characters: what is hostile comes in parts.
    station.play(
        [called(code), f"# {HOSTILE}\n**{HOSTILE}** `{HOSTILE}`\n| {HOSTILE} | b |\n|---|---|\n| c | {HOSTILE} |\nEnd."]
    )
    with chatting(station) as typist:
        typist.prompted()
        typist.types(f"\x1b[200~What is \u202e\u200b{HOSTILE.replace(chr(27), '').replace(chr(10), '')}?\x1b[201~\r")
        typist.sees("End.")
        typist.sees("done,")
        for command in ("/runs", "/vars", "/view no\u202e.csv", "/nothing"):
            typist.asks(command)
        typist.sees("There is no command")
        assert typist.leaves() == 0
    for obeyed in (
        "\x1b]",
        "\x1bP",
        "\x1b[2J",
        "\x07",
        "\x7f",
        "\u202e",
        "\u200b",
        "\u2028",
        "\x9b",
        "\x9d",
        "\x9c",
        "x\ry",
    ):
        assert obeyed not in typist.shown, repr(obeyed)


def test_another_size_of_the_terminal_disturbs_nothing(fresh_station: Station) -> None:
    play_slowly(fresh_station, counted(30), 0.05)
    with chatting(fresh_station) as typist:
        typist.prompted()
        typist.types("Tell ")
        typist.child.setwinsize(10, 30)
        typist.types("me.\r")
        typist.sees("Alpha")
        typist.child.setwinsize(50, 200)
        typist.sees("omega.")
        assert typist.leaves() == 0
    assert [run["title"] for run in runs(fresh_station)] == ["Tell me."]


def test_the_death_of_the_daemon_and_another_model_are_told_and_the_chat_goes_on(fresh_station: Station) -> None:
    station = fresh_station
    station.play(["One."])
    first_model = station.environment["AGENT_MODEL_PATH"]
    with chatting(station) as typist:
        typist.asks("First?")
        typist.sees("One.")
        typist.prompted()
        conversation = runs(station)[0]["conversation"]
        pid = station.daemon_pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        typist.sees("The connection to the daemon was lost.")
        while is_running(pid):
            time.sleep(0.05)
        # Another window starts the next daemon, with another model.
        other = station.home / "other.jsonl"
        other.write_text(json.dumps({"say": "Two."}) + "\n")
        station.environment["AGENT_MODEL_PATH"] = str(other)
        station.run("exec", "1")
        typist.types("Second?\r")
        typist.sees("Another daemon answers now")
        typist.sees(f"The model is now {other}; it was {first_model}.")
        typist.sees("Two.")
        assert typist.leaves() == 0
    assert [run["conversation"] for run in runs(station) if run["kind"] == "agent"] == [conversation] * 2


def test_a_daemon_that_dies_in_a_run_is_told_and_the_next_question_is_answered(fresh_station: Station) -> None:
    station = fresh_station
    play_slowly(station, counted(200), 0.1)
    with chatting(station) as typist:
        typist.asks("Tell me.")
        typist.sees("Alpha")
        pid = station.daemon_pid()
        assert pid is not None
        station.play(["Short."])
        os.kill(pid, signal.SIGKILL)
        typist.sees("! ")
        typist.asks("Again?")
        typist.sees("Short.")
        assert typist.leaves() == 0
    assert sorted(str(run["status"]) for run in runs(station)) == ["done", "failed"]


def test_another_window_that_resets_the_session_is_told_at_the_prompt(station: Station) -> None:
    with chatting(station) as typist:
        typist.prompted()
        station.run("exec", "x = 1")
        station.run("reset")
        typist.sees("The session 'main' was reset by ")
        assert typist.child.isalive()


def test_the_last_exchange_is_taken_out_of_the_conversation(fresh_station: Station) -> None:
    station = fresh_station
    station.play(["One.", "Two.", "Three."])
    with chatting(station) as typist:
        typist.asks("/undo-last")
        typist.sees("so there is nothing to remove")
        typist.asks("First?")
        typist.sees("One.")
        typist.asks("Second?")
        typist.sees("Two.")
        typist.asks("/undo-last")
        typist.sees("Removed from the conversation: Second?")
        typist.asks("Third?")
        typist.sees("Three.")
        assert typist.leaves() == 0
    third, second, first = runs(station)
    assert third["conversation"] == first["conversation"]
    assert station.result("show", str(third["run_id"]))["events"][0]["forget_runs"] == [second["run_id"]]


def test_commands_show_what_the_command_line_shows(fresh_station: Station) -> None:
    station = fresh_station
    (station.workspace / "bars.csv").write_text("day,close\n2024-01-01,10.5\n2024-01-02,12\n")
    station.play(["One.", "Other."])
    with chatting(station) as typist:
        typist.prompted()
        typist.types("/vi\t")
        typist.sees("/view")
        typist.types(" ba\t")
        typist.sees("rs.csv")
        typist.types(" --filter 'close > 11'\r")
        typist.sees("2024-01-02     12")
        typist.asks("/view bars.csv sideways")
        typist.sees("invalid choice: 'sideways'")
        typist.asks("/model")
        typist.sees(f"model: {station.environment['AGENT_MODEL_PATH']}")
        typist.asks("/data/bars.csv has how many rows?")
        typist.sees("One.")
        typist.asks("/new")
        typist.sees("new conversation")
        typist.asks("Anew?")
        typist.sees("One.")
        typist.asks("/runs")
        typist.sees("Anew?")
        typist.asks("/help")
        typist.sees("/undo-last")
        typist.asks("/quit")
        assert typist.ends() == 0
    assert len({run["conversation"] for run in runs(station)}) == 2


def test_from_a_pipe_each_line_is_answered_in_plain_text(fresh_station: Station) -> None:
    station = fresh_station
    station.play(["**One**.", "Two\n\n- lines."])
    done = station.run("chat", stdin="First?\n\nSecond \\\nof two lines?\n/new\nThird?")
    assert done.stdout == (
        "**One**.\nTwo\n\n- lines.\nThe next question begins a new conversation; files and variables are still there.\n**One**.\n"
    )
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.count(": done, 0 calls") == 3
    third, second, first = runs(station)
    assert first["conversation"] == second["conversation"] != third["conversation"]
    assert station.result("show", str(second["run_id"]))["events"][0]["prompt"] == "Second \nof two lines?"


def test_from_a_file_what_fails_is_told_and_gives_the_exit_status(fresh_station: Station) -> None:
    station = fresh_station
    station.play(["One."])
    questions = station.home / "questions.txt"
    questions.write_bytes(b"First?\n/nothing\nSecond?\n/view none.csv\n")
    with questions.open() as file:
        done = subprocess.run(
            station.command("chat"),
            stdin=file,
            cwd=station.project,
            env=station.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    assert done.returncode == 2
    assert done.stdout.startswith("One.\nThe run failed: The script")
    assert "There is no command /nothing" in done.stderr
    assert "WorkspaceError: No such file: none.csv" in done.stderr
    refused = subprocess.run(
        station.command("chat"), input=b"caf\xe9\n", cwd=station.project, env=station.environment, capture_output=True
    )
    assert (refused.returncode, refused.stderr.decode().splitlines()[0]) == (
        2,
        "analystd: stdin is not UTF-8: unexpected end of data at byte 3",
    )


def test_a_conversation_that_is_not_there_is_refused_in_a_sentence(station: Station) -> None:
    with chatting(station, "--conversation", "conv_none") as typist:
        typist.asks("Well?")
        typist.sees("There is no conversation 'conv_none' here")
        assert typist.leaves() == 0
