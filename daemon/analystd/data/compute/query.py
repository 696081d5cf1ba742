"""The numbers of the rows that meet a filter, in sort order; the table itself then reads the rows to show."""

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
from analystd.data.compute.selections import Ordered, SeenChunk, Selection
from analystd.data.compute.type_classes import Kind, kind_of
from analystd.data.view_request import ViewRequest
from analystd.wire.arguments import SortKey
from analystd.wire.column_names import addresses, position_of
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ColumnInfo

MOST_SORTED_ROWS = 2_000_000
"""Maximum number of rows that a sorted view offers from either end."""

_FEWEST_CANDIDATES = 10_000

_T = TypeVar("_T")


class Queried(HasColumnChunks, Protocol):
    """A table that can be filtered and sorted."""

    @property
    def columns(self) -> list[ColumnInfo]:
        """The columns' names and types."""
        ...


@dataclass(frozen=True)
class RowPage:
    """A page of the selected rows."""

    numbers: list[int]
    """The rows' numbers in the table, in the requested order."""
    offset: int
    """The number of selected rows before the page."""


@dataclass(frozen=True)
class Filtered:
    """A chunk of the table, with the rows that meet the filter."""

    chunk: ColumnChunk
    rows: NDArray[np.int64]
    """The rows that meet the filter, counted from the chunk's first row."""
    mismatches: int
    """The number of values of the chunk's and the filter's columns that do not match their types."""


