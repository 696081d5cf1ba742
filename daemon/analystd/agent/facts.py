"""Reduce a tool's output to one line of facts when there is no room for all of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_LINE_CHARACTERS = 160
_ERROR_LINES = 8
_DEPRECATION = re.compile(
    r"^\S+(?: \d+)?>?:\d+: (?:Pending|Pandas\d*)?(?:Deprecation|Future|Pandas\d*)?Warning: .*\n(?:\S.*\n){0,6}?  .*(?:\n|\Z)",
    re.MULTILINE,
)
"""A warning as Python prints it: the place with the message, and below, indented, the line of the program."""
_ERROR_CHARACTERS = 300


def fact_of(tool: str, arguments: Mapping[str, Any], ok: bool, output: str) -> str:
    """Return one line, of at most some 300 characters, that says what was called and with what result."""
    if not ok:
        return f"{tool} failed: {_clipped(_last_line(output))}"
    say = _FACTS.get(tool, _first_line_of)
    return f"{tool}: {say(arguments, output)}"


def without_deprecations(output: str) -> str:
    """Return an output without deprecation warnings of libraries, which mislead a model."""
    return _DEPRECATION.sub("", output)


def traceback_tail(output: str) -> str:
    """Return the last lines of a failed program's output, which say what went wrong."""
    lines = without_deprecations(output).strip().splitlines()
    return "\n".join(
        line if len(line) <= _ERROR_CHARACTERS else f"{line[:_ERROR_CHARACTERS]}…" for line in lines[-_ERROR_LINES:]
    )


def _view(arguments: Mapping[str, Any], output: str) -> str:
    """Return the operation and the path, with the shape and columns that the view reported; for rows, the number of lines."""
    asked = f"{arguments.get('operation')} of {_clipped(arguments.get('path'))}"
    telling = [line for line in output.splitlines() if line.startswith(("Shape", "Columns"))]
    if telling:
        return f"{asked}: {_clipped('; '.join(telling))}"
    return f"{asked}: {len(output.splitlines())} lines"


def _python(_arguments: Mapping[str, Any], output: str) -> str:
    return f"ok, {_clipped(_last_line(output))}"


def _read(arguments: Mapping[str, Any], output: str) -> str:
    lines = len(output.splitlines())
    first = arguments.get("offset", 1)
    if "byte_offset" in arguments or "byte_limit" in arguments:
        return f"{_clipped(arguments.get('path'))} from byte {arguments.get('byte_offset', 0)}, {lines} lines"
    return f"{_clipped(arguments.get('path'))}, lines {first} to {first + lines - 1}"


def _listed(_arguments: Mapping[str, Any], output: str) -> str:
    return f"{len(output.splitlines())} lines of names"


def _first_line_of(_arguments: Mapping[str, Any], output: str) -> str:
    return _clipped(next(iter(output.strip().splitlines()), "done"))


_FACTS: dict[str, Callable[[Mapping[str, Any], str], str]] = {
    "data_view": _view,
    "pyexe": _python,
    "read_file": _read,
    "list_files": _listed,
}


def _last_line(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no output")


def _clipped(value: Any) -> str:
    text = str(value).strip()
    return text if len(text) <= _LINE_CHARACTERS else f"{text[: _LINE_CHARACTERS - 1]}…"
