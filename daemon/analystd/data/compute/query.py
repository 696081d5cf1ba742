"""The rows of a table that meet a filter, in an order, as row numbers: what is shown of them is read by the table itself."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analystd.data.column_chunks import ColumnChunk, HasColumnChunks
from analystd.data.compute.conditions import checks_of, rows_meeting
from analystd.data.compute.order import Candidates, Direction
from analystd.data.compute.selections import Ordered, SeenPart, Selection
from analystd.data.compute.type_classes import Kind, kind_of
from analystd.data.view_request import ViewRequest
from analystd.wire.arguments import SortKey
from analystd.wire.column_names import addresses, position_of
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ColumnInfo

MOST_SORTED_ROWS = 2_000_000
"""How far into an order one can look, from either end."""

_FEWEST_CANDIDATES = 10_000

_T = TypeVar("_T")


class Queried(HasColumnChunks, Protocol):
    """A table that can be filtered and sorted."""

    @property
    def columns(self) -> list[ColumnInfo]:
        """Names and types."""
        ...


@dataclass(frozen=True)
class RowPage:
    """Some of the chosen rows."""

    numbers: list[int]
    """Where they are in the table, in the order asked for."""
    offset: int
    """How many chosen rows come before."""


@dataclass(frozen=True)
class Filtered:
    """A part of the table, and what of it meets the filter."""

    part: ColumnChunk
    rows: NDArray[np.int64]
    """The rows that meet the filter, counted from the part's first."""
    strange: int
    """How many values do not fit their types, of the part's columns and those of the filter."""


class Query:
    """The filter and order of one question about one table; what is found out is left in `known`."""

    def __init__(self, table: Queried, question: ViewRequest, known: Selection) -> None:
        """Raises `InvalidArgumentsError` for a column, operator or value that there cannot be."""
        self._table = table
        self._known = known
        self._checks = checks_of(table.columns, question.filter)
        self._keys = [_key_position(table.columns, key) for key in question.sort]
        self._directions = [Direction(key.descending) for key in question.sort]

    @property
    def total(self) -> int | None:
        """How many rows meet the filter, if that is known by now."""
        ordered = self._known.first or self._known.last
        return ordered.total if ordered else self._known.matches.total

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is to be said of the values looked at so far."""
        seen = [each.strange for each in (self._known.first, self._known.last, self._known.matches.last) if each]
        strange = max(seen, default=0)
        if not strange:
            return ()
        every = addresses([column["name"] for column in self._table.columns])
        names = dict.fromkeys(every[at] for at in self._positions)
        of = " or ".join(f"{name!r}" for name in names)
        values = "1 value does" if strange == 1 else f"{strange} values do"
        return (f"{values} not fit the type of {of}, which is guessed from the first rows; taken as missing",)

    def page(self, offset: int, count: int) -> RowPage:
        """At most `count` of the rows from number `offset` of those that are chosen.

        Raises:
            InvalidArgumentsError: for rows too far from the beginning of an order.
            WorkspaceError: when the file turns out to be unreadable.
            ViewCancelledError: when the request was cancelled.
        """
        if not self._keys:
            return RowPage(self._matches_from(offset, count), offset)
        ordered = self._ordered(offset + count, last=False)
        return RowPage(ordered.numbers[offset : offset + count].tolist(), offset)

    def tail(self, count: int) -> RowPage:
        """The last `count` rows of those that are chosen. Raises as `page`."""
        if not self._keys:
            offset = max(0, self.count() - count)
            return self.page(offset, count)
        ordered = self._ordered(count, last=True)
        numbers = ordered.numbers[:count][::-1].tolist()
        return RowPage(numbers, ordered.total - len(numbers))

    def count(self) -> int:
        """How many rows meet the filter; reads the whole table once. Raises as `page`."""
        if self.total is None:
            matches = self._known.matches
            for _ in self._looked_through(matches.last):
                pass
        assert self.total is not None
        return self.total

    def parts(self, positions: Sequence[int]) -> Iterator[Filtered]:
        """All parts with the columns at `positions`. Raises as `page`."""
        return self._filtered(positions, 0)

    @property
    def _positions(self) -> list[int]:
        return [*self._keys, *(check.position for check in self._checks)]

    def _filtered(self, positions: Sequence[int], start: int) -> Iterator[Filtered]:
        """The parts from number `start` with the columns at `positions`."""
        every = list(dict.fromkeys([*positions, *(check.position for check in self._checks)]))
        places = {position: at for at, position in enumerate(every)}
        with _closing(self._table.column_parts(every, start)) as parts:
            for part in parts:
                arrays = [part.arrays[places[check.position]] for check in self._checks]
                yield Filtered(
                    ColumnChunk(
                        part.number,
                        part.first_row,
                        part.num_rows,
                        [part.arrays[places[position]] for position in positions],
                        [part.strange[places[position]] for position in positions],
                    ),
                    rows_meeting(self._checks, arrays, part.num_rows),
                    sum(part.strange),
                )

    def _looked_through(self, seen: SeenPart | None) -> Iterator[tuple[SeenPart, NDArray[np.int64]]]:
        """The parts after the one that was `seen`, with the numbers of their rows that meet the filter."""
        matches = self._known.matches
        before, strange, start = (seen.after, seen.strange, seen.number + 1) if seen else (0, 0, 0)
        with _closing(self._filtered([], start)) as parts:
            for each in parts:
                strange += each.strange
                here = SeenPart(each.part.number, before, len(each.rows), strange)
                matches.note(here)
                before = here.after
                yield here, each.rows + each.part.first_row
        matches.complete = True

    def _matches_from(self, offset: int, count: int) -> list[int]:
        matches = self._known.matches
        if matches.total is not None and offset >= matches.total:
            return []
        numbers: list[int] = []
        with _closing(self._looked_through(matches.last_before(offset))) as parts:
            for part, rows in parts:
                skip = max(0, offset - part.before)
                numbers += rows[skip : skip + count - len(numbers)].tolist()
                if len(numbers) == count:
                    break
        return numbers

    def _ordered(self, count: int, *, last: bool) -> Ordered:
        """At least so many rows of the order, from its beginning or its end, if there are as many."""
        known = self._known.last if last else self._known.first
        if known is not None and known.holds(count):
            return known
        if count > MOST_SORTED_ROWS:
            raise InvalidArgumentsError(
                f"Row {count - 1} of an order is asked for; only the first {MOST_SORTED_ROWS} rows can be",
                "Set a filter, or sort in the other direction",
            )
        candidates = Candidates(self._directions, max(_FEWEST_CANDIDATES, 1 << (count - 1).bit_length()), last=last)
        total = strange = 0
        with _closing(self._filtered(self._keys, 0)) as parts:
            for each in parts:
                keys = each.part.arrays
                if len(each.rows) < each.part.num_rows:
                    keys = [key.take(pa.array(each.rows)) for key in keys]
                candidates.add(keys, each.rows + each.part.first_row)
                total += len(each.rows)
                strange += each.strange
        ordered = Ordered(candidates.rows(), total, strange)
        if last:
            self._known.last = ordered
        else:
            self._known.first = ordered
        return ordered


def _closing(items: Iterator[_T]) -> closing[Generator[_T, None, None]]:
    """Has what prepares the items stop when no more are taken."""
    return closing(cast("Generator[_T, None, None]", items))


def _key_position(columns: Sequence[ColumnInfo], key: SortKey) -> int:
    position = position_of(columns, key.column)
    if kind_of(columns[position]["type"]) is Kind.OTHER:
        raise InvalidArgumentsError(f"Column {key.column!r} is {columns[position]['type']}, which has no order")
    return position
