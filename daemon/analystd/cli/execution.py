"""Print the output of code and how it ended."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from analystd.cli.displays import display_note, display_text
from analystd.cli.output import InertWriter, inert
from analystd.cli.render import NOTICE_KINDS
from analystd.client import Event, PythonResult
from analystd.wire.names import EventKind


class ExecutionPrinter:
    """Prints one execution: the program's output to stdout and stderr as the program wrote it, notices about it to stderr."""

    def __init__(self) -> None:
        self._out = inert(sys.stdout)
        self._err = inert(sys.stderr)
        self._notices: list[str] = []
        self._is_in_line = False

    def event(self, event: Event) -> None:
        """Print an event of the run."""
        if event.kind == EventKind.OUTPUT:
            self._program(self._err if event.stream == "stderr" else self._out, event.text)
        elif event.kind == EventKind.DISPLAY:
            self._display(event)
        elif event.kind in NOTICE_KINDS and event.kind != EventKind.QUARANTINED:
            # The code's own stderr names the files that were moved aside.
            self._notices.append(event.text)

    def end(self, result: PythonResult) -> None:
        """Print the last value, or why the code ended before its end."""
        if result.result is not None and not is_displayed(result):
            self._program(self._out, f"{result.result}\n")
        for line in ending_lines(result):
            self._say(line)
        message = "" if result.error is None else result.error.message
        for text in self._notices:
            if text != message:
                self._say(text)

    def _display(self, event: Event) -> None:
        if text := display_text(event.data):
            self._program(self._out, text if text.endswith("\n") else f"{text}\n")
        if note := display_note(event.data, event.run_id):
            self._say(note)

    def _program(self, stream: InertWriter, text: str) -> None:
        stream.write_program(text)
        stream.flush()
        self._is_in_line = not text.endswith("\n")

    def _say(self, text: str) -> None:
        if self._is_in_line and self._out.is_terminal and self._err.is_terminal:
            self._err.write("\n")
        self._is_in_line = False
        self._out.end_program()
        self._err.write(f"{text}\n")
        self._err.flush()


def ending_lines(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield why code ended before its end: the traceback, and the message of a limit, a timeout or a dead worker."""
    error, status = result.get("error"), result["status"]
    if error is None and status != "ok":
        yield f"[the code ended with status {status}; {result['run_id']}]"
    if error is not None:
        yield from error["traceback"]
        if status != "error" or not error["traceback"]:
            yield f"{error['name']}: {error['message']}"


def is_displayed(result: Mapping[str, Any]) -> bool:
    """Return whether the last value was shown as a display already; a value with more forms than text is in both."""
    last = (result.get("displays") or [{}])[-1]
    return len(last) > 1 and last.get("text/plain") == result.get("result")
