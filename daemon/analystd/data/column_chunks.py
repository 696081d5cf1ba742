"""Chunks of a table's columns as Arrow arrays, from which filters, sort orders and profiles are computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ColumnChunk:
    """Consecutive rows of a table. As long as the file does not change, chunk `number` holds the same rows."""

    number: int
    first_row: int
    num_rows: int
    arrays: list[pa.Array]
    """The requested columns, with `num_rows` values each; a missing value is null.

    Text formats yield columns of a guessed type `integer` or `number` as integers, decimals or doubles, and all others
    as UTF-8 text of type `binary`. Typed formats yield the file's own types.
    """
    mismatches: list[int]
    """For each column, the number of values that do not match its type; they are null in the array."""


class HasColumnChunks(Protocol):
    """A table whose columns can be read as arrays, chunk by chunk."""

    def column_chunks(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnChunk]:
        """Yield the chunks from number `start` on, with the columns at these positions.

        A chunk holds about 8 MiB of the file, or 64 Ki rows, so that memory is bounded. Several threads prepare chunks
        ahead, until the iterator is closed. Progress is reported, and cancellation checked, between chunks.

        Raises:
            WorkspaceError: when the file cannot be read.
            ViewCancelledError: when the request was cancelled.
        """
        ...
