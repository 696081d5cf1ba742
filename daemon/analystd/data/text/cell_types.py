"""Guessing of the type of a text file's cells, which leaves the cells unchanged."""

from __future__ import annotations

import re
from collections.abc import Iterable

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "<na>", "#n/a"})
"""Spellings of missing values, in lower case; a column's other cells decide its type."""

_INTEGER = re.compile(r"[+-]?(0|[1-9][0-9]*)")
# Numbers with leading zeros are identifiers, such as postcodes and account numbers.
_NUMBER = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?inf(inity)?", re.IGNORECASE)
_BOOLEAN = re.compile(r"true|false", re.IGNORECASE)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?"
_TIME = re.compile(_CLOCK)
_TIMESTAMP = re.compile(_DATE.pattern + "([ T]" + _CLOCK + r" ?(Z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)?)?")

_TYPES = (
    ("boolean", _BOOLEAN),
    ("integer", _INTEGER),
    ("number", _NUMBER),
    ("date", _DATE),
    ("timestamp", _TIMESTAMP),
    ("time", _TIME),
)
_PATTERNS = dict(_TYPES)


def guessed_type(cells: Iterable[str]) -> str:
    """Return the narrowest of boolean, integer, number, date, timestamp and time that matches all cells, else text; empty without values."""
    values = {cell.strip() for cell in cells}
    values = {value for value in values if value.lower() not in MISSING}
    if not values:
        return "empty"
    return next((name for name, pattern in _TYPES if all(map(pattern.fullmatch, values))), "text")


def fits(cell: str, kind: str) -> bool:
    """Return whether a cell that is not missing matches a guessed type; every cell matches text."""
    pattern = _PATTERNS.get(kind)
    return pattern is None or pattern.fullmatch(cell.strip()) is not None