class Query:
    """The filter and sort order of one request for a view of one table; results are cached in `known`."""

    def __init__(self, table: Queried, request: ViewRequest, known: Selection) -> None:
        """Raise `InvalidArgumentsError` for an invalid column, operator or value."""
        self._table = table
        self._known = known
        self._checks = checks_of(table.columns, request.filter)
        self._keys = [_key_position(table.columns, key) for key in request.sort]
        self._directions = [Direction(key.descending) for key in request.sort]

    @property
    def total(self) -> int | None:
        """The number of rows that meet the filter, if it is already known."""
        ordered = self._known.first or self._known.last
        return ordered.total if ordered else self._known.matches.total

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return warnings about the values read so far."""
        seen = [each.mismatches for each in (self._known.first, self._known.last, self._known.matches.last) if each]
        mismatches = max(seen, default=0)
        if not mismatches:
            return ()
        every = addresses([column["name"] for column in self._table.columns])
        names = dict.fromkeys(every[at] for at in self._positions)
        of = " or ".join(f"{name!r}" for name in names)
        values = "1 value does" if mismatches == 1 else f"{mismatches} values do"
        return (f"{values} not fit the type of {of}, which is guessed from the first rows; treated as missing",)

    def page(self, offset: int, count: int) -> RowPage:
        """Return at most `count` of the selected rows, from number `offset`.

        Raises:
            InvalidArgumentsError: for rows too far from the beginning of a sorted view.
            WorkspaceError: when the file cannot be read.
            ViewCancelledError: when the request was cancelled.
        """
        if not self._keys:
            return RowPage(self._matches_from(offset, count), offset)
        ordered = self._ordered(offset + count, last=False)
        return RowPage(ordered.numbers[offset : offset + count].tolist(), offset)

    def tail(self, count: int) -> RowPage:
        """Return the last `count` of the selected rows. Raises as `page`."""
        if not self._keys:
            offset = max(0, self.count() - count)
            return self.page(offset, count)
        ordered = self._ordered(count, last=True)
        numbers = ordered.numbers[:count][::-1].tolist()
        return RowPage(numbers, ordered.total - len(numbers))

    def count(self) -> int:
        """Return the number of rows that meet the filter, reading the whole table once. Raises as `page`."""
        if self.total is None:
            matches = self._known.matches
            for _ in self._scanned(matches.last):
                pass
        assert self.total is not None
        return self.total

    def chunks(self, positions: Sequence[int]) -> Iterator[Filtered]:
        """Yield all chunks with the columns at `positions`. Raises as `page`."""
        return self._filtered(positions, 0)

    @property
    def _positions(self) -> list[int]:
        return [*self._keys, *(check.position for check in self._checks)]

    def _filtered(self, positions: Sequence[int], start: int) -> Iterator[Filtered]:
        """Yield the chunks from number `start` on, with the columns at `positions`."""
        every = list(dict.fromkeys([*positions, *(check.position for check in self._checks)]))
        places = {position: at for at, position in enumerate(every)}
        with _closing(self._table.column_chunks(every, start)) as chunks:
            for chunk in chunks:
                arrays = [chunk.arrays[places[check.position]] for check in self._checks]
                yield Filtered(
                    ColumnChunk(
                        chunk.number,
                        chunk.first_row,
                        chunk.num_rows,
                        [chunk.arrays[places[position]] for position in positions],
                        [chunk.mismatches[places[position]] for position in positions],
                    ),
                    rows_meeting(self._checks, arrays, chunk.num_rows),
                    sum(chunk.mismatches),
                )

    def _scanned(self, seen: SeenChunk | None) -> Iterator[tuple[SeenChunk, NDArray[np.int64]]]:
        """Yield the chunks after `seen`, each with the numbers of its rows that meet the filter."""
        matches = self._known.matches
        before, mismatches, start = (seen.after, seen.mismatches, seen.number + 1) if seen else (0, 0, 0)
        with _closing(self._filtered([], start)) as chunks:
            for each in chunks:
                mismatches += each.mismatches
                here = SeenChunk(each.chunk.number, before, len(each.rows), mismatches)
                matches.note(here)
                before = here.after
                yield here, each.rows + each.chunk.first_row
        matches.complete = True

    def _matches_from(self, offset: int, count: int) -> list[int]:
        matches = self._known.matches
        if matches.total is not None and offset >= matches.total:
            return []
        numbers: list[int] = []
        with _closing(self._scanned(matches.last_before(offset))) as chunks:
            for chunk, rows in chunks:
                skip = max(0, offset - chunk.before)
                numbers += rows[skip : skip + count - len(numbers)].tolist()
                if len(numbers) == count:
                    break
        return numbers

    def _ordered(self, count: int, *, last: bool) -> Ordered:
        """Return at least `count` rows from the beginning or the end of the order, or all if there are fewer."""
        known = self._known.last if last else self._known.first
        if known is not None and known.holds(count):
            return known
        if count > MOST_SORTED_ROWS:
            raise InvalidArgumentsError(
                f"Row {count - 1} of a sorted view is out of reach: only its first {MOST_SORTED_ROWS} rows are available",
                "Set a filter, or sort in the other direction",
            )
        candidates = Candidates(self._directions, max(_FEWEST_CANDIDATES, 1 << (count - 1).bit_length()), last=last)
        total = mismatches = 0
        with _closing(self._filtered(self._keys, 0)) as chunks:
            for each in chunks:
                keys = each.chunk.arrays
                if len(each.rows) < each.chunk.num_rows:
                    keys = [key.take(pa.array(each.rows)) for key in keys]
                candidates.add(keys, each.rows + each.chunk.first_row)
                total += len(each.rows)
                mismatches += each.mismatches
        ordered = Ordered(candidates.rows(), total, mismatches)
        if last:
            self._known.last = ordered
        else:
            self._known.first = ordered
        return ordered


def _closing(items: Iterator[_T]) -> closing[Generator[_T, None, None]]:
    """Return a context manager that stops the preparation of further items at its end."""
    return closing(cast("Generator[_T, None, None]", items))


def _key_position(columns: Sequence[ColumnInfo], key: SortKey) -> int:
    position = position_of(columns, key.column)
    if kind_of(columns[position]["type"]) is Kind.OTHER:
        raise InvalidArgumentsError(f"Column {key.column!r} is {columns[position]['type']}, which cannot be sorted")
    return position
