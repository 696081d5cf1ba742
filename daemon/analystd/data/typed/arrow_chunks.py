"""Division of a typed table's groups into column chunks, independent of the requested columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

import pyarrow as pa

from analystd.data.arrow_values import plain_array
from analystd.data.column_chunks import ColumnChunk
from analystd.data.prefetch import ahead
from analystd.data.typed.arrow_groups import RowGroups, joined

CHUNK_ROWS = 64 * 1024

_CHUNK_BYTES = 64 * 1024 * 1024


def column_chunks(groups: RowGroups, columns: Sequence[int], start: int) -> Iterator[ColumnChunk]:
    """Yield chunks of at most 64 Ki rows and about 64 MiB, none across groups, preparing two ahead; groups before `start` are not read.

    The arrays have the file's own types, except that dictionaries and run-ends are decoded to plain values. Raises as `RowGroups.arrays`.
    """
    with closing(ahead(_chunks(groups, columns, start))) as chunks:
        for chunk in chunks:
            yield chunk
            groups.listener.report((chunk.first_row + chunk.num_rows) / groups.total)


def _chunks(groups: RowGroups, columns: Sequence[int], start: int) -> Iterator[ColumnChunk]:
    every = range(len(groups.schema))
    number = 0
    for at, group in enumerate(groups.groups):
        size = groups.fitting(at, every, CHUNK_ROWS, _CHUNK_BYTES)
        after = number + -(-group.rows // size)
        if group.rows and after > start:
            first = max(0, start - number)
            for piece, (rows, arrays) in enumerate(_pieces(groups, at, first * size, columns, size), first):
                first_row = groups.begin(at) + piece * size
                yield ColumnChunk(number + piece, first_row, rows, arrays, [0] * len(columns))
        number = after


def _pieces(
    groups: RowGroups, number: int, skip: int, columns: Sequence[int], size: int
) -> Iterator[tuple[int, list[pa.Array]]]:
    """Yield the rest of a group after `skip` rows, in pieces of exactly `size` rows except for the last."""
    rest = groups.groups[number].rows - skip
    if not columns:
        yield from ((min(size, rest - at), []) for at in range(0, rest, size))
        return
    for arrays in _regrouped(groups.arrays(number, skip, rest, columns, size), size):
        yield len(arrays[0]), [plain_array(array) for array in arrays]


def _regrouped(batches: Iterable[list[pa.Array]], size: int) -> Iterator[list[pa.Array]]:
    """Yield the same rows, `size` at a time; the last arrays may be shorter."""
    held: list[list[pa.Array]] = []
    rows = 0
    for arrays in batches:
        held.append(arrays)
        rows += len(arrays[0])
        while rows >= size:
            whole = joined(held)
            yield [array.slice(0, size) for array in whole]
            rows -= size
            held = [[array.slice(size) for array in whole]] if rows else []
    if rows:
        yield joined(held)
