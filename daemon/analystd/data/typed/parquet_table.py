"""Parquet files as tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from analystd.data.positioned_file import PositionedFile, PositionedStream
from analystd.data.typed.arrow_groups import RowGroup
from analystd.data.typed.arrow_rows import GroupedTable
from analystd.wire.errors import WorkspaceError

_BUFFER_BYTES = 1024 * 1024
_LEAST_BUFFER_BYTES = 16 * 1024
_ALL_BUFFERS_BYTES = 32 * 1024 * 1024


class ParquetTable(GroupedTable):
    """An open Parquet file. The footer gives columns and rows; only the requested columns' row groups are read."""

    kind = "Parquet"

    def __init__(self, file: PositionedFile) -> None:
        super().__init__(file.name, file.listener)
        with self.translated():
            metadata = pq.read_metadata(pa.PythonFile(PositionedStream(file), mode="r"))
            # Each column that is read has its own buffer.
            buffer = max(_LEAST_BUFFER_BYTES, min(_BUFFER_BYTES, _ALL_BUFFERS_BYTES // max(1, metadata.num_columns)))
            self._parquet = pq.ParquetFile(
                pa.PythonFile(PositionedStream(file), mode="r"),
                metadata=metadata,
                buffer_size=buffer,
                pre_buffer=False,
                page_checksum_verification=True,
                arrow_extensions_enabled=False,
            )
            groups = [_group(metadata.row_group(number)) for number in range(metadata.num_row_groups)]
            self._set(self._parquet.schema_arrow, groups)
        if metadata.num_rows != self.total:
            raise WorkspaceError(
                f"{file.name} cannot be read as Parquet: "
                f"its footer declares {metadata.num_rows} rows, its row groups {self.total}"
            )

    def _read(self, number: int, columns: Sequence[int], batch_rows: int) -> Iterator[list[pa.Array]]:
        names = list({self._schema[at].name for at in columns})
        in_file = {at: key for key, at in _by_occurrence(self._schema.names).items()}
        threads = len(columns) > 1
        for batch in self._parquet.iter_batches(batch_rows, row_groups=[number], columns=names, use_threads=threads):
            # A name selects all columns with that name, including the fields of a struct with that name.
            in_batch = _by_occurrence(batch.schema.names)
            yield [batch.column(in_batch[in_file[at]]) for at in columns]


def _group(row_group: pq.RowGroupMetaData) -> RowGroup:
    return RowGroup(row_group.num_rows, max(0, row_group.total_byte_size))


def _by_occurrence(names: Sequence[str]) -> dict[tuple[str, int], int]:
    """Return the positions of the columns with each name; duplicates keep their order in any selection."""
    seen: Counter[str] = Counter()
    places = {}
    for at, name in enumerate(names):
        places[name, seen[name]] = at
        seen[name] += 1
    return places
