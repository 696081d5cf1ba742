"""Tables as aligned text for people and models, safe to print whatever the cells contain."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

from analystd.wire.column_names import address_of
from analystd.wire.results import ColumnInfo

MAX_CELL_WIDTH = 60
MAX_GRID_COLUMNS = 100
CUT_MARK = "…"
NULL_TEXT = "null"

_NUMBER_TYPES = ("integer", "number", "int", "uint", "float", "double", "halffloat", "decimal")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def grid(columns: Sequence[ColumnInfo], rows: Sequence[Sequence[Any]]) -> str:
    """Return a header and the rows, one per line, with numbers right-aligned; long cells and wide tables are truncated with a mark."""
    shown = list(columns[:MAX_GRID_COLUMNS])
    extra = max((len(row) for row in rows), default=0) - len(columns)
    if len(shown) == len(columns):
        # A row with more cells than the header still shows them.
        shown += [ColumnInfo(name="", type="text")] * max(0, min(extra, MAX_GRID_COLUMNS - len(shown)))
    lines = [[cell_text(address_of(column)) for column in shown]]
    lines += [[cell_text(row[at]) if at < len(row) else "" for at in range(len(shown))] for row in rows]
    right = [is_number_type(column["type"]) for column in shown]
    text = "\n".join(_aligned(lines, right))
    left_out = len(columns) - len(shown)
    return f"{text}\n{CUT_MARK} and {left_out} more columns" if left_out > 0 else text


def column_list(names: Sequence[str], types: Sequence[str] = ()) -> list[str]:
    """Return the names in printable form; with `types`, followed by their aligned types."""
    shown = [printable(name) for name in names]
    if not types:
        return shown
    return _aligned([list(pair) for pair in zip(shown, types, strict=True)], [False, False])


def cell_text(value: Any) -> str:
    """Return the shown form of a cell: text as it is, other values as JSON; printable, truncated to 60 columns with a mark."""
    if isinstance(value, str) and len(value) <= MAX_CELL_WIDTH and value.isascii() and value.isprintable():
        return value
    if value is None:
        text = NULL_TEXT
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _cut(printable(text[: MAX_CELL_WIDTH + 1]))


def is_number_type(kind: str) -> bool:
    """Return whether a column type, guessed or Arrow's, is numeric."""
    return kind.startswith(_NUMBER_TYPES)


def printable(text: str) -> str:
    """Return the text with control characters, line ends and bidirectional controls as escapes."""
    if text.isprintable():
        return text
    return "".join(character if _is_plain(character) else _escape(character) for character in text)


def width(text: str) -> int:
    """Return the terminal columns that the text takes: East Asian wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _aligned(lines: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    if not lines or not lines[0]:
        return []
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(_padded, line, widths, right)).rstrip() for line in lines]


def _padded(text: str, to: int, right: bool) -> str:
    characters = to - width(text) + len(text)
    return text.rjust(characters) if right else text.ljust(characters)


def _cut(text: str) -> str:
    if width(text) <= MAX_CELL_WIDTH:
        return text
    taken = 0
    for at, character in enumerate(text):
        taken += _character_width(character)
        if taken >= MAX_CELL_WIDTH:
            return text[:at] + CUT_MARK
    return text


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _is_plain(character: str) -> bool:
    # Python counts no-break and ideographic spaces as not printable, but they are harmless.
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    short = _SHORT_ESCAPES.get(character)
    return short or character.encode("unicode_escape", "surrogatepass").decode("ascii")
