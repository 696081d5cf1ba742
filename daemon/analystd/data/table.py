"""The interface of tables of all formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from analystd.data.column_chunks import HasColumnChunks
from analystd.wire.results import ColumnInfo

MAX_REPLY_CHARACTERS = 16 * 1024 * 1024
"""Maximum size of the cells in one reply; a reply ends before the row that would exceed it."""


@dataclass(frozen=True)
class Rows:
    """Rows of a table, with warnings about them."""

    cells: list[list[Any]]
    warnings: tuple[str, ...] = ()


class Table(HasColumnChunks, Protocol):
    """An open table. Rows are counted from 0 and do not count a header."""

    @property
    def columns(self) -> list[ColumnInfo]:
        """The columns' names and types, in the file's order."""
        ...

    @property
    def warnings(self) -> list[str]:
        """Warnings about the file as a whole."""
        ...

    @property
    def known_rows(self) -> int | None:
        """The number of rows, if it is known without reading the file."""
        ...

    def count_rows(self) -> int:
        """Return the number of rows."""
        ...

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """Return at most `count` rows from `offset`, with the cells of `columns`, given by position."""
        ...

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """Return the last `count` rows, or all if there are fewer."""
        ...


def bounded(cells: Sequence[list[Any]], characters: Callable[[list[Any]], int]) -> Rows:
    """Return the rows that fit into one reply, with a warning if some do not; `length` returns the characters of a row."""
    total = 0
    for number, row in enumerate(cells):
        total += characters(row)
        if total > MAX_REPLY_CHARACTERS:
            kept = max(1, number)
            warning = f"Only {kept} of {len(cells)} rows are returned: a reply holds at most 16 MiB"
            return Rows(list(cells[:kept]), (warning,))
    return Rows(list(cells))
