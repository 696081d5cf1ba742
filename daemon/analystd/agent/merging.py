"""Find out how tables that belong together are merged: by the columns that two of them share, also in different spellings."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

_MOST_KEYS = 2
"""Tables that share more columns hold the same kind of rows and are concatenated."""
_MOST_COLUMNS = 200
_NO_NAME = re.compile(r"\W+")


Cells = Mapping[str, Mapping[str, Sequence[str]]]
"""Cells of text columns, by path and name."""


def merges(
    columns: Mapping[str, Sequence[str]], every: Cells | None = None, some: Cells | None = None
) -> dict[tuple[str, str], str]:
    """Return the pandas code that merges two tables, for each pair of paths that share one or two columns.

    Args:
        columns: The columns of each table.
        every: All distinct cells of columns, where they are known.
        some: Some cells of columns. A column is not shared if none of its cells is among all cells of the other.
    """
    found: dict[tuple[str, str], str] = {}
    for left, right in itertools.combinations(columns, 2):
        keys = _common(columns[left][:_MOST_COLUMNS], columns[right][:_MOST_COLUMNS])
        keys = [key for key in keys if not _are_apart((left, key[0]), (right, key[1]), every or {}, some or {})]
        if 0 < len(keys) <= _MOST_KEYS:
            found[left, right] = f"pd.merge({_variable(left)}, {_variable(right)}, {_on(keys)})"
    return found


def letters(name: str) -> str:
    """Return a name without case, spaces and signs."""
    return "".join(character for character in name.casefold() if character.isalnum())


def _common(left: Sequence[str], right: Sequence[str]) -> list[tuple[str, str]]:
    """Return the columns that both tables have, each in both spellings; identical spellings come first."""
    alike = {letters(name): name for name in right if name not in left}
    keys = [(name, name if name in right else alike.get(letters(name), "")) for name in left]
    return [(name, other) for name, other in keys if other and letters(name)]


def _are_apart(left: tuple[str, str], right: tuple[str, str], every: Cells, some: Cells) -> bool:
    """Return whether two columns, each given by path and name, certainly have no cell in common."""
    for (path, name), (other_path, other) in ((left, right), (right, left)):
        all_cells = every.get(path, {}).get(name)
        others = [cell for cell in some.get(other_path, {}).get(other, ()) if cell]
        if all_cells and others and set(all_cells).isdisjoint(others):
            return True
    return False


def _on(keys: Sequence[tuple[str, str]]) -> str:
    if all(name == other for name, other in keys):
        return f"on={_argument([name for name, _ in keys])}"
    return f"left_on={_argument([name for name, _ in keys])}, right_on={_argument([name for _, name in keys])}"


def _argument(names: Sequence[str]) -> str:
    return repr(names[0]) if len(names) == 1 else repr(list(names))


def _variable(path: str) -> str:
    """Return a name for the table of a file, as programs name it."""
    name = _NO_NAME.sub("_", PurePosixPath(path).name.partition(".")[0]).strip("_").lower()
    return name if name.isidentifier() else f"table_{name}"
