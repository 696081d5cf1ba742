"""What helps with filters that can find nothing: a value that no row has in that column, told before the program runs."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_MOST_VALUES = 12
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Contents:
    """What is known of the cells of tables, by path and then by column."""

    values: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """All values of the columns of text that have few."""
    numbers: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The columns that hold numbers."""
    columns: Mapping[str, Collection[str]] = field(default_factory=dict)
    """All columns."""


def impossible_filters(code: str, contents: Contents) -> list[tuple[str, str]]:
    """Return the columns of a program that are compared with a text that no row has there, each with that text.

    Columns that the program itself makes or changes are left out, and those of which not all is known in each table that has them.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    changed = {
        name for node in ast.walk(tree) if isinstance(node, (ast.Assign, ast.AugAssign)) for name in _assigned(node)
    }
    found: dict[tuple[str, str], None] = {}
    for node in ast.walk(tree):
        for column, text in _comparisons(node):
            if column not in changed and _is_no_value(text, column, contents):
                found[column, text] = None
    return list(found)


def hint_for_filters(filters: Sequence[tuple[str, str]], contents: Contents) -> str:
    """Return what is said of filters that find nothing."""
    return " ".join(_hint(column, text, contents) for column, text in filters)


def _hint(column: str, text: str, contents: Contents) -> str:
    if any(column in names for names in contents.numbers.values()):
        return f"{column!r} holds numbers, so no row equals the text {_shown(text)}: leave out the quotes."
    values = contents.values
    known = list(dict.fromkeys(each for columns in values.values() for each in columns.get(column, ())))
    near = {each.strip().casefold(): each for each in known}
    guesses = difflib.get_close_matches(text.strip().casefold(), near, n=1, cutoff=0.8)
    guess = f" (did you mean {_shown(near[guesses[0]])}?)" if guesses else ""
    more = " …" if len(known) > _MOST_VALUES else ""
    sentence = f"No row has {_shown(text)}{guess} in {column!r}, whose values are {', '.join(map(_shown, known[:_MOST_VALUES]))}{more}."
    elsewhere = [
        f"{other!r} of {path}" for path, columns in values.items() for other, each in columns.items() if text in each
    ]
    if not elsewhere:
        return sentence
    return f"{sentence} It is a value of {' and of '.join(elsewhere)}: if the tables belong together, merge them first."


def _comparisons(node: ast.AST) -> Iterator[tuple[str, str]]:
    """`df['a'] == 'x'` and `df.a.isin(['x', 'y'])`: columns, each with a text that it is to be equal to."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq):
        column, text = _column(node.left), _text(node.comparators[0])
        if column is not None and text is not None:
            yield column, text
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "isin":
        column = _column(node.func.value)
        listed = node.args[0].elts if node.args and isinstance(node.args[0], (ast.List, ast.Tuple, ast.Set)) else []
        texts = [text for text in map(_text, listed) if text is not None]
        if column is not None:
            yield from ((column, text) for text in texts)


def _is_no_value(text: str, column: str, contents: Contents) -> bool:
    paths = [path for path, names in contents.columns.items() if column in names]
    return bool(paths) and all(
        column in contents.numbers.get(path, ())
        or (column in contents.values.get(path, ()) and text not in contents.values[path][column])
        for path in paths
    )


def _assigned(node: ast.Assign | ast.AugAssign) -> Iterator[str]:
    for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
        name = _column(target)
        if name is not None:
            yield name


def _column(node: ast.expr) -> str | None:
    """The column that an expression takes from a table; None for anything else."""
    if isinstance(node, ast.Subscript):
        text = _text(node.slice)
        if text is None and isinstance(node.slice, ast.Tuple) and node.slice.elts:
            return _text(node.slice.elts[-1])
        return text
    return node.attr if isinstance(node, ast.Attribute) else None


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…")
