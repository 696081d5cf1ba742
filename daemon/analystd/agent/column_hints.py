"""Hints for a program that failed or would fail: missing columns, and values that are not numbers."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from analystd.agent.merging import letters

Columns = Mapping[str, Sequence[str]]
"""The columns of each known table, by its path."""

_NEAR = 0.6
_MOST_NAMES = 40
_KEY_ERROR = re.compile(r"^KeyError: (?P<key>.*?)(?: \(line \d+\))?$", re.MULTILINE)
_NOT_IN_INDEX = re.compile(
    r"\[(?P<names>'[^\]]*')\] not (?:found )?in (?:axis|index)|None of \[(?:Index\(\[)?(?P<none>'[^\]]*')"
)


def unknown_columns(code: str, columns: Columns) -> list[str]:
    """Return the names in subscripts of a program that match a column only in another spelling: case, spaces, signs between words.

    Names that the program itself creates (assigned, renamed to, keys of its dictionaries) are known.
    """
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    known = {name for names in columns.values() for name in names}
    read, made = set[str](), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript):
            names = _strings(node.slice)
            (read if isinstance(node.ctx, ast.Load) else made).update(names)
        elif isinstance(node, ast.Dict):
            made.update(name for part in (*node.keys, *node.values) if part is not None for name in _strings(part))
        elif isinstance(node, ast.keyword) and node.arg is not None:
            made.add(node.arg)
    spelt = {letters(name) for name in known} - {""}
    return [name for name in sorted(read - made - known) if letters(name) in spelt]


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that are most similar to `name`, the most similar first."""
    folded = {each.casefold().strip(): each for each in known}
    matches = difflib.get_close_matches(name.casefold().strip(), folded, n=3, cutoff=_NEAR)
    return [folded[match] for match in matches]


def hint_for_unknown(names: Sequence[str], columns: Columns) -> str:
    """Return a sentence about columns that do not exist."""
    known = [name for each in columns.values() for name in each]
    guesses = {name: " or ".join(map(repr, nearest(name, known))) for name in names}
    told = [f"{name!r} (did you mean {guess}?)" if guess else repr(name) for name, guess in guesses.items()]
    return f"There is no column {', '.join(told)}. {all_columns(columns)}"


def hint_for_failure(output: str, columns: Columns, ways: Mapping[tuple[str, str], str] | None = None) -> str | None:
    """Return a hint for an error about columns; None for other errors, or if no table is known.

    Args:
        output: The output of the failed program.
        columns: The columns of the tables.
        ways: The code that merges two of them, by their paths.
    """
    keys = missing_columns(output) if columns else []
    if not keys:
        return None
    if elsewhere := _in_some_tables(keys[-1], columns, ways or {}):
        return elsewhere
    hint = hint_for_unknown(keys[-3:], columns)
    if any(nearest(key, (name for names in columns.values() for name in names)) for key in keys):
        return hint
    return f"{hint} If none of them holds what the question asks for, say in one sentence that the data has no such column."


def _in_some_tables(name: str, columns: Columns, merges: Mapping[tuple[str, str], str]) -> str | None:
    """Return a sentence about a column that only some of the tables have; None if all or none have it."""
    having = [path for path, names in columns.items() if name in names]
    if not having or len(having) == len(columns):
        return None
    others = {path: names for path, names in columns.items() if path not in having}
    sentences = [f"Only {' and '.join(having)} has the column {name!r}. {all_columns(others)}"]
    alike = [
        f"{path} calls it {other!r}."
        for path, names in others.items()
        for other in names
        if letters(other) == letters(name)
    ]
    ways = [way for pair, way in merges.items() if set(pair) & set(having) and set(pair) & set(others)]
    if ways:
        sentences += [*alike, f"Merge the tables first and use what comes of it: merged = {ways[0]}."]
    elif not set.intersection(*(set(names) for names in columns.values())):
        sentences.append(
            "The tables have no column in common: name a key in each (left_on, right_on), "
            "or, if their rows belong together in order, put them side by side with pd.concat([first, second], axis=1)."
        )
    return " ".join(sentences)


def missing_columns(output: str) -> list[str]:
    """Return the column names that a program's error reports as missing."""
    keys = [found["key"].strip("'\"") for found in _KEY_ERROR.finditer(output) if "[" not in found["key"]]
    for found in _NOT_IN_INDEX.finditer(output):
        keys += re.findall(r"'([^']*)'", found["names"] or found["none"] or "")
    return keys


def all_columns(columns: Columns) -> str:
    """Return a sentence that names the columns of each table."""
    return " ".join(
        f"The columns of {path} are {', '.join(map(repr, names[:_MOST_NAMES]))}{' …' if len(names) > _MOST_NAMES else ''}."
        for path, names in columns.items()
    )


def _strings(node: ast.expr) -> list[str]:
    """Return the text constants of a subscript: one, or those of a list or tuple."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, (ast.List, ast.Tuple)):
        return [name for each in node.elts for name in _strings(each)]
    return []
