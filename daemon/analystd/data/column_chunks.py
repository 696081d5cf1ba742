"""A table's columns as arrays, a stretch of rows at a time: what filters, sorting and profiles are computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ColumnChunk:
    """Some consecutive rows of a table. As long as the file does not change, part `number` holds the same rows."""

    number: int
    first_row: int
    num_rows: int
    arrays: list[pa.Array]
    """The asked columns, `num_rows` values each; a missing value is null.

    Text formats give columns of a guessed type `integer` or `number` as integers, decimals or doubles, all others as
    `binary`: UTF-8 text. Typed formats give the file's own types.
    """
    strange: list[int]
    """For each column, how many values do not fit its type; they are null in the array."""


class HasColumnChunks(Protocol):
    """A table that can be computed with."""

    def column_parts(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnChunk]:
        """The parts from number `start` on, with the columns at these positions.

        A part holds about 8 MiB of the file, or 64 Ki rows, so that memory is bounded. Parts are prepared ahead by
        several threads; the next ones are no longer prepared once the iterator is closed. Progress is reported, and
        cancelling noticed, between parts.

        Raises:
            WorkspaceError: when the file turns out to be unreadable.
            ViewCancelledError: when the request was cancelled.
        """
        ...
