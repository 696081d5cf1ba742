"""Filters, sort keys and lists as they are typed on the command line."""

from __future__ import annotations

import json
import math
import re
from argparse import ArgumentTypeError
from typing import Any

from analystd.wire.arguments import OPERATORS

_WITHOUT_VALUE = ("missing", "present")
# The longer ones first, so that `<=` is not taken for `<`.
_WITH_VALUE = sorted(set(OPERATORS) - set(_WITHOUT_VALUE), key=len, reverse=True)
_QUOTED = r'"(?:[^"\\]|\\.)*"|\'[^\']*\''
_COLUMN = rf"\s*({_QUOTED}|(?!{_QUOTED}\s).+?)\s+"
_COMPARISON = re.compile(rf"{_COLUMN}({'|'.join(map(re.escape, _WITH_VALUE))})(?:\s+(.*))?", re.DOTALL)
_PRESENCE = re.compile(rf"{_COLUMN}({'|'.join(_WITHOUT_VALUE)})\s*", re.DOTALL)
_ITEM = re.compile(rf"\s*({_QUOTED}|(?![\"'])[^,]*)\s*(,|\Z)", re.DOTALL)


def condition(text: str) -> dict[str, Any]:
    """A condition of `viewData` for `COLUMN OP VALUE`, split at the first operator between spaces, or `COLUMN missing|present`.

    A value that is a JSON number or boolean is one; quotes make text of anything, and a column's name may be quoted too.

    Raises:
        ArgumentTypeError: when it is no condition.
    """
    match = _COMPARISON.fullmatch(text)
    # In that order: `note = missing` compares with a word, as `note = "missing"` does.
    if match is None and (presence := _PRESENCE.fullmatch(text)):
        return {"column": _unquoted(presence[1]), "op": presence[2]}
    if match is None:
        raise ArgumentTypeError(
            f"{text!r} has no operator between spaces; write COLUMN OP VALUE, where OP is one of "
            f"{' '.join(op for op in OPERATORS if op not in _WITHOUT_VALUE)}, or COLUMN missing, or COLUMN present"
        )
    column, op, value = match.groups()
    if not value or not value.strip():
        raise ArgumentTypeError(f'{text!r} has no value after {op}; the empty text is ""')
    return {"column": _unquoted(column), "op": op, "value": _values(value) if op == "in" else _value(value)}


def sort_key(text: str) -> dict[str, Any]:
    """A sort key of `viewData` for `COLUMN`, or `-COLUMN` for the greatest first."""
    descending = text.startswith("-")
    column = _unquoted(text.removeprefix("-") if descending else text)
    if not column:
        raise ArgumentTypeError("name the column to sort by")
    return {"column": column, "descending": descending}


def names(text: str) -> list[str]:
    """The column names of a comma list; one that holds a comma is quoted."""
    return [_unquoted(item) for item in _items(text)]


def delimiter(text: str) -> str:
    r"""The delimiter that is meant; `\t` and `tab` are a tab, which is hard to type."""
    return "\t" if text in ("\\t", "tab") else text


def _values(text: str) -> list[Any]:
    return [_value(item) for item in _items(text)]


def _items(text: str) -> list[str]:
    items: list[str] = []
    position = 0
    while True:
        match = _ITEM.match(text, position)
        if match is None:
            raise ArgumentTypeError(f"{text!r} is no list; write A,B,C, and quote what holds a comma")
        items.append(match[1].strip())
        position = match.end()
        if match[2] == "":
            return items


def _value(text: str) -> Any:
    text = text.strip()
    try:
        value = json.loads(text)
    except ValueError:
        return _unquoted(text)
    # Written otherwise than JSON writes it (`1.50`), it goes as text: a column of numbers takes it for the same, one of text does not.
    is_same = isinstance(value, bool | int | float) and json.dumps(value) == text
    # NaN and the infinities, which JSON does not have, are words.
    is_word = isinstance(value, float) and not math.isfinite(value)
    return value if is_same and not is_word else _unquoted(text)


def _unquoted(text: str) -> str:
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:
            return str(json.loads(text))
        except ValueError:
            return text[1:-1]
    return text
