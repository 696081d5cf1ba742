"""Frequencies that pandas called otherwise before its version 2.2, as most models learnt them: `T` for `min`, `M` for `ME`."""

from __future__ import annotations

import ast
import re

_TODAY = {
    "T": "min",
    "H": "h",
    "S": "s",
    "L": "ms",
    "U": "us",
    "N": "ns",
    "M": "ME",
    "Q": "QE",
    "A": "YE",
    "Y": "YE",
    "BM": "BME",
    "BQ": "BQE",
}
"""What pandas 2.2 and later call them (its release notes for 2.2.0, "Deprecated aliases"); periods keep the old names."""
_CALLS = frozenset(
    {"asfreq", "bdate_range", "ceil", "date_range", "floor", "Grouper", "ohlcv", "resample", "timedelta_range"}
)
_OLD = re.compile(r"(\d*)([A-Z]{1,2})")


def with_current_frequencies(code: str) -> str:
    """Return a program with the old names of frequencies replaced, where they are arguments of functions that take frequencies."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    found = [
        text for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) in _CALLS for text in _texts(node)
    ]
    lines = code.encode().splitlines(keepends=True)
    for text in sorted(found, key=lambda each: (each.lineno, each.col_offset), reverse=True):
        match = _OLD.fullmatch(str(text.value))
        if match is None or match[2] not in _TODAY or text.end_lineno != text.lineno:
            continue
        line = lines[text.lineno - 1]
        literal = line[text.col_offset : text.end_col_offset]
        today = literal.replace(match[0].encode(), f"{match[1]}{_TODAY[match[2]]}".encode())
        lines[text.lineno - 1] = line[: text.col_offset] + today + line[text.end_col_offset :]
    return b"".join(lines).decode()


def _name(node: ast.Call) -> str:
    function = node.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def _texts(node: ast.Call) -> list[ast.Constant]:
    given = [*node.args, *(each.value for each in node.keywords if each.arg in ("freq", "rule"))]
    return [each for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
