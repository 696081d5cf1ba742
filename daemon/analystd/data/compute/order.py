"""The first rows of a table in sort order, found in one pass that keeps a bounded number of candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analystd.data.column_numbers import without_nan
from analystd.wire.errors import ResourceLimitError

MOST_KEY_BYTES = 256 * 1024 * 1024

_ROW = "row"
_WORDS = {False: "ascending", True: "descending"}


@dataclass(frozen=True)
class Direction:
    """The direction of one sort key; missing values come last in both directions."""

    descending: bool = False


class Candidates:
    """The rows that may be among the first `most` of all rows added; equal rows keep their order.

    With `last`, they are the last rows of the order, the very last first.
    """

    def __init__(self, directions: Sequence[Direction], most: int, *, last: bool = False) -> None:
        self._directions = directions
        self._most = most
        self._last = last
        self._kept: pa.Table | None = None
        self._new: list[pa.Table] = []
        self._rows = 0
        self._worst: list[pa.Scalar] | None = None

    def add(self, keys: Sequence[pa.Array], rows: NDArray[np.int64]) -> None:
        """Add rows, all after those added before, with one array for each key."""
        plain = [_sortable(key) for key in keys]
        if self._worst is not None:
            before = _before(plain, self._worst, self._directions)
            at = pa.array(np.flatnonzero(~before if self._last else before))
            plain, rows = [key.take(at) for key in plain], rows[at.to_numpy()]
        if len(rows):
            self._new.append(_table(plain, rows))
            self._rows += len(rows)
        if self._rows > 2 * self._most:
            self._compact()

    def rows(self) -> NDArray[np.int64]:
        """Return the row numbers, in order."""
        self._compact()
        if self._kept is None:
            return np.zeros(0, np.int64)
        numbers: NDArray[np.int64] = self._kept.column(_ROW).to_numpy()
        return numbers

    def _compact(self) -> None:
        if not self._new:
            return
        every = _joined([*([self._kept] if self._kept is not None else []), *self._new])
        if self._last:
            # The sort is stable, so reverse the rows first: of equal rows, the later one comes first.
            every = every.take(pa.array(np.argsort(-every.column(_ROW).to_numpy(), kind="stable")))
        order = _backwards(every, self._directions) if self._last else _forwards(every, self._directions)
        self._kept = every.take(order[: self._most]).combine_chunks()
        self._new, self._rows = [], self._kept.num_rows
        if self._kept.nbytes > MOST_KEY_BYTES:
            raise ResourceLimitError(
                f"The values to sort by take {self._kept.nbytes >> 20} MiB for {self._most} rows; "
                f"the limit is {MOST_KEY_BYTES >> 20} MiB",
                "Sort by a column of shorter values, or request rows nearer to the beginning",
            )
        if self._kept.num_rows == self._most:
            self._worst = [self._kept.column(str(at))[-1] for at in range(len(self._directions))]


def _forwards(table: pa.Table, directions: Sequence[Direction]) -> pa.Array:
    """Return the sort keys of the order, null last."""
    return pc.sort_indices(table, sort_keys=[(str(at), _WORDS[each.descending]) for at, each in enumerate(directions)])


def _backwards(table: pa.Table, directions: Sequence[Direction]) -> pa.Array:
    """Return the sort keys of the opposite order, null first; whether a value is present is a key of its own."""
    keys = []
    for at, each in enumerate(directions):
        table = table.append_column(f"valid {at}", pc.is_valid(table.column(str(at))))
        keys += [(f"valid {at}", "ascending"), (str(at), _WORDS[not each.descending])]
    return pc.sort_indices(table, sort_keys=keys)


def _sortable(array: pa.Array) -> pa.Array:
    """Return the array in a sortable type, with null for NaN."""
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.view(pa.large_binary() if pa.types.is_large_string(array.type) else pa.binary())
    if pa.types.is_float16(array.type):
        array = array.cast(pa.float32())
    elif pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        array = array.cast(pa.binary())
    return without_nan(array)


def _table(keys: Sequence[pa.Array], rows: NDArray[np.int64]) -> pa.Table:
    names = [str(at) for at in range(len(keys))]
    return pa.table([*keys, pa.array(rows)], names=[*names, _ROW])


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Concatenate the tables; a key whose type differs between them gets a type that holds all its values."""
    fields = [
        pa.field(field.name, _common({table.schema.field(at).type for table in tables}))
        for at, field in enumerate(tables[0].schema)
    ]
    schema = pa.schema(fields)
    return pa.concat_tables([table.cast(schema) for table in tables]).combine_chunks()


def _common(kinds: set[pa.DataType]) -> pa.DataType:
    """Return a type for numbers of several types: doubles if any of them are, because no other type has their range."""
    if len(kinds) == 1:
        return next(iter(kinds))
    return pa.float64() if pa.float64() in kinds else pa.decimal128(38, 0)


def _before(keys: Sequence[pa.Array], worst: Sequence[pa.Scalar], directions: Sequence[Direction]) -> NDArray[np.bool_]:
    """Return a mask of the rows that sort strictly before the row with the keys `worst`."""
    before = np.zeros(len(keys[0]), np.bool_)
    for key, limit, direction in reversed(list(zip(keys, worst, directions, strict=True))):
        if key.type != limit.type:
            common = _common({key.type, limit.type})
            key, limit = key.cast(common), limit.cast(common)
        if limit.is_valid:
            less = pc.greater(key, limit) if direction.descending else pc.less(key, limit)
            equal = pc.equal(key, limit)
        else:
            less, equal = pc.is_valid(key), pc.is_null(key)
        before = _mask(less) | (_mask(equal) & before)
    return before


def _mask(array: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), np.bool_)
