"""Parquet files as tables; the only module that imports pyarrow, and only imported for a Parquet file."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from analystd.data.parquet_values import json_values
from analystd.data.random_file import PositionedStream, RandomFile
from analystd.data.table import Rows, bounded
from analystd.errors import WorkspaceError
from analystd.protocol import ColumnInfo

_BATCH_ROWS = 1024
_SKIPPING_BATCH_ROWS = 16 * 1024
_BUFFER_BYTES = 1024 * 1024

pa.set_cpu_count(1)


class ParquetTable:
    """An open Parquet file. Its footer tells columns and rows; of the data only the asked columns' row groups are read."""

    def __init__(self, file: RandomFile) -> None:
        self._file = file
        with self._translated():
            self._parquet = pq.ParquetFile(
                pa.PythonFile(PositionedStream(file), mode="r"),
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                arrow_extensions_enabled=False,
            )
            self._schema = self._parquet.schema_arrow

    @property
    def columns(self) -> list[ColumnInfo]:
        """The top-level columns with Arrow's names for their types."""
        return [ColumnInfo(name=each.name, type=str(each.type)) for each in self._schema]

    @property
    def warnings(self) -> list[str]:
        """Nothing is doubtful about a typed file."""
        return []

    @property
    def known_rows(self) -> int:
        """The rows, from the footer."""
        return int(self._parquet.metadata.num_rows)

    def count_rows(self) -> int:
        """The rows, from the footer."""
        return self.known_rows

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """Rows from `offset`: row groups before it are skipped unread."""
        count = max(0, min(count, self.known_rows - offset))
        if not columns:
            return Rows([[] for _ in range(count)])
        wanted: list[list[Any]] = []
        with self._translated():
            for batch in self._batches(offset, count, columns):
                wanted += self._rows_of(batch, columns)
        return bounded(wanted, lambda row: sum(map(_characters, row)))

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """The last rows."""
        return self.rows(max(0, self.known_rows - count), count, columns)

    def batches(self, columns: Sequence[int]) -> Iterator[list[list[Any]]]:
        """All rows, a batch of the file at a time."""
        with self._translated():
            for batch in self._batches(0, self.known_rows if columns else 0, columns):
                yield list(self._rows_of(batch, columns))

    def _batches(self, offset: int, count: int, columns: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """The asked rows, in batches of the asked columns and whatever else bears their names."""
        groups, skip = self._groups(offset, count)
        names = list({self._schema[at].name for at in columns})
        size = _BATCH_ROWS if skip < _BATCH_ROWS else _SKIPPING_BATCH_ROWS
        batches = self._parquet.iter_batches(size, row_groups=groups, columns=names, use_threads=False)
        while count > 0:
            self._file.raise_if_cancelled()
            batch = next(batches)
            wanted = batch.slice(skip, count)
            skip = max(0, skip - batch.num_rows)
            count -= wanted.num_rows
            if wanted.num_rows:
                yield wanted

    def _groups(self, offset: int, count: int) -> tuple[list[int], int]:
        """The row groups that hold the rows, and how many rows of the first group come before."""
        metadata = self._parquet.metadata
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        begins = list(itertools.accumulate(sizes, initial=0))
        groups = [
            number
            for number, size in enumerate(sizes)
            if begins[number] < offset + count and offset < begins[number] + size
        ]
        return groups, offset - begins[groups[0]] if groups else 0

    def _rows_of(self, batch: pa.RecordBatch, columns: Sequence[int]) -> Iterator[list[Any]]:
        """The rows of a batch as JSON values, in the order of `columns`."""
        in_batch = _by_occurrence(batch.schema.names)
        in_file = {at: key for key, at in _by_occurrence(self._schema.names).items()}
        values = [json_values(batch.column(in_batch[in_file[at]])) for at in columns]
        return (list(row) for row in zip(*values, strict=True))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the library's errors into one that names the file."""
        try:
            yield
        except (pa.ArrowException, OSError, ValueError) as exc:
            reason = str(exc).splitlines()[0][:300] if str(exc) else type(exc).__name__
            raise WorkspaceError(f"{self._file.name} cannot be read as Parquet: {reason}") from exc


def _by_occurrence(names: Sequence[str]) -> dict[tuple[str, int], int]:
    """Where the first, second, … column of each name is: names may be doubled, and keep their order in any selection."""
    seen: Counter[str] = Counter()
    places = {}
    for at, name in enumerate(names):
        places[name, seen[name]] = at
        seen[name] += 1
    return places


def _characters(value: Any) -> int:
    """About how much room a value takes in a reply."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, (list, dict)):
        return len(json.dumps(value))
    return 8
