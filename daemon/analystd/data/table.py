"""What every table gives, whatever its format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from analystd.data.column_chunks import HasColumnChunks
from analystd.wire.results import ColumnInfo

MAX_REPLY_CHARACTERS = 16 * 1024 * 1024
"""What the cells of one reply may hold; a reply ends before the row that goes beyond."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, and what is to be said about them."""

    cells: list[list[Any]]
    warnings: tuple[str, ...] = ()


class Table(HasColumnChunks, Protocol):
    """An open table. Rows are counted from 0 and do not count a header."""

    @property
    def columns(self) -> list[ColumnInfo]:
        """Names and types, in the file's order."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What is to be said about the file as a whole."""
        ...

    @property
    def known_rows(self) -> int | None:
        """How many rows there are, if that is known without reading the file."""
        ...

    def count_rows(self) -> int:
        """How many rows there are."""
        ...

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """At most `count` rows from `offset`, with the cells of `columns`, by position."""
        ...

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """The last `count` rows, or all if there are fewer."""
        ...


def bounded(cells: Sequence[list[Any]], characters: Callable[[list[Any]], int]) -> Rows:
    """The rows that fit into one reply, of so many characters each, with a warning if that is not all of them."""
    total = 0
    for number, row in enumerate(cells):
        total += characters(row)
        if total > MAX_REPLY_CHARACTERS:
            kept = max(1, number)
            warning = f"Only {kept} of {len(cells)} rows are given: more than 16 MiB do not fit into one reply"
            return Rows(list(cells[:kept]), (warning,))
    return Rows(list(cells))
