"""Format events and results for a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

from analystd.cli.displays import display_note, display_text
from analystd.cli.output import inert
from analystd.util.inert_text import json_text, one_line, program_text
from analystd.wire.names import EventKind

NOTICE_KINDS = (EventKind.LIMIT, EventKind.WORKER_DIED, EventKind.QUARANTINED)
"""Events whose `text` is always shown to the user."""

CODE_LINES = 12
OUTPUT_LINES = 30


class Terminal:
    """Prints a run's events as they come to `trail` (stderr by default), in colour on a terminal.

    `code_lines` and `output_lines` are the maximum numbers of lines shown of a program and of an output.
    """

    def __init__(self, *, trail: Any = None, code_lines: int = CODE_LINES, output_lines: int = OUTPUT_LINES) -> None:
        self._trail = inert(trail or sys.stderr)
        self._code_lines = code_lines
        self._output_lines = output_lines
        self._in_text = False
        self._problems: set[str] = set()

    def event(self, event: Mapping[str, Any]) -> None:
        """Print one event, if it is of a kind that people want to see."""
        show = (
            {
                EventKind.RUN_QUEUED: self._queued,
                EventKind.RUN_WAITING: self._queued,
                EventKind.TEXT: self._text,
                EventKind.TOOL_CALL: self._call,
                EventKind.TOOL_RESULT: self._result,
                EventKind.DISPLAY: self._display,
                EventKind.RUN_FINISHED: self._finished,
                **dict.fromkeys(NOTICE_KINDS, self._notice),
            }.get(EventKind(event["kind"]))
            if event["kind"] in set(EventKind)
            else None
        )
        if show is not None:
            show(event)

    def line(self, text: str, *, style: str = "") -> None:
        """Print a line of the trail."""
        self._end_text()
        self._trail.write_styled(text, style)
        self._trail.write("\n")
        self._trail.flush()

    def problem(self, text: str) -> None:
        """Print a problem, each only once."""
        if text not in self._problems:
            self._problems.add(text)
            self.line(f"! {text}", style="31")

    def _queued(self, event: Mapping[str, Any]) -> None:
        reason = f" for the {event['reason']}" if event.get("reason") else ""
        waiting = f" waits{reason}, {event['position']} ahead of it" if event.get("position") else ""
        self.line(f"{event['run_id']}{waiting}", style="2")

    def _text(self, event: Mapping[str, Any]) -> None:
        self._in_text = True
        self._trail.write(event["text"])
        self._trail.flush()

    def _call(self, event: Mapping[str, Any]) -> None:
        self.line(f"→ {call_text(event['tool'], event['arguments'], self._code_lines)}", style="36")

    def _result(self, event: Mapping[str, Any]) -> None:
        mark = "←" if event["ok"] else "✗"
        text = indented(event["text"], self._output_lines)
        self.line(f"{mark} {text}  ({event['seconds']:.2f} s)", style="32" if event["ok"] else "31")

    def _finished(self, event: Mapping[str, Any]) -> None:
        self._end_text()

    def _display(self, event: Mapping[str, Any]) -> None:
        for line in display_lines(event):
            self.line(line)

    def _notice(self, event: Mapping[str, Any]) -> None:
        self.problem(event["text"])

    def _end_text(self) -> None:
        if self._in_text:
            self._trail.write("\n")
            self._in_text = False


class ProgressLine:
    """Shows the progress of long work on one line, which is rewritten each time and erased at the end; only on a terminal."""

    def __init__(self, title: str, *, trail: Any = None) -> None:
        self._title = one_line(title)
        self._trail = inert(trail or sys.stderr)
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._is_shown:
            self._write("")

    def update(self, done: float) -> None:
        """Show which part is done, from 0 to 1."""
        if self._trail.is_terminal:
            self._is_shown = True
            self._write(f"{self._title} … {done:.0%}")

    def _write(self, text: str) -> None:
        self._trail.write_in_place(text)
        self._trail.flush()


def call_text(tool: str, arguments: Mapping[str, Any], limit: int = CODE_LINES) -> str:
    """Return a tool call as text: code as at most `limit` lines of code, other arguments as one line of JSON."""
    if set(arguments) <= {"code", "reset"} and "code" in arguments:
        reset = " (reset)" if arguments.get("reset") else ""
        lines = arguments["code"].strip().splitlines()
        shown = lines[:limit] + ([f"… {len(lines) - limit} more lines"] if len(lines) > limit else [])
        return f"{tool}{reset} " + "\n  ".join(["", *shown])
    return f"{tool} {json_text(dict(arguments))}"


def display_lines(event: Mapping[str, Any]) -> list[str]:
    """Return the indented text of a `display` event, and the note on the parts that can only be saved."""
    text, note = display_text(event["data"]), display_note(event["data"], event["run_id"])
    return ["  " + line for line in (indented(text) if text else "", note) if line]


def output_text(text: str) -> str:
    """Return a program's output for reading later: without colours, and with progress bars in their last state."""
    return program_text(text, in_colour=False).lstrip("\r")


def indented(text: str, limit: int = OUTPUT_LINES) -> str:
    """Return at most `limit` lines of a text, with the lines after the first indented."""
    lines = text.rstrip("\n").splitlines()
    shown = lines[:limit] + ([f"… {len(lines) - limit} more lines"] if len(lines) > limit else [])
    return "\n  ".join(shown)


def print_json(result: Any) -> None:
    """Print a result as JSON."""
    print(json_text(result, indent=2))


def table(rows: list[list[str]], head: list[str]) -> str:
    """Return rows under a header, with columns aligned to the left and each cell on one line."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


def ago(at: float) -> str:
    """Return a Unix time as local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def engine_lines(engine: Mapping[str, Any]) -> Iterator[str]:
    """Yield lines on the state of a model: where it runs, its speed, its context, its warning."""
    if engine["goes"]:
        yield engine["goes"]
    facts: list[str] = []
    if engine["load_seconds"] is not None:
        place = {True: " on a GPU", False: " on the CPU"}.get(engine["on_gpu"], "")
        facts.append(f"loaded in {engine['load_seconds']:.1f} s{place}")
    if engine["tokens_per_second"] is not None:
        facts.append(f"{engine['tokens_per_second']:.0f} tokens/s")
    if engine["context_used"] is not None:
        facts.append(f"{engine['context_used']} of {engine['context_tokens']} tokens of context used")
    if engine["conversations"] is not None:
        facts.append(f"room for {engine['conversations']} conversations")
    if facts:
        yield ", ".join(facts)
    if engine.get("warning"):
        yield f"warning: {engine['warning']}"


def gigabytes(count: float) -> str:
    """Return a number of bytes in B, kB, MB or GB."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
