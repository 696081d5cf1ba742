"""The common part of typed tables: the cells of consecutive or scattered rows, within the size of one reply."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import pyarrow as pa

from analystd.data.arrow_values import json_values
from analystd.data.cell_sizes import json_bytes
from analystd.data.column_chunks import ColumnChunk
from analystd.data.positioned_file import ProgressListener
from analystd.data.table import MAX_REPLY_CHARACTERS, Rows
from analystd.data.typed.arrow_chunks import column_chunks
from analystd.data.typed.arrow_groups import RowGroup, RowGroups, slabs
from analystd.wire.errors import ResourceLimitError
from analystd.wire.results import ColumnInfo

MAX_ROW_BYTES = 128 * 1024 * 1024
"""Maximum size of a single row in a reply."""

_SEARCHED_ROWS = 16 * 1024
_SEARCHED_BYTES = 8 * 1024 * 1024


class GroupedTable(RowGroups):
    """A table over groups of Arrow arrays."""

    def __init__(self, name: str, listener: ProgressListener) -> None:
        self._columns: list[ColumnInfo] = []
        super().__init__(name, listener)

    @property
    def columns(self) -> list[ColumnInfo]:
        """The top-level columns with Arrow's names for their types."""
        return list(self._columns)

    @property
    def warnings(self) -> list[str]:
        """Return no warnings: a typed file leaves nothing to guess."""
        return []

    @property
    def known_rows(self) -> int:
        """The number of rows, from the file's metadata."""
        return self.total

    def count_rows(self) -> int:
        """Return the number of rows."""
        return self.total

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """Return rows from `offset`; groups before it are not read.

        Raises:
            WorkspaceError: when the data is damaged.
            ResourceLimitError: for a row that does not fit into a reply.
        """
        count = max(0, min(count, self.total - offset))
        if not columns:
            return Rows([[] for _ in range(count)])
        numbers = range(offset, offset + count)
        return _fitting_rows(self.name, numbers, self._cells(offset, count, columns))

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """Return the last rows. Raises as `rows`."""
        return self.rows(max(0, self.total - count), count, columns)

    def rows_at(self, numbers: Sequence[int], columns: Sequence[int]) -> Rows:
        """Return the rows with these numbers, in this order, reading each of their groups once. Raises as `rows`."""
        there = [number for number in numbers if 0 <= number < self.total]
        found: dict[int, list[Any]] = {number: [] for number in sorted(there)}
        for group, run in groupby(found, key=self.of_row):
            wanted = list(run)
            for slab in slabs(columns):
                for number, cells in self._scattered(group, wanted, slab):
                    found[number] += cells
        return _fitting_rows(self.name, there, (found[number] for number in there))

    def column_chunks(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnChunk]:
        """See `HasColumnChunks` and `arrow_chunks`."""
        return column_chunks(self, columns, start)

    def _set(self, schema: pa.Schema, groups: Sequence[RowGroup]) -> None:
        super()._set(schema, groups)
        self._columns = [ColumnInfo(name=each.name, type=str(each.type)) for each in schema]

    def _cells(self, offset: int, count: int, columns: Sequence[int]) -> Iterator[list[Any]]:
        for arrays in self.windows(offset, count, columns):
            with self.translated():
                values = [json_values(array) for array in arrays]
            for row in zip(*values, strict=True):
                yield list(row)

    def _scattered(self, group: int, wanted: Sequence[int], columns: Sequence[int]) -> Iterator[tuple[int, list[Any]]]:
        """Yield the cells of rows of one group, with the rows' numbers."""
        begin = self.begin(group)
        count = wanted[-1] + 1 - begin
        batch_rows = min(count, self.fitting(group, columns, _SEARCHED_ROWS, _SEARCHED_BYTES))
        at = 0
        for arrays in self.arrays(group, 0, count, columns, batch_rows):
            after = at
            while after < len(wanted) and wanted[after] < begin + len(arrays[0]):
                after += 1
            if here := wanted[at:after]:
                with self.translated():
                    picked = [_picked(array, [number - begin for number in here]) for array in arrays]
                yield from zip(here, map(list, zip(*picked, strict=True)), strict=True)
            at, begin = after, begin + len(arrays[0])


def _picked(array: pa.Array, places: Sequence[int]) -> list[Any]:
    try:
        return json_values(array.take(pa.array(places, pa.int64())))
    except pa.ArrowNotImplementedError:
        # Some types support slicing only.
        return [json_values(array.slice(place, 1))[0] for place in places]


def _fitting_rows(name: str, numbers: Sequence[int], rows: Iterable[list[Any]]) -> Rows:
    """Return the rows that fit into one reply, with a warning if some do not."""
    cells: list[list[Any]] = []
    total = 0
    for number, row in zip(numbers, rows, strict=True):
        size = sum(map(json_bytes, row))
        if size > MAX_ROW_BYTES:
            raise _row_too_large(name, number, size)
        total += size
        if cells and total > MAX_REPLY_CHARACTERS:
            warning = f"Only {len(cells)} of {len(numbers)} rows are returned: a reply holds at most 16 MiB"
            return Rows(cells, (warning,))
        cells.append(row)
    return Rows(cells)


def _row_too_large(name: str, row: int, size: int) -> ResourceLimitError:
    return ResourceLimitError(
        f"Row {row} of {name} holds {size >> 20} MiB; a reply holds at most {MAX_ROW_BYTES >> 20} MiB",
        "Request fewer columns, or read the file in a Python session",
    )
