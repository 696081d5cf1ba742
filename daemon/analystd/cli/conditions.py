"""Parse filters, sort keys and lists as they are typed on the command line."""

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
    """Return the condition of `viewData` for `COLUMN OP VALUE`, split at the first operator between spaces, or `COLUMN missing|present`.

    A value written as a JSON number or boolean becomes one; a quoted value is text, and a column's name may be quoted too.

    Raises:
        ArgumentTypeError: when the text is not a condition.
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
        raise ArgumentTypeError(f'{text!r} has no value after {op}; write "" for the empty text')
    return {"column": _unquoted(column), "op": op, "value": _values(value) if op == "in" else _value(value)}


def sort_key(text: str) -> dict[str, Any]:
    """Return the sort key of `viewData` for `COLUMN`, or `-COLUMN` for the greatest first."""
    descending = text.startswith("-")
    column = _unquoted(text.removeprefix("-") if descending else text)
    if not column:
        raise ArgumentTypeError("name the column to sort by")
    return {"column": column, "descending": descending}


def names(text: str) -> list[str]:
    """Return the column names of a comma-separated list; a name that contains a comma is quoted."""
    return [_unquoted(item) for item in _items(text)]


def delimiter(text: str) -> str:
    r"""Return the delimiter; `\t` and `tab` stand for a tab, which is hard to type."""
    return "\t" if text in ("\\t", "tab") else text


def _values(text: str) -> list[Any]:
    return [_value(item) for item in _items(text)]


def _items(text: str) -> list[str]:
    items: list[str] = []
    position = 0
    while True:
        match = _ITEM.match(text, position)
        if match is None:
            raise ArgumentTypeError(f"{text!r} is not a list; write A,B,C, and quote an item that contains a comma")
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
    # A number in another form than JSON's (`1.50`) stays text: it equals 1.5 in a column of numbers, but not in one of text.
    is_same = isinstance(value, bool | int | float) and json.dumps(value) == text
    # JSON has no NaN and no infinities, so these are text.
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
