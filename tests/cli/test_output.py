"""What leaves the command line, and what happens where it cannot."""

from __future__ import annotations

import io
import os
import pty
import subprocess

import pytest
from tests.station import Station

from analystd.cli.commands import run_command
from analystd.cli.output import InertWriter, inert

pytestmark = pytest.mark.slow


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_is_printed_is_inert_and_styles_are_ours() -> None:
    terminal = Terminal()
    writer = InertWriter(terminal)
    print("a\x1b[2J\x07b", file=writer)
    writer.write_styled("\x1b]0;t\x07", "31")
    assert terminal.getvalue() == "a\\x1b[2J\\x07b\n\x1b[31m\\x1b]0;t\\x07\x1b[0m"


def test_a_style_is_for_terminals_and_can_be_declined(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    InertWriter(file).write_styled("text", "31")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    InertWriter(terminal).write_styled("text", "31")
    assert (file.getvalue(), terminal.getvalue()) == ("text", "text")


def test_a_programs_bytes_reach_a_file_unchanged_and_a_terminal_inert() -> None:
    text = "\x1b[32mok\x1b[2J\x07"
    file, terminal = io.StringIO(), Terminal()
    InertWriter(file).write_program(text)
    InertWriter(terminal).write_program(text)
    assert file.getvalue() == text
    assert terminal.getvalue() == "\x1b[32mok\\x1b[2J\\x07"


def test_a_colour_left_on_by_a_program_is_reset_before_other_output() -> None:
    terminal = Terminal()
    writer = InertWriter(terminal)
    writer.write_program("\x1b[31mred ")
    writer.write_program("still red")
    writer.write("ours")
    assert terminal.getvalue() == "\x1b[31mred still red\x1b[0mours"


def test_an_inert_stream_is_not_made_inert_twice() -> None:
    writer = InertWriter(io.StringIO())
    assert inert(writer) is writer


def test_a_character_that_the_encoding_lacks_does_not_fail() -> None:
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, encoding="ascii", write_through=True)
    InertWriter(stream).write("→ é")
    assert data.getvalue() == b"\\u2192 \\xe9"


COMMANDS = [["--help"], ["exec", "--help"], ["status"], ["logs"], ["model", "list"], ["doctor"], ["nonsense"]]
SAYS_NOTHING_ON_STDOUT = (["status"], ["logs"], ["nonsense"])
"""Without a daemon, these only say on stderr why they do nothing."""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("full", ["stdout", "stderr", "both"])
def test_a_full_device_is_reported_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, command: list[str], full: str
) -> None:
    station = Station(tmp_path_factory.mktemp("s"))
    with open("/dev/full", "w") as device:  # noqa: PTH123
        done = subprocess.run(
            station.command(*command),
            cwd=station.project,
            env=station.environment,
            stdout=subprocess.PIPE if full == "stderr" else device,
            stderr=subprocess.PIPE if full == "stdout" else device,
            text=True,
            timeout=60,
        )
    said = (done.stdout or "") + (done.stderr or "")
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    if full == "stdout" and command not in SAYS_NOTHING_ON_STDOUT:
        assert done.stderr == "analystd: the output could not be written: No space left on device\n"
    if full == "both" or (full == "stdout") == (command not in SAYS_NOTHING_ON_STDOUT):
        assert done.returncode == 1


def test_a_reader_that_stops_reading_is_not_a_failure(tmp_path_factory: pytest.TempPathFactory) -> None:
    station = Station(tmp_path_factory.mktemp("s"))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        station.command("--help"), env=station.environment, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_hostile_argument_is_inert_in_the_refusal_of_it(tmp_path_factory: pytest.TempPathFactory) -> None:
    station = Station(tmp_path_factory.mktemp("s"))
    ours, theirs = pty.openpty()
    subprocess.run(
        station.command("view", "x.csv", "\x1b]0;title\x07"),
        env=station.environment,
        stdout=theirs,
        stderr=theirs,
        timeout=60,
    )
    os.close(theirs)
    said = os.read(ours, 65536)
    os.close(ours)
    assert b"\\x1b]0;title\\x07" in said
    assert b"\x1b]" not in said


def test_an_unexpected_exception_is_reported_in_an_inert_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail(_options: object) -> int:
        raise RuntimeError("\x1b]0;t\x07")

    async def refuse(_options: object) -> int:
        raise PermissionError(13, "Permission denied", "/home/\x1b]0;t\x07")

    monkeypatch.setattr("analystd.cli.history.runs", fail)
    assert run_command(["runs"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("analystd: Internal error: RuntimeError: \\x1b]0;t\\x07 (in ")
    monkeypatch.setattr("analystd.cli.history.runs", refuse)
    assert run_command(["runs"]) == 1
    assert capsys.readouterr().err == "analystd: Permission denied: /home/\\x1b]0;t\\x07\n"
