"""Stretches of delimited text as arrays: parsed by pyarrow, several at a time, with our quoting rule and types where its own differ."""

from __future__ import annotations

import itertools
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.csv as pa_csv

from analystd.data.column_chunks import ColumnChunk
from analystd.data.positioned_file import ProgressListener
from analystd.data.text.cell_types import MISSING
from analystd.data.text.column_numbers import numbers_of, without_nan
from analystd.data.text.dialect import NO_QUOTE, Dialect, strip_newlines
from analystd.data.text.record_chunks import RecordChunk
from analystd.wire.results import ColumnInfo

_MOST_THREADS = 4
_LONGEST_BLANK = 8
_MISSING = b"NA"
_ARROW_TYPES = {"integer": pa.int64(), "number": pa.float64()}


def _spellings(word: str) -> list[str]:
    """The word in all mixtures of small and capital letters."""
    return ["".join(letters) for letters in itertools.product(*(sorted({each, each.upper()}) for each in word))]


MISSING_SPELLINGS = [
    *itertools.chain.from_iterable(map(_spellings, sorted(MISSING))),
    *(" " * length for length in range(1, _LONGEST_BLANK + 1)),
]
"""The cells that are missing values in every column, quoted or not; numbers may stand between further blanks."""


@dataclass(frozen=True)
class Wanted:
    """Which columns of a delimited text are wanted, and how it is written."""

    positions: Sequence[int]
    columns: Sequence[ColumnInfo]
    """All that the header names."""
    dialect: Dialect

    def kinds(self) -> dict[int, pa.DataType]:
        """What each wanted column is read as."""
        return {at: _ARROW_TYPES.get(self.columns[at]["type"], pa.binary()) for at in self.positions}


def column_parts(
    stretches: Iterable[RecordChunk],
    positions: Sequence[int],
    columns: Sequence[ColumnInfo],
    dialect: Dialect,
    caller: ProgressListener,
) -> Iterator[ColumnChunk]:
    """The wanted columns of each stretch, in order; the next stretches are parsed meanwhile, until the iterator is closed.

    Whole numbers are `int64`, or `decimal128(38, 0)` in a part that has larger ones; other numbers are doubles, and so
    are all of a part in which a column of guessed integers has a fraction. Everything else is UTF-8 text as `binary`.

    Raises:
        AnalystdError: what `stretches` raises, as when the request was cancelled.
    """
    wanted = Wanted(positions, columns, dialect)
    threads = max(2, min(_MOST_THREADS, os.cpu_count() or 1))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="columns")
    pending: deque[tuple[Future[ColumnChunk], float]] = deque()

    def taken() -> ColumnChunk:
        future, done = pending.popleft()
        part = future.result()
        caller.report(done)
        return part

    try:
        for stretch in stretches:
            pending.append((pool.submit(part_of, stretch, wanted), stretch.done))
            while pending and (len(pending) > threads or pending[0][0].done()):
                yield taken()
        while pending:
            yield taken()
    finally:
        pool.shutdown(cancel_futures=True)


def part_of(stretch: RecordChunk, wanted: Wanted) -> ColumnChunk:
    """The wanted columns of one stretch."""
    kinds = wanted.kinds()
    columns = _columns(stretch, wanted, kinds) if kinds and stretch.num_rows else {}
    found = [columns.get(at, (pa.array([], kinds[at]), 0)) for at in wanted.positions]
    return ColumnChunk(
        stretch.number,
        stretch.first_row,
        stretch.num_rows,
        [without_nan(array) for array, _ in found],
        [strange for _, strange in found],
    )


def _columns(stretch: RecordChunk, wanted: Wanted, kinds: dict[int, pa.DataType]) -> dict[int, tuple[pa.Array, int]]:
    """The columns by position, and how many values of each do not fit its type."""
    as_text = dict.fromkeys(kinds, pa.binary())
    for data in _readable(stretch, wanted):
        if columns := _parsed(data, wanted, kinds, stretch.num_rows):
            return {at: (array, 0) for at, array in columns.items()}
        if texts := _parsed(data, wanted, as_text, stretch.num_rows):
            return {at: _typed(texts[at], kind) for at, kind in kinds.items()}
    # Records of one length that are quoted anew are read by any reader.
    raise AssertionError(f"stretch {stretch.number} is not read as {stretch.num_rows} records")


def _readable(stretch: RecordChunk, wanted: Wanted) -> Iterator[bytes]:
    """The stretch as it is, and, if that will not do, with its records all as long as the header."""
    yield stretch.data
    yield _evened(stretch, wanted)


def _typed(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, int]:
    return (texts, 0) if kind == pa.binary() else numbers_of(texts, kind)


def _parsed(data: bytes, wanted: Wanted, kinds: dict[int, pa.DataType], rows: int) -> dict[int, pa.Array] | None:
    """The columns by position; None where pyarrow finds something else than so many rows of such values."""
    names = [str(at) for at in range(len(wanted.columns))]
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            # All is one block, so that each column is one array.
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            parse_options=pa_csv.ParseOptions(
                delimiter=wanted.dialect.delimiter.decode(),
                quote_char=False if wanted.dialect.quote == NO_QUOTE else chr(wanted.dialect.quote),
                newlines_in_values=True,
            ),
            convert_options=pa_csv.ConvertOptions(
                check_utf8=False,
                column_types={str(at): kind for at, kind in kinds.items()},
                include_columns=[str(at) for at in kinds],
                null_values=MISSING_SPELLINGS,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if table.num_rows != rows:
        return None
    return {at: table.column(number).combine_chunks() for number, at in enumerate(kinds)}


def _evened(stretch: RecordChunk, wanted: Wanted) -> bytes:
    """The stretch with as many cells in each record as the header has: what lacks is missing, what is too much left out."""
    records, consumed = wanted.dialect.split(stretch.data, stretch.num_rows)
    # A last record may lack its line end.
    records += filter(None, [strip_newlines(stretch.data[consumed:])])
    return b"\n".join([_even(record, wanted.dialect, len(wanted.columns)) for record in records])


def _even(record: bytes, dialect: Dialect, width: int) -> bytes:
    delimiter = dialect.delimiter
    if dialect.quote == NO_QUOTE or dialect.quote not in record:
        more = width - 1 - record.count(delimiter)
        # An only cell that is empty would make a blank line, which is no record.
        return record + more * delimiter if more >= 0 else delimiter.join(record.split(delimiter)[:width]) or _MISSING
    cells = dialect.cells(record, "surrogateescape")[:width]
    cells += [""] * (width - len(cells))
    quote = bytes([dialect.quote])
    return delimiter.join(_quoted(cell.encode("utf-8", "surrogateescape"), quote) for cell in cells)


def _quoted(cell: bytes, quote: bytes) -> bytes:
    return quote + cell.replace(quote, 2 * quote) + quote
