"""Tables for the tests of filters, orders and profiles: typed ones in memory, and files of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from analystd.data.arrow_values import json_values
from analystd.data.column_chunks import ColumnChunk
from analystd.data.table import Rows
from analystd.wire.results import ColumnInfo


class MemoryTable:
    """A `Table` of arrays in chunks of a given number of rows; it records which chunks were read, and whether it was closed."""

    def __init__(self, columns: dict[str, pa.Array], part_rows: int = 3) -> None:
        self._arrays = list(columns.values())
        self._part_rows = part_rows
        self.columns = [ColumnInfo(name=name, type=str(array.type)) for name, array in columns.items()]
        self.warnings: list[str] = []
        self.known_rows = len(self._arrays[0])
        self.taken: list[int] = []
        self.closed = 0

    def count_rows(self) -> int:
        return self.known_rows

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        values = [json_values(self._arrays[at].slice(offset, count)) for at in columns]
        return Rows([list(row) for row in zip(*values, strict=True)])

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        return self.rows(max(0, self.known_rows - count), count, columns)

    def column_chunks(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnChunk]:
        size = self._part_rows
        try:
            for number in range(start, -(-self.known_rows // size)):
                self.taken.append(number)
                arrays = [self._arrays[at].slice(number * size, size) for at in columns]
                rows = min(size, self.known_rows - number * size)
                yield ColumnChunk(number, number * size, rows, arrays, [0] * len(columns))
        finally:
            self.closed += 1
