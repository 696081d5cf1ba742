"""Hints for filters that can find nothing: a value that no row has in that column, reported before the program runs."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analystd.agent.merging import merges

_MOST_VALUES = 12
_SHORT = 3
"""Values of at most this length must stand in a question in the same case."""
_WORD = re.compile(r"\w[\w-]*")
_SHOWN_CHARACTERS = 40


@dataclass(frozen=True)
class Contents:
    """The known contents of tables, by path and then by column."""

    values: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """All values of the text columns that have few."""
    numbers: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The numeric columns."""
    columns: Mapping[str, Collection[str]] = field(default_factory=dict)
    """All columns."""
    dates: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The columns that hold dates as text."""
    samples: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    """Some cells of the text columns."""

    @property
    def merges(self) -> dict[tuple[str, str], str]:
        """The code that merges two of the tables, by their paths."""
        return merges({path: list(names) for path, names in self.columns.items()}, self.values, self.samples)

    def without(self, words: Collection[str]) -> set[str]:
        """Return the numeric columns, and the text columns whose values are all known and include none of the words."""
        known = [each for columns in self.values.values() for each in columns.items()]
        holding = {name for name, values in known if not set(words).isdisjoint(values)}
        return self.in_all(self.numbers) | self.in_all(self.values) - holding

    def in_all(self, kind: Mapping[str, Collection[str]]) -> set[str]:
        """Return the names that are columns of a kind (`values`, `numbers`, `dates`) in every table that has them."""
        return {
            name
            for names in kind.values()
            for name in names
            if all(name in kind.get(path, ()) for path, columns in self.columns.items() if name in columns)
        }


def impossible_filters(code: str, contents: Contents) -> list[tuple[str, str]]:
    """Return the columns that a program compares with a text that no row has there, each with that text.

    Columns that the program itself creates or changes are left out, and those of which not all values are known in every table that has them.
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


def columns_for(filters: Sequence[tuple[str, str]], contents: Contents) -> dict[tuple[str, str], str]:
    """Return the column that has the text of a filter that can find nothing, for each filter where there is only one such column."""
    found: dict[tuple[str, str], str] = {}
    for column, text in filters:
        having = {name for columns in contents.values.values() for name, known in columns.items() if text in known}
        if len(having) == 1:
            found[column, text] = having.pop()
    return found


def values_as_columns(names: Collection[str], contents: Contents) -> list[tuple[str, str]]:
    """Return those of the names, which are not columns, that are values of a column, each with that column."""
    return [
        (name, column)
        for name in names
        for values in contents.values.values()
        for column, known in values.items()
        if name in known
    ]


def hint_for_values_as_columns(found: Sequence[tuple[str, str]], contents: Contents) -> str:
    """Return a sentence about values that a program uses as columns."""
    name, column = found[0]
    names = " and ".join(_shown(name) for name, _ in found)
    return (
        f"There is no column {names}: that is a value of {column!r}. Filter for it, df[df[{column!r}] == {_shown(name)}], or make columns "
        f"of the values first, {_pivot(column, contents)}."
    )


def _pivot(column: str, contents: Contents) -> str:
    """Return code that turns the values of a column into columns, by the table's first dates and first numbers if it has them."""
    path = next(path for path, columns in contents.values.items() if column in columns)
    rows, cells = (next(iter(kind.get(path, ())), None) for kind in (contents.dates, contents.numbers))
    index, values = (repr(name) if name is not None else "…" for name in (rows, cells))
    return f"wide = df.pivot(index={index}, columns={column!r}, values={values})"


def unused_values(question: str, code: str, contents: Contents) -> list[tuple[str, str]]:
    """Return the values that a question names and a program ignores: neither they nor their columns occur in it, except in what it prints."""
    try:
        written = _written(ast.parse(code))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    asked = set(_WORD.findall(question))
    folded, words = {word.casefold() for word in asked}, set(_WORD.findall(written))
    return [
        (value, column)
        for values in contents.values.values()
        for column, known in values.items()
        for value in known
        if column.casefold() not in written.casefold()
        and (
            value in asked and value not in words
            if len(value) <= _SHORT
            else value.casefold() in folded and value.casefold() not in written.casefold()
        )
    ]


def _written(tree: ast.AST) -> str:
    """Return the names and texts of a program, without texts that it only prints."""
    texts: list[str] = []
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Constant):
            texts.append(str(node.value))
        elif isinstance(node, ast.Name):
            texts.append(node.id)
        elif isinstance(node, ast.Attribute):
            texts.append(node.attr)
        prints = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        nodes += [
            each
            for each in ast.iter_child_nodes(node)
            if not isinstance(each, ast.JoinedStr) and not (prints and isinstance(each, ast.Constant))
        ]
        if isinstance(node, ast.Call):
            nodes += [
                part
                for each in node.args
                if isinstance(each, ast.JoinedStr)
                for part in each.values
                if isinstance(part, ast.FormattedValue)
            ]
    return "\n".join(texts)


def hint_for_unused_values(found: Sequence[tuple[str, str]]) -> str:
    """Return a sentence about values that a program ignores."""
    value, column = found[0]
    return f"The question is about {_shown(value)}, a value of {column!r}, and the program does not filter for it."


def hint_for_filters(filters: Sequence[tuple[str, str]], contents: Contents) -> str:
    """Return a sentence about filters that find nothing."""
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
    elsewhere = [(path, other) for path, columns in values.items() for other, each in columns.items() if text in each]
    if not elsewhere:
        return sentence
    named = " and of ".join(f"{other!r} of {path}" for path, other in elsewhere)
    path, other = elsewhere[0]
    ways = [way for pair, way in contents.merges.items() if path in pair]
    how = f": merged = {ways[0]}, then merged[merged[{other!r}] == {_shown(text)}]" if ways else ""
    return f"{sentence} It is a value of {named}: if the tables belong together, merge them first{how}."


def _comparisons(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield the columns in `df['a'] == 'x'` and `df.a.isin(['x', 'y'])`, each with a text that it is compared with."""
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
    """Return the column that an expression takes from a table; None for anything else."""
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
