"""Word the facts of a table for the model and for people: one bounded line per column, which cannot be read as anything but data."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from analystd.wire.column_names import address_of
from analystd.wire.results import ColumnInfo, ColumnProfile

MOST_COLUMNS = 24
"""Maximum number of columns of a table that are described; the others are only named."""
SAMPLE_ROWS = 50

_SHOWN_ROWS = 3
_MOST_NAMES = 120
_CELL_CHARACTERS = 40
_NAME_CHARACTERS = 120
_FEW_VALUES = 6
_NOTE_CHARACTERS = 300
_WORD = re.compile(r"\w{2,}")
_PLAIN_COLUMN = re.compile(r"[^\W\d_][\w .%()/-]*(?<! )")
_PLAIN_FILE = re.compile(r"\w[\w .()/-]*(?<! )")
_UNIT = r"(?:[€$£¥%]|USD|EUR|GBP|CHF|JPY|CNY|INR|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|MXN|ZAR|KRW|SGD|HKD|TRY)"
_NUMBER_AS_TEXT = re.compile(rf"\(?[-+\u2212]?(?:{_UNIT} ?)?[-+\u2212]?\d[\d.,'\u00a0\u202f ]*-?\)?(?: ?{_UNIT})?")
_DATE_AS_TEXT = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?:[ T]\d.*)?")
_YEAR_FIRST = re.compile(r"\d{4}([./-])\d{1,2}\1\d{1,2}(?:[ T]\d.*)?")
TEXT_TYPES = frozenset({"text", "string", "large_string", "string_view"})
_NUMBER_TYPE = re.compile(r"number|integer|u?int\d+|float|halffloat|double|float\d+")
_TIME_TYPES = frozenset({"date", "timestamp"})


@dataclass(frozen=True)
class ColumnFacts:
    """A column: `name` is its name in programs, `address` its name in requests to the data worker."""

    name: str
    type: str
    address: str


@dataclass
class Known:
    """The known facts of one version of a file, extended by further questions. Columns are kept by address."""

    columns: list[ColumnFacts] = field(default_factory=list)
    rows: int | None = None
    notes: list[str] = field(default_factory=list)
    """Remarks about the file as a whole."""
    cells: dict[str, list[str]] = field(default_factory=dict)
    """The first cells of the examined columns, shortened."""
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """All values of the text columns that have few."""
    facts: dict[str, str] = field(default_factory=dict)
    """The facts of each column from the whole file."""
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The keys of the objects in a column."""
    beginnings: dict[str, str] = field(default_factory=dict)
    """The facts of each column from its first rows, for files that are too long to be read."""
    typed: bool = False
    """Whether the file format marks columns as dates, so that pandas reads them as dates."""
    reading: str | None = None
    """Why the file cannot be read as plain CSV; empty if it can, None if that is not known."""


def named_columns(columns: Sequence[ColumnInfo], *, delimited: bool) -> list[ColumnFacts]:
    """Return the columns with the names that pandas gives them; for delimited text, all names are distinct."""
    named, taken = list[ColumnFacts](), {column["name"] for column in columns}
    seen: Counter[str] = Counter()
    for position, column in enumerate(columns):
        name = column["name"] or (f"Unnamed: {position}" if delimited else "")
        seen[name] += 1
        if delimited and seen[name] > 1:
            number = seen[name] - 1
            while f"{name}.{number}" in taken:
                number += 1
            name = f"{name}.{number}"
            taken.add(name)
        named.append(ColumnFacts(name, column["type"], address_of(column)))
    return named


