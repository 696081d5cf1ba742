"""Tables of typed columns, whose rows lie in consecutive groups of Arrow arrays, whatever files those come from."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from analystd.data.arrow_values import json_values, plain_array
from analystd.data.cell_sizes import characters
from analystd.data.column_ahead import ahead
from analystd.data.column_parts import ColumnPart
from analystd.data.random_file import Caller, ViewCancelledError
from analystd.data.table import MAX_REPLY_CHARACTERS, Rows
from analystd.errors import ResourceLimitError, WorkspaceError
from analystd.protocol import ColumnInfo

PART_ROWS = 64 * 1024
MAX_ROW_CHARACTERS = 128 * 1024 * 1024
"""What a single row may hold to be sent as one reply."""

_PART_BYTES = 64 * 1024 * 1024
_PLACE_BYTES = 8
_WINDOW_ROWS = 16 * 1024
_WINDOW_BYTES = 8 * 1024 * 1024
_FAR_WINDOW_BYTES = 32 * 1024 * 1024
_SLAB_COLUMNS = 128

# Two cores are enough for what a disk gives, and leave the rest to sessions and the model.
pa.set_cpu_count(2)


@dataclass(frozen=True)
class Group:
    """Some consecutive rows that the file keeps together."""

    rows: int
    size: int
    """About how many bytes they take in memory, as far as the file tells."""


class GroupedTable(ABC):
    """What typed tables have in common: everything but how the arrays of a group are read."""

    kind: str
    """The format's name, for messages."""

    def __init__(self, name: str, caller: Caller) -> None:
        self._name = name
        self._caller = caller
        self._set(pa.schema([]), ())

    @abstractmethod
    def _read(self, number: int, columns: Sequence[int], batch_rows: int) -> Iterator[list[pa.Array]]:
        """The arrays of `columns` of group `number` from its first row on, at most about `batch_rows` rows at a time."""

    @property
    def columns(self) -> list[ColumnInfo]:
        """The top-level columns with Arrow's names for their types."""
        return list(self._columns)

    @property
    def warnings(self) -> list[str]:
        """Nothing is doubtful about a typed file."""
        return []

    @property
    def known_rows(self) -> int:
        """The rows, from what the file tells of itself."""
        return self._begins[-1]

    def count_rows(self) -> int:
        """The same."""
        return self.known_rows

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """Rows from `offset`: groups before it are skipped unread.

        Raises:
            WorkspaceError: when the data are damaged.
            ResourceLimitError: for a row that no reply could hold.
        """
        count = max(0, min(count, self.known_rows - offset))
        if not columns:
            return Rows([[] for _ in range(count)])
        cells: list[list[Any]] = []
        total = 0
        for row in self._each_row(offset, count, columns):
            size = sum(map(characters, row))
            if size > MAX_ROW_CHARACTERS:
                raise _row_too_large(self._name, offset + len(cells), size)
            total += size
            if cells and total > MAX_REPLY_CHARACTERS:
                warning = f"Only {len(cells)} of {count} rows are given: more than 16 MiB do not fit into one reply"
                return Rows(cells, (warning,))
            cells.append(row)
        return Rows(cells)

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """The last rows. Raises as `rows`."""
        return self.rows(max(0, self.known_rows - count), count, columns)

    def batches(self, columns: Sequence[int]) -> Iterator[list[list[Any]]]:
        """All rows, some at a time."""
        told = 0
        for arrays in self._windows(0, self.known_rows if columns else 0, columns):
            yield [list(row) for row in zip(*map(json_values, arrays), strict=True)]
            told += len(arrays[0])
            self._caller.report(told / self.known_rows)

    def column_parts(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnPart]:
        """Parts of at most 64 Ki rows, none across groups; see `HasColumnParts`. Groups before `start` are not read.

        The arrays have the file's own types, except that dictionaries and run-ends are decoded to plain values.
        """
        with closing(ahead(self._parts(columns, start))) as parts:
            for part in parts:
                yield part
                self._caller.report((part.first_row + part.num_rows) / self.known_rows)

    def group_arrays(
        self, number: int, columns: Sequence[int], batch_rows: int
    ) -> Iterator[tuple[int, list[pa.Array]]]:
        """All rows of a group, at most about `batch_rows` at a time: how many, and their arrays. Raises as `rows`."""
        rows = self._groups[number].rows
        if not columns:
            yield from ((min(batch_rows, rows - at), []) for at in range(0, rows, batch_rows))
            return
        for arrays in self._checked(number, 0, rows, columns, batch_rows):
            yield len(arrays[0]), arrays

    def _set(self, schema: pa.Schema, groups: Sequence[Group]) -> None:
        """Say what the table is made of, before anything else is asked of it."""
        if any(group.rows < 0 for group in groups):
            raise WorkspaceError(f"{self._name} cannot be read as {self.kind}: it tells of a negative number of rows")
        self._schema, self._groups = schema, groups
        self._columns = [ColumnInfo(name=each.name, type=str(each.type)) for each in schema]
        self._widths = [_width(each.type) for each in schema]
        self._begins = list(itertools.accumulate((group.rows for group in groups), initial=0))

    def _each_row(self, offset: int, count: int, columns: Sequence[int]) -> Iterator[list[Any]]:
        for arrays in self._windows(offset, count, columns):
            for row in zip(*map(json_values, arrays), strict=True):
                yield list(row)

    def _windows(self, offset: int, count: int, columns: Sequence[int]) -> Iterator[list[pa.Array]]:
        """The arrays of `count` rows from `offset`, some at a time."""
        number = bisect_right(self._begins, offset) - 1
        while count > 0:
            group = self._groups[number]
            skip = offset - self._begins[number]
            here = min(count, group.rows - skip)
            batch_rows = min(skip + here, self._fitting(group, columns, _WINDOW_ROWS, _WINDOW_BYTES))
            if here and skip > batch_rows and len(columns) > _SLAB_COLUMNS:
                yield from self._far_windows(number, skip, here, columns)
            elif here:
                yield from self._checked(number, skip, here, columns, batch_rows)
            offset, count, number = offset + here, count - here, number + 1

    def _far_windows(self, number: int, skip: int, count: int, columns: Sequence[int]) -> Iterator[list[pa.Array]]:
        """The same for many columns far within a group: some columns at a time, so that what is skipped is skipped in large batches."""
        group = self._groups[number]
        step = self._fitting(group, columns, _WINDOW_ROWS, _FAR_WINDOW_BYTES)
        for at in range(0, count, step):
            rows = min(step, count - at)
            arrays: list[pa.Array] = []
            for first in range(0, len(columns), _SLAB_COLUMNS):
                slab = columns[first : first + _SLAB_COLUMNS]
                batch_rows = self._fitting(group, slab, _WINDOW_ROWS, _WINDOW_BYTES)
                arrays += _joined(list(self._checked(number, skip + at, rows, slab, batch_rows)))
            yield arrays

    def _parts(self, columns: Sequence[int], start: int) -> Iterator[ColumnPart]:
        # Parts are the same whichever columns are asked for.
        every = range(len(self._schema))
        number = 0
        for at, group in enumerate(self._groups):
            size = self._fitting(group, every, PART_ROWS, _PART_BYTES)
            after = number + -(-group.rows // size)
            if group.rows and after > start:
                skip = max(0, start - number) * size
                first_row = self._begins[at] + skip
                for rows, arrays in self._pieces(at, skip, columns, size):
                    here = first_row - self._begins[at]
                    yield ColumnPart(number + here // size, first_row, rows, arrays, [0] * len(columns))
                    first_row += rows
            number = after

    def _fitting(self, group: Group, columns: Sequence[int], most_rows: int, most_bytes: int) -> int:
        """How many of the group's rows to take at a time, a power of two. What a file says of sizes is of encoded values."""
        told = group.size // max(1, group.rows) * len(columns) // max(1, len(self._widths))
        row_bytes = max(1, told, sum(self._widths[at] for at in columns))
        return 1 << (max(1, min(most_rows, most_bytes // row_bytes)).bit_length() - 1)

    def _pieces(
        self, number: int, skip: int, columns: Sequence[int], size: int
    ) -> Iterator[tuple[int, list[pa.Array]]]:
        """What is left of a group after `skip` rows, in pieces of exactly `size` rows but for the last."""
        rest = self._groups[number].rows - skip
        if not columns:
            yield from ((min(size, rest - at), []) for at in range(0, rest, size))
            return
        batches = self._checked(number, skip, rest, columns, size)
        for arrays in _regrouped(batches, size):
            yield len(arrays[0]), [plain_array(array) for array in arrays]

    def _checked(
        self, number: int, skip: int, count: int, columns: Sequence[int], batch_rows: int
    ) -> Iterator[list[pa.Array]]:
        """Some rows of a group, the library's errors turned into one that names the file."""
        with self._translated():
            for arrays in self._read(number, columns, batch_rows):
                self._raise_if_cancelled()
                taken = min(count, len(arrays[0]) - skip)
                if taken > 0:
                    yield [array.slice(skip, taken) for array in arrays]
                    count -= taken
                skip = max(0, skip - len(arrays[0]))
                if count == 0:
                    return
        raise WorkspaceError(f"{self._name} cannot be read as {self.kind}: it holds fewer rows than it tells")

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the library's errors into one that names the file; memory that is lacking is no fault of the file's."""
        try:
            yield
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError, LookupError, ArithmeticError, RecursionError) as exc:
            reason = str(exc).splitlines()[0][:300] if str(exc) else type(exc).__name__
            raise WorkspaceError(f"{self._name} cannot be read as {self.kind}: {reason}") from exc

    def _raise_if_cancelled(self) -> None:
        if self._caller.cancelled.is_set():
            raise ViewCancelledError(f"Reading {self._name} was cancelled")


def _width(kind: pa.DataType) -> int:
    """The bytes of a value, at least; for a text that of its place."""
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return _PLACE_BYTES


def _regrouped(batches: Iterable[list[pa.Array]], size: int) -> Iterator[list[pa.Array]]:
    """The same rows, `size` at a time; the last arrays may be shorter."""
    held: list[list[pa.Array]] = []
    rows = 0
    for arrays in batches:
        held.append(arrays)
        rows += len(arrays[0])
        while rows >= size:
            whole = _joined(held)
            yield [array.slice(0, size) for array in whole]
            rows -= size
            held = [[array.slice(size) for array in whole]] if rows else []
    if rows:
        yield _joined(held)


def _joined(held: Sequence[list[pa.Array]]) -> list[pa.Array]:
    if len(held) == 1:
        return held[0]
    return [pa.concat_arrays(pieces) for pieces in zip(*held, strict=True)]


def _row_too_large(name: str, row: int, size: int) -> ResourceLimitError:
    return ResourceLimitError(
        f"Row {row} of {name} holds {size >> 20} MiB; a reply holds at most {MAX_ROW_CHARACTERS >> 20} MiB",
        "Ask for fewer columns, or read the file in a Python session",
    )
