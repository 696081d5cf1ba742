"""What people see in a terminal while they wait."""

from __future__ import annotations

import io

from analystd.cli.render import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_that_is_erased_at_the_end() -> None:
    trail = Terminal()
    with ProgressLine("Reading a.csv", trail=trail) as line:
        line.update(0.1)
        line.update(0.55)
    assert trail.getvalue() == "\rReading a.csv … 10%\x1b[K\rReading a.csv … 55%\x1b[K\r\x1b[K"


def test_quick_work_and_output_without_a_terminal_show_no_progress() -> None:
    terminal, file = Terminal(), io.StringIO()
    with ProgressLine("Reading a.csv", trail=terminal):
        pass
    with ProgressLine("Reading a.csv", trail=file) as line:
        line.update(0.5)
    assert (terminal.getvalue(), file.getvalue()) == ("", "")
