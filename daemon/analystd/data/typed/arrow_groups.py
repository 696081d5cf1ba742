"""Reading of a typed table's rows, which lie in consecutive groups of Arrow arrays."""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa

from analystd.data.positioned_file import ProgressListener, ViewCancelledError
from analystd.wire.errors import WorkspaceError

_PLACE_BYTES = 8
_WINDOW_ROWS = 16 * 1024
_WINDOW_BYTES = 8 * 1024 * 1024
_FAR_WINDOW_BYTES = 32 * 1024 * 1024
_SLAB_COLUMNS = 128
_ENCRYPTED = re.compile(r"\b(?:en|de)crypt", re.IGNORECASE)
_KEYS_HINT = "Request only `columns` that are not encrypted, or read it in a Python session with pyarrow's `decryption_properties`."

# Two cores keep up with a disk, and leave the others to sessions and the model.
pa.set_cpu_count(2)


@dataclass(frozen=True)
class RowGroup:
    """Consecutive rows that the file stores together."""

    rows: int
    size: int
    """Their approximate size in memory in bytes, from the file's metadata."""


class RowGroups(ABC):
    """All groups of a table. Each format implements how a group's arrays are read, always from its first row on."""

    kind: str
    """The format's name, used in messages."""

    def __init__(self, name: str, listener: ProgressListener) -> None:
        self.name = name
        """The caller's name for the file, used in messages."""
        self.listener = listener
        self._set(pa.schema([]), ())

    @abstractmethod
    def _read(self, number: int, columns: Sequence[int], batch_rows: int) -> Iterator[list[pa.Array]]:
        """Yield the arrays of `columns` in group `number` from its first row on, about `batch_rows` rows at a time at most."""

    @property
    def schema(self) -> pa.Schema:
        """The columns with their Arrow types."""
        return self._schema

    @property
    def groups(self) -> Sequence[RowGroup]:
        """The groups in the file's order."""
        return self._groups

    @property
    def total(self) -> int:
        """The number of rows in all groups."""
        return self._begins[-1]

    def begin(self, number: int) -> int:
        """Return the number of a group's first row."""
        return self._begins[number]

    def of_row(self, row: int) -> int:
        """Return the number of the group that contains a row of the table."""
        return bisect_right(self._begins, row) - 1

    def fitting(self, number: int, columns: Sequence[int], most_rows: int, most_bytes: int) -> int:
        """Return how many of a group's rows to read at a time, a power of two. The sizes in a file are those of encoded values."""
        group = self._groups[number]
        declared = group.size // max(1, group.rows) * len(columns) // max(1, len(self._widths))
        row_bytes = max(1, declared, sum(self._widths[at] for at in columns))
        return 1 << (max(1, min(most_rows, most_bytes // row_bytes)).bit_length() - 1)

    def windows(self, offset: int, count: int, columns: Sequence[int]) -> Iterator[list[pa.Array]]:
        """Yield the arrays of `count` rows from row `offset`, in batches; groups before it are not read. Raises as `arrays`."""
        number = self.of_row(offset)
        while count > 0:
            skip = offset - self._begins[number]
            here = min(count, self._groups[number].rows - skip)
            batch_rows = min(skip + here, self.fitting(number, columns, _WINDOW_ROWS, _WINDOW_BYTES))
            if here and skip > batch_rows and len(columns) > _SLAB_COLUMNS:
                yield from self._far_windows(number, skip, here, columns)
            elif here:
                yield from self.arrays(number, skip, here, columns, batch_rows)
            offset, count, number = offset + here, count - here, number + 1

    def arrays(
        self, number: int, skip: int, count: int, columns: Sequence[int], batch_rows: int
    ) -> Iterator[list[pa.Array]]:
        """Yield the arrays of `count` rows of a group after its first `skip`, about `batch_rows` at a time at most.

        Raises:
            WorkspaceError: when the data is damaged, or has fewer rows than the file declares.
            ViewCancelledError: when the request was cancelled.
        """
        with self.translated():
            for arrays in self._read(number, columns, batch_rows):
                self.raise_if_cancelled()
                taken = min(count, len(arrays[0]) - skip)
                if taken > 0:
                    yield [array.slice(skip, taken) for array in arrays]
                    count -= taken
                skip = max(0, skip - len(arrays[0]))
                if count == 0:
                    return
        raise WorkspaceError(f"{self.name} cannot be read as {self.kind}: it holds fewer rows than it declares")

    def raise_if_cancelled(self) -> None:
        """Raise `ViewCancelledError` if the request was cancelled."""
        if self.listener.cancelled.is_set():
            raise ViewCancelledError(f"Reading {self.name} was cancelled")

    def _set(self, schema: pa.Schema, groups: Sequence[RowGroup]) -> None:
        """Set the schema and groups; subclasses call this before any other use."""
        if any(group.rows < 0 for group in groups):
            raise WorkspaceError(f"{self.name} cannot be read as {self.kind}: it declares a negative number of rows")
        self._schema, self._groups = schema, groups
        self._widths = [_width(each.type) for each in schema]
        self._begins = list(itertools.accumulate((group.rows for group in groups), initial=0))

    def _far_windows(self, number: int, skip: int, count: int, columns: Sequence[int]) -> Iterator[list[pa.Array]]:
        """Yield the same for many columns far within a group: some columns at a time, so that rows are skipped in large batches."""
        step = self.fitting(number, columns, _WINDOW_ROWS, _FAR_WINDOW_BYTES)
        for at in range(0, count, step):
            rows = min(step, count - at)
            found: list[pa.Array] = []
            for slab in slabs(columns):
                batch_rows = self.fitting(number, slab, _WINDOW_ROWS, _WINDOW_BYTES)
                found += joined(list(self.arrays(number, skip + at, rows, slab, batch_rows)))
            yield found

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Translate pyarrow's errors into one that names the file; a lack of memory is not the file's fault."""
        try:
            yield
        except MemoryError:
            raise
        except (pa.ArrowException, OSError, ValueError, LookupError, ArithmeticError, RecursionError) as exc:
            reason = str(exc).splitlines()[0][:300] if str(exc) else type(exc).__name__
            if _ENCRYPTED.search(reason):
                raise WorkspaceError(
                    f"{self.name} is encrypted, at least in part: keys are not supported", _KEYS_HINT
                ) from exc
            raise WorkspaceError(f"{self.name} cannot be read as {self.kind}: {reason}") from exc


def slabs(columns: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the columns in slices for which large batches fit into memory."""
    return (columns[first : first + _SLAB_COLUMNS] for first in range(0, len(columns), _SLAB_COLUMNS))


def joined(held: Sequence[list[pa.Array]]) -> list[pa.Array]:
    """Concatenate arrays of consecutive rows to one array for each column."""
    if len(held) == 1:
        return held[0]
    return [pa.concat_arrays(pieces) for pieces in zip(*held, strict=True)]


def _width(kind: pa.DataType) -> int:
    """Return the minimum size of a value in bytes; for text, the size of its offset."""
    try:
        return max(1, int(kind.bit_width) // 8)
    except ValueError:
        return _PLACE_BYTES
