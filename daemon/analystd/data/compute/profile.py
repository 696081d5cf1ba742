"""Statistics of a table's columns, computed in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analystd.data.column_numbers import without_nan
from analystd.data.compute.distinct import DistinctCounter, hashes_of, unique_hashes
from analystd.data.compute.frequent_values import TopValues
from analystd.data.compute.histogram import HistogramCounter
from analystd.data.compute.moments import Extremes, Moments
from analystd.data.compute.query import Query
from analystd.data.compute.type_classes import Kind, is_bytes, kind_of
from analystd.data.table import Table
from analystd.wire.column_names import address_of, addressed
from analystd.wire.results import ColumnInfo, ColumnProfile, HistogramBins

_DATES_AS_TEXT = ("date", "timestamp", "time")
_WHOLE_NUMBERS = ("int", "uint")


class ColumnSummary:
    """The statistics of one column that `describe` reports."""

    def __init__(self, column: ColumnInfo) -> None:
        self.column = column
        self.kind = kind_of(column["type"])
        self.count = 0
        self.missing = 0
        self.mismatches = 0
        """The number of values that do not match the type; no other statistic includes them."""
        ordered = self.kind in (Kind.NUMBER, Kind.TIME) or column["type"] in _DATES_AS_TEXT
        self.extremes = Extremes() if ordered else None
        self.moments = Moments() if self.kind is Kind.NUMBER else None

    def add(self, array: pa.Array, rows: NDArray[np.int64], mismatches: int) -> None:
        """Add the column's values of more rows; `mismatches` of them are null because they do not match the type."""
        array = without_nan(array)
        valid = len(array) - array.null_count
        self.count += valid + mismatches
        self.missing += array.null_count - mismatches
        self.mismatches += mismatches
        if valid:
            self._add_values(array, rows)

    def _add_values(self, array: pa.Array, rows: NDArray[np.int64]) -> None:
        if self.extremes is not None:
            self.extremes.add(array, rows)
        if self.moments is not None:
            self.moments.add(_doubles(array))


class ColumnProfiler(ColumnSummary):
    """The statistics that `profile` reports: also distinct values, a histogram of numbers, and other values' frequencies."""

    def __init__(self, column: ColumnInfo) -> None:
        super().__init__(column)
        self.histogram = HistogramCounter(whole_numbers=column["type"].startswith(_WHOLE_NUMBERS))
        self.distinct = DistinctCounter()
        self.top = TopValues()
        self.is_text = False

    def _add_values(self, array: pa.Array, rows: NDArray[np.int64]) -> None:
        super()._add_values(array, rows)
        if self.kind is Kind.OTHER:
            return
        # With few distinct values, process each of them once.
        self.distinct.add(unique_hashes(array) if self.distinct.exact else hashes_of(array))
        if self.kind is Kind.NUMBER:
            self.histogram.add(_doubles(array))
        else:
            # Text formats yield text as bytes.
            self.is_text = self.kind is not Kind.BYTES and is_bytes(array.type)
            self.top.add(array)


def described(table: Table, positions: Sequence[int], query: Query) -> list[ColumnSummary]:
    """Return a summary of each column over the rows that meet the query's filter. Raises as `Query.page`."""
    columns = addressed(table.columns)
    summaries = [ColumnSummary(columns[at]) for at in positions]
    _fill(summaries, positions, query)
    return summaries


def profiled(table: Table, positions: Sequence[int], query: Query) -> list[ColumnProfile]:
    """Return a profile of each column over the rows that meet the query's filter. Raises as `Query.page`."""
    columns = addressed(table.columns)
    profilers = [ColumnProfiler(columns[at]) for at in positions]
    _fill(profilers, positions, query)
    return [_profile(each, extreme_cells(table, at, each)) for at, each in zip(positions, profilers, strict=True)]


def extreme_cells(table: Table, position: int, summary: ColumnSummary) -> tuple[Any, Any]:
    """Return the cells with the smallest and the largest value, as the table shows them; None for a column without values."""
    extremes = summary.extremes
    if extremes is None or extremes.smallest is None or extremes.largest is None:
        return None, None
    smallest, largest = (_cell(table, position, each.row) for each in (extremes.smallest, extremes.largest))
    return smallest, largest


def _cell(table: Table, position: int, row: int) -> Any:
    return table.rows(row, 1, [position]).cells[0][0]


def _fill(summaries: Sequence[ColumnSummary], positions: Sequence[int], query: Query) -> None:
    for each in query.chunks(positions):
        every = len(each.rows) == each.chunk.num_rows
        rows = each.rows + each.chunk.first_row
        for at, summary in enumerate(summaries):
            array, mismatches = each.chunk.arrays[at], each.chunk.mismatches[at]
            # The rows of mismatched values are unknown, so with a filter they cannot be counted.
            summary.add(array if every else array.take(pa.array(each.rows)), rows, mismatches if every else 0)


def _doubles(array: pa.Array) -> NDArray[np.float64]:
    values: NDArray[np.float64] = array.drop_null().cast(pa.float64(), safe=False).to_numpy()
    return values


def _profile(profiler: ColumnProfiler, extremes: tuple[Any, Any]) -> ColumnProfile:
    numbers = profiler.kind is Kind.NUMBER
    other = profiler.kind is Kind.OTHER
    moments = profiler.moments
    edges, counts = profiler.histogram.bins()
    return ColumnProfile(
        column=address_of(profiler.column),
        type=profiler.column["type"],
        count=profiler.count,
        missing=profiler.missing,
        strange=profiler.mismatches,
        distinct=None if other else profiler.distinct.count(),
        distinct_exact=not other and profiler.distinct.exact,
        min=extremes[0],
        max=extremes[1],
        mean=moments.mean if moments else None,
        std=moments.std if moments else None,
        histogram=HistogramBins(edges=edges, counts=counts) if counts else None,
        top=None if numbers or other else profiler.top.top(text=profiler.is_text),
        top_exact=not numbers and not other and profiler.top.exact,
    )