def words(text: str) -> set[str]:
    """Return the words of a question or a name; the parts of a compound name count as words."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text.replace("_", " "))
    return {word.casefold() for word in _WORD.findall(parts)}


def chosen_columns(columns: Sequence[ColumnFacts], question: str) -> list[ColumnFacts]:
    """Return all columns of a narrow table; of a wide one, the columns that share a word with the question, then the first others."""
    asked = words(question)
    touched = [column for column in columns if asked & words(column.name)] if len(columns) > MOST_COLUMNS else []
    chosen = {column.address for column in touched}
    return [*touched, *(column for column in columns if column.address not in chosen)][:MOST_COLUMNS]


def table_text(
    path: str, size: int | None, known: Known, chosen: Sequence[ColumnFacts], most: int, *, can_read: bool
) -> str:
    """Return the facts of a table in about `most` characters: its first line, the chosen columns in the file's order, some rows."""
    rows = f"{known.rows} rows" if known.rows is not None else f"rows not counted ({(size or 0) / 1e6:.0f} MB)"
    lines = [f"{file_name(path)}: {rows}, {len(known.columns)} columns"]
    by_toolbox = bool(known.reading) and can_read
    if by_toolbox:
        lines.append(f"Read it with `import toolbox` and `toolbox.read({path!r})`, since {known.reading}.")
    lines += [f"Note: {note[:_NOTE_CHARACTERS]}" for note in known.notes]
    told, left = dict[str, str](), most - sum(map(len, lines))
    for column in chosen:
        line = _column_line(column, known, by_toolbox=by_toolbox)
        left -= len(line)
        if left < 0 and told:
            break
        told[column.address] = line
    described = [column for column in known.columns if column.address in told]
    lines += [told[column.address] for column in described]
    lines += _further([column.name for column in known.columns if column.address not in told], max(left, most // 8))
    shown = [known.cells[column.address] for column in described if column.address in known.cells]
    return "\n".join([*lines, *_first_rows(shown)])


def profile_fact(column: ColumnFacts, profile: ColumnProfile) -> str:
    """Return the facts of all cells of a column: range or values, and the number of missing ones."""
    facts: list[str] = []
    top = profile["top"] or []
    if profile["min"] is not None and profile["max"] is not None and column.type not in TEXT_TYPES:
        facts.append(f"{cell_text(profile['min'])} to {cell_text(profile['max'])}")
    elif top:
        # If each value occurs once, a few are enough to show what they look like.
        few = _FEW_VALUES if top[0]["count"] > 1 else _FEW_VALUES // 2
        shown = ", ".join(f"{_quoted(each['value'])} ({each['count']})" for each in top[:few])
        distinct = profile["distinct"]
        facts.append(f"{distinct} different: {shown}" if distinct is not None else shown)
    if profile["missing"]:
        facts.append(f"{profile['missing']} missing")
    return ", ".join(facts)


def holds_numbers(column: ColumnFacts, known: Known, *, by_toolbox: bool) -> bool:
    """Return whether a program finds numbers in a column after reading the file; the toolbox converts text to numbers."""
    if column.type in TEXT_TYPES and known.reading and by_toolbox:
        return written_as_text(known.cells.get(column.address, ())) == "numbers"
    return bool(_NUMBER_TYPE.fullmatch(column.type))


def is_date_as_text(column: ColumnFacts, known: Known, *, by_toolbox: bool) -> bool:
    """Return whether a program finds dates as text in a column after pandas reads it; the toolbox converts them to dates."""
    if column.type in _TIME_TYPES:
        return not (known.typed or by_toolbox)
    cells = [cell.strip() for cell in known.cells.get(column.address, ()) if cell.strip()]
    return column.type in TEXT_TYPES and bool(cells) and all(map(_YEAR_FIRST.fullmatch, cells))


def keys_of(cells: Sequence[Any]) -> tuple[str, ...]:
    """Return the keys of the objects among cells, in order of appearance."""
    return tuple(dict.fromkeys(str(key) for cell in cells if isinstance(cell, dict) for key in cell))[:_FEW_VALUES]


def all_values(column: ColumnFacts, profile: ColumnProfile) -> tuple[str, ...] | None:
    """Return all values of a text column that has few; None for other columns, or if not all values are known."""
    top = profile["top"] or []
    complete = profile["top_exact"] and profile["distinct_exact"] and profile["distinct"] == len(top)
    if column.type not in TEXT_TYPES or not complete or not all(isinstance(each["value"], str) for each in top):
        return None
    return tuple(str(each["value"]) for each in top)


def sample_fact(column: ColumnFacts, cells: Sequence[Any]) -> str:
    """Return the facts of a column's first cells, for tables that are too long to be read."""
    values = [text for text in map(cell_text, cells) if text]
    if column.type not in TEXT_TYPES or not values:
        return ""
    some = ", ".join(repr(value) for value in list(dict.fromkeys(values))[:_FEW_VALUES])
    return f"in the first {len(cells)} rows {some}"


def written_as_text(cells: Sequence[str]) -> str | None:
    """Return `numbers` or `dates` if all cells of a text column are such, as people write them; None for other text."""
    values = [cell.strip() for cell in cells if cell.strip()]
    if not values:
        return None
    if all(map(_DATE_AS_TEXT.fullmatch, values)):
        return "dates"
    return "numbers" if all(map(_NUMBER_AS_TEXT.fullmatch, values)) and _has_marks(values) else None


def file_name(path: str) -> str:
    """Return a file's name, as a Python literal if it would not be shown unambiguously."""
    return path if _PLAIN_FILE.fullmatch(path) else repr(path)


def cell_text(value: Any) -> str:
    """Return a cell as one shortened line."""
    text = "" if value is None else str(value)[: _CELL_CHARACTERS + 1]
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _CELL_CHARACTERS else f"{text[: _CELL_CHARACTERS - 1]}…"


def _has_marks(values: Sequence[str]) -> bool:
    """Return whether numbers are text because of a sign or a separator; digits alone are codes, such as postcodes."""
    return any(not value.isdigit() for value in values)


def _column_line(column: ColumnFacts, known: Known, *, by_toolbox: bool) -> str:
    facts: list[str] = []
    kind = "text" if column.type in TEXT_TYPES else column.type
    cells = known.cells.get(column.address, ())
    if is_date_as_text(column, known, by_toolbox=by_toolbox):
        kind = f"{kind if kind in _TIME_TYPES else 'date'}s as text: pd.to_datetime"
    elif kind == "text" and (written := written_as_text(cells)):
        if by_toolbox:
            # The type after reading; with the cells as written, the model would convert them again.
            return f"- {_name(column.name)} ({written.removesuffix('s')})"
        facts.append(f"{written} written as text")
    if keys := known.keys.get(column.address):
        facts.append(
            f"objects with {', '.join(map(_quoted, keys))}, taken by df[{_name_in_code(column.name)}].str[{_quoted(keys[0])}]"
        )
    if fact := known.facts.get(column.address, known.beginnings.get(column.address)):
        facts.append(fact)
    return f"- {_name(column.name)} ({kind}){': ' if facts else ''}{', '.join(facts)}"


def _further(names: Sequence[str], most: int) -> list[str]:
    shown, left = list[str](), most
    for name in names[:_MOST_NAMES]:
        left -= len(_name(name)) + 2
        if left < 0 and shown:
            break
        shown.append(_name(name))
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return [f"Further columns: {', '.join(shown)}{more}"] if shown else []


def _first_rows(columns: Sequence[Sequence[str]]) -> list[str]:
    rows = list(zip(*columns, strict=False))[:_SHOWN_ROWS]
    # The mark in front keeps a cell from beginning a line, as the question does.
    return ["First rows:", *(f"| {' | '.join(row)}" for row in rows)] if rows else []


def _name(name: str) -> str:
    """Return a column's name, as a Python literal if it would not be shown unambiguously."""
    short = name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…"
    return short if _PLAIN_COLUMN.fullmatch(name) and short == name else repr(short)


def _name_in_code(name: str) -> str:
    return repr(name if len(name) <= _NAME_CHARACTERS else f"{name[: _NAME_CHARACTERS - 1]}…")


def _quoted(value: Any) -> str:
    return repr(cell_text(value)) if isinstance(value, str) else cell_text(value)
