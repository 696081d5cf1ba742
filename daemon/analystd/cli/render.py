"""How events and results look in a terminal."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any, Self

from analystd.protocol import EventKind

_CODE_LINES = 12


class Terminal:
    """Prints a run's events as they come: the trail to `trail` (stderr by default), in colour on a terminal."""

    def __init__(self, *, trail: Any = None) -> None:
        self._trail = trail or sys.stderr
        self._colour = self._trail.isatty()
        self._in_text = False

    def event(self, event: Mapping[str, Any]) -> None:
        """Print one event, if it is of a kind that people want to see."""
        show = (
            {
                EventKind.RUN_QUEUED: self._queued,
                EventKind.RUN_WAITING: self._queued,
                EventKind.TEXT: self._text,
                EventKind.TOOL_CALL: self._call,
                EventKind.TOOL_RESULT: self._result,
                EventKind.RUN_FINISHED: self._finished,
                EventKind.WORKER_DIED: self._died,
            }.get(EventKind(event["kind"]))
            if event["kind"] in set(EventKind)
            else None
        )
        if show is not None:
            show(event)

    def line(self, text: str, *, style: str = "") -> None:
        """Print a line of the trail."""
        self._end_text()
        print(self._styled(text, style), file=self._trail, flush=True)

    def _queued(self, event: Mapping[str, Any]) -> None:
        reason = f" for the {event['reason']}" if event.get("reason") else ""
        waiting = f" waits{reason}, {event['position']} before it" if event.get("position") else ""
        self.line(f"{event['run_id']}{waiting}", style="2")

    def _text(self, event: Mapping[str, Any]) -> None:
        self._in_text = True
        print(event["text"], end="", file=self._trail, flush=True)

    def _call(self, event: Mapping[str, Any]) -> None:
        self.line(f"→ {call_text(event['tool'], event['arguments'])}", style="36")

    def _result(self, event: Mapping[str, Any]) -> None:
        mark = "←" if event["ok"] else "✗"
        self.line(f"{mark} {indented(event['text'])}  ({event['seconds']:.2f} s)", style="32" if event["ok"] else "31")

    def _finished(self, event: Mapping[str, Any]) -> None:
        self._end_text()

    def _died(self, event: Mapping[str, Any]) -> None:
        self.line(f"! {event['text']}", style="31")

    def _end_text(self) -> None:
        if self._in_text:
            print(file=self._trail)
            self._in_text = False

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colour and style else text


class ProgressLine:
    """One line that tells how far long work is, written anew each time and gone at the end; nothing where `trail` is no terminal."""

    def __init__(self, title: str, *, trail: Any = None) -> None:
        self._title = title
        self._trail = trail or sys.stderr
        self._is_shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._is_shown:
            self._write("")

    def tell(self, done: float) -> None:
        """Show what part is done, from 0 to 1."""
        if self._trail.isatty():
            self._is_shown = True
            self._write(f"{self._title} … {done:.0%}")

    def _write(self, text: str) -> None:
        # Erased to its end, for the line before may have been longer.
        print(f"\r{text}\x1b[K", end="", file=self._trail, flush=True)


def call_text(tool: str, arguments: Mapping[str, Any]) -> str:
    """A call as people read it: code as code, the rest as one line of JSON."""
    if set(arguments) <= {"code", "reset"} and "code" in arguments:
        reset = " (reset)" if arguments.get("reset") else ""
        lines = arguments["code"].strip().splitlines()
        shown = lines[:_CODE_LINES] + ([f"… {len(lines) - _CODE_LINES} more lines"] if len(lines) > _CODE_LINES else [])
        return f"{tool}{reset} " + "\n  ".join(["", *shown])
    return f"{tool} {json.dumps(arguments, ensure_ascii=False)}"


def indented(text: str, limit: int = 30) -> str:
    """Text whose lines after the first are set under it, at most `limit` lines."""
    lines = text.rstrip("\n").splitlines()
    shown = lines[:limit] + ([f"… {len(lines) - limit} more lines"] if len(lines) > limit else [])
    return "\n  ".join(shown)


def print_json(result: Any) -> None:
    """Print a result for a program."""
    # Records of the client are mappings of what came over the wire.
    print(json.dumps(result, ensure_ascii=False, indent=2, default=dict))


def table(rows: list[list[str]], head: list[str]) -> str:
    """Rows under a head, columns aligned to the left."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


def ago(at: float) -> str:
    """A moment of Unix time in the local clock."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def engine_lines(engine: Mapping[str, Any]) -> Iterator[str]:
    """What there is to tell of a model beyond its name."""
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


def printable(text: str) -> str:
    """Text from somewhere else without what a terminal would obey."""
    return "".join(character for character in text if character.isprintable())


def gigabytes(count: float) -> str:
    """Bytes in a unit that people read."""
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
