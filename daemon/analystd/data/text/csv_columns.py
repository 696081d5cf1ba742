"""Chunks of delimited text as arrays, parsed by pyarrow in several threads, but with analystd's quoting rule and types."""

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
from analystd.data.column_numbers import numbers_of, without_nan
from analystd.data.positioned_file import ProgressListener
from analystd.data.text.cell_types import MISSING
from analystd.data.text.dialect import NO_QUOTE, Dialect, strip_newlines
from analystd.data.text.record_chunks import RecordChunk
from analystd.wire.results import ColumnInfo

_MOST_THREADS = 4
_LONGEST_BLANK = 8
_MISSING = b"NA"
_ARROW_TYPES = {"integer": pa.int64(), "number": pa.float64()}


def _spellings(word: str) -> list[str]:
    """Return the word in all mixtures of lower and upper case."""
    return ["".join(letters) for letters in itertools.product(*(sorted({each, each.upper()}) for each in word))]


MISSING_SPELLINGS = [
    *itertools.chain.from_iterable(map(_spellings, sorted(MISSING))),
    *(" " * length for length in range(1, _LONGEST_BLANK + 1)),
]
"""The spellings of missing values in every column, quoted or not."""


@dataclass(frozen=True)
class Wanted:
    """The requested columns of a delimited text, and its dialect."""

    positions: Sequence[int]
    columns: Sequence[ColumnInfo]
    """All columns of the header."""
    dialect: Dialect

    def kinds(self) -> dict[int, pa.DataType]:
        """Return the Arrow type in which each requested column is read."""
        return {at: _ARROW_TYPES.get(self.columns[at]["type"], pa.binary()) for at in self.positions}


def column_chunks(
    chunks: Iterable[RecordChunk],
    positions: Sequence[int],
    columns: Sequence[ColumnInfo],
    dialect: Dialect,
    listener: ProgressListener,
) -> Iterator[ColumnChunk]:
    """Yield the requested columns of each chunk, in order, while threads parse the next chunks, until the iterator is closed.

    Whole numbers are `int64`, or `decimal128(38, 0)` in a chunk with larger ones; other numbers are doubles, and so are
    all numbers of a guessed integer column in a chunk with a fraction. Everything else is UTF-8 text as `binary`.

    Raises:
        AnalystdError: if iterating over `chunks` raises it, for example because the request was cancelled.
    """
    wanted = Wanted(positions, columns, dialect)
    threads = max(2, min(_MOST_THREADS, os.cpu_count() or 1))
    pool = ThreadPoolExecutor(threads, thread_name_prefix="columns")
    pending: deque[tuple[Future[ColumnChunk], float]] = deque()

    def taken() -> ColumnChunk:
        future, done = pending.popleft()
        part = future.result()
        listener.report(done)
        return part

    try:
        for chunk in chunks:
            pending.append((pool.submit(part_of, chunk, wanted), chunk.done))
            while pending and (len(pending) > threads or pending[0][0].done()):
                yield taken()
        while pending:
            yield taken()
    finally:
        pool.shutdown(cancel_futures=True)


def part_of(chunk: RecordChunk, wanted: Wanted) -> ColumnChunk:
    """Return the requested columns of one chunk."""
    kinds = wanted.kinds()
    columns = _columns(chunk, wanted, kinds) if kinds and chunk.num_rows else {}
    found = [columns.get(at, (pa.array([], kinds[at]), 0)) for at in wanted.positions]
    return ColumnChunk(
        chunk.number,
        chunk.first_row,
        chunk.num_rows,
        [without_nan(array) for array, _ in found],
        [mismatches for _, mismatches in found],
    )


def _columns(chunk: RecordChunk, wanted: Wanted, kinds: dict[int, pa.DataType]) -> dict[int, tuple[pa.Array, int]]:
    """Return the columns by position, and the number of values in each that do not match its type."""
    as_text = dict.fromkeys(kinds, pa.binary())
    for data in _readable(chunk, wanted):
        if columns := _parsed(data, wanted, kinds, chunk.num_rows):
            return {at: (array, 0) for at, array in columns.items()}
        if texts := _parsed(data, wanted, as_text, chunk.num_rows):
            return {at: _typed(texts[at], kind) for at, kind in kinds.items()}
    # Any parser reads rewritten records of equal length correctly.
    raise AssertionError(f"chunk {chunk.number} was not parsed as {chunk.num_rows} records")


def _readable(chunk: RecordChunk, wanted: Wanted) -> Iterator[bytes]:
    """Yield the chunk as it is, and then with all records padded or cut to the header's length, for when the first fails."""
    yield chunk.data
    yield _evened(chunk, wanted)


def _typed(texts: pa.Array, kind: pa.DataType) -> tuple[pa.Array, int]:
    return (texts, 0) if kind == pa.binary() else numbers_of(texts, kind)


def _parsed(data: bytes, wanted: Wanted, kinds: dict[int, pa.DataType], rows: int) -> dict[int, pa.Array] | None:
    """Return the columns by position; None if pyarrow finds another number of rows, or values of other types."""
    names = [str(at) for at in range(len(wanted.columns))]
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(data),
            # Parse everything as one block, so that each column is one array.
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


def _evened(chunk: RecordChunk, wanted: Wanted) -> bytes:
    """Return the chunk with each record's cells padded with missing values, or cut, to the header's length."""
    records, consumed = wanted.dialect.split(chunk.data, chunk.num_rows)
    # The last record may lack its line end.
    records += filter(None, [strip_newlines(chunk.data[consumed:])])
    return b"\n".join([_even(record, wanted.dialect, len(wanted.columns)) for record in records])


def _even(record: bytes, dialect: Dialect, width: int) -> bytes:
    delimiter = dialect.delimiter
    if dialect.quote == NO_QUOTE or dialect.quote not in record:
        more = width - 1 - record.count(delimiter)
        # A single empty cell would make a blank line, which is not a record.
        return record + more * delimiter if more >= 0 else delimiter.join(record.split(delimiter)[:width]) or _MISSING
    cells = dialect.cells(record, "surrogateescape")[:width]
    cells += [""] * (width - len(cells))
    quote = bytes([dialect.quote])
    return delimiter.join(_quoted(cell.encode("utf-8", "surrogateescape"), quote) for cell in cells)


def _quoted(cell: bytes, quote: bytes) -> bytes:
    return quote + cell.replace(quote, 2 * quote) + quote
