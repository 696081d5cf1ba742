"""Delimited text as a table: cells are the file's own text, types are guessed from the first rows and change nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from analystd.data.cell_types import guessed_type
from analystd.data.csv_dialect import QUOTE, Dialect, sniff_dialect, split_cells, split_records, strip_line_end
from analystd.data.csv_index import RecordIndex
from analystd.data.csv_scan import ARMED, context_before, iterate_records, line_ends
from analystd.data.random_file import RandomFile
from analystd.data.table import Rows, bounded
from analystd.protocol import ColumnInfo

_SAMPLE_BYTES = 64 * 1024
_TYPED_ROWS = 200
_BATCH_ROWS = 8192
_FIRST_TAIL_BYTES = 64 * 1024
_MOST_TAIL_BYTES = 64 * 1024 * 1024
_NAMED_ROWS = 3

Cell = str | None


@dataclass(frozen=True)
class CsvFacts:
    """What is known of a file's content; it holds as long as the file's key does, whoever opens it."""

    dialect: Dialect
    columns: list[ColumnInfo]
    warnings: list[str]
    index: RecordIndex = field(compare=False)


def learn_csv(file: RandomFile, delimiter: bytes | None = None) -> CsvFacts:
    """The dialect, header and types, from the beginning of a file.

    Raises:
        WorkspaceError: for text in an encoding in which bytes are no characters, or a file that cannot be read.
    """
    sample = file.read(0, _SAMPLE_BYTES)
    dialect = sniff_dialect(sample, whole=len(sample) == file.size, delimiter=delimiter)
    records = _first_records(file, dialect, sample)
    if not records:
        return CsvFacts(dialect, [], ["The file is empty"], RecordIndex(dialect, file.size))
    (header, *rows), damaged = _decoded(records, dialect)
    columns = [ColumnInfo(name=name, type=guessed_type(_column(rows, at))) for at, name in enumerate(header)]
    warnings = ["Column names are not valid UTF-8; what could not be read is shown as �"] if 0 in damaged else []
    if len(header) > 1 and all(guessed_type([name]) in ("integer", "number") for name in header):
        warnings.append("The first row looks like data, but it is taken as the header")
    return CsvFacts(dialect, columns, warnings, RecordIndex(dialect, file.size))


def _first_records(file: RandomFile, dialect: Dialect, sample: bytes) -> list[bytes]:
    """The header and the rows that decide the types. They lie in the sample, or else only the header is looked for."""
    records, rest = split_records(sample[dialect.start :], dialect, 1 + _TYPED_ROWS)
    if len(sample) == file.size and len(records) <= _TYPED_ROWS:
        records += filter(None, [strip_line_end(rest, dialect)])
    return records or list(itertools.islice(iterate_records(file, dialect.start, dialect), 1))


class CsvTable:
    """An open delimited text file."""

    def __init__(self, file: RandomFile, facts: CsvFacts) -> None:
        self._file = file
        self._facts = facts

    @property
    def columns(self) -> list[ColumnInfo]:
        """The header's names, with guessed types."""
        return self._facts.columns

    @property
    def warnings(self) -> list[str]:
        """What is odd about the header."""
        return self._facts.warnings

    @property
    def known_rows(self) -> int | None:
        """The rows, if the file was counted before."""
        total = self._facts.index.total
        return None if total is None else max(0, total - 1)

    def count_rows(self) -> int:
        """The rows; reads the whole file once."""
        return max(0, self._facts.index.count(self._file) - 1)

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """Rows from `offset`; what lies before was counted once, and is then skipped at once."""
        dialect = self._facts.dialect
        if offset == 0:
            # No index is needed behind the header.
            records = itertools.islice(iterate_records(self._file, dialect.start, dialect), 1, 1 + count)
            return self._rows_of(records, columns, 0)
        begin = self._facts.index.seek(self._file, offset + 1)
        if begin is None:
            return Rows([])
        records = itertools.islice(iterate_records(self._file, begin, dialect), count)
        return self._rows_of(records, columns, offset)

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """The last rows: found from the back as long as no quote is met, from the front otherwise."""
        records = None
        if self.known_rows is None:
            records = last_records(self._file, self._facts.dialect, count)
        if records is None:
            return self.rows(max(0, self.count_rows() - count), count, columns)
        return self._rows_of(records, columns, None)

    def batches(self, columns: Sequence[int]) -> Iterator[list[list[Cell]]]:
        """All rows, 8192 at a time."""
        dialect = self._facts.dialect
        records = itertools.islice(iterate_records(self._file, dialect.start, dialect), 1, None)
        while batch := list(itertools.islice(records, _BATCH_ROWS)):
            yield [_picked(row, columns, every=False) for row in _decoded(batch, dialect)[0]]

    def _rows_of(self, records: Iterable[bytes], columns: Sequence[int], first: int | None) -> Rows:
        rows, damaged = _decoded(records, self._facts.dialect)
        names = len(self._facts.columns)
        ragged = [at for at, row in enumerate(rows) if len(row) != names]
        warnings = []
        if damaged:
            warnings.append(f"{_some(damaged, first)} not valid UTF-8; what could not be read is shown as �")
        if ragged:
            cells = len(rows[ragged[0]])
            warnings.append(f"{_some(ragged, first)} not as long as the header: {cells} cells, not {names}")
        every = len(columns) == names and list(columns) == list(range(names))
        picked = rows if every and not ragged else [_picked(row, columns, every=every) for row in rows]
        fitting = bounded(picked, lambda row: len("".join(filter(None, row))))
        return Rows(fitting.cells, (*warnings, *fitting.warnings))


def last_records(file: RandomFile, dialect: Dialect, count: int) -> list[bytes] | None:
    """The last `count` records after the header, read from the back; None where only the way from the front is exact.

    With no quote between here and the end of the file, every newline on the way ends a record.
    """
    length = _FIRST_TAIL_BYTES
    while True:
        begin = max(dialect.start, file.size - length)
        data = file.read(begin, length)
        if QUOTE in data:
            return None
        records = _last_unquoted(data, dialect, count + 1)
        if begin == dialect.start or len(records) > count:
            # The first is the header, or perhaps cut, or one too many.
            return records[1:]
        if length >= _MOST_TAIL_BYTES:
            return None
        length *= 4


def _last_unquoted(data: bytes, dialect: Dialect, count: int) -> list[bytes]:
    """The last `count` records of `data`, in which there is no quote."""
    window = np.frombuffer(context_before(b"", dialect) + data, np.uint8)
    ends = line_ends(window, ARMED, dialect).records
    begin = int(ends[-count - 1]) + 1 if len(ends) > count else 0
    lines = (strip_line_end(line, dialect) for line in data[begin:].split(dialect.newline))
    return [line for line in lines if line][-count:]


def _column(rows: Sequence[Sequence[str]], at: int) -> list[str]:
    return [row[at] for row in rows if at < len(row)]


def _picked(row: list[str], columns: Sequence[int], *, every: bool) -> list[Cell]:
    """The cells of `columns`; a cell that the row lacks is None, and a whole row keeps what it has beyond the header."""
    chosen: list[Cell] = [row[at] if at < len(row) else None for at in columns]
    return [*chosen, *row[len(columns) :]] if every else chosen


def _decoded(records: Iterable[bytes], dialect: Dialect) -> tuple[list[list[str]], list[int]]:
    """The cells of the records as text, and which of the records are not valid UTF-8."""
    rows: list[list[str]] = []
    damaged: list[int] = []
    for at, record in enumerate(records):
        try:
            rows.append(_cells(record, dialect, "strict"))
        except UnicodeDecodeError:
            damaged.append(at)
            rows.append(_cells(record, dialect, "replace"))
    return rows, damaged


def _cells(record: bytes, dialect: Dialect, errors: str) -> list[str]:
    if QUOTE in record:
        return [cell.decode("utf-8", errors) for cell in split_cells(record, dialect)]
    # One conversion is faster than one for each cell, and no delimiter is part of a longer character.
    return record.decode("utf-8", errors).split(dialect.delimiter.decode())


def _some(positions: Sequence[int], first: int | None) -> str:
    """`Row 3 is`, or `Rows 3, 5, 9 and 17 more are`, counted from `first` on, or among those shown where it is not known."""
    numbers = [position + (first or 0) for position in positions]
    among = " of those shown" if first is None else ""
    if len(numbers) == 1:
        return f"Row {numbers[0]}{among} is"
    named = ", ".join(map(str, numbers[:_NAMED_ROWS]))
    more = len(numbers) - _NAMED_ROWS
    return f"Rows {named}{f' and {more} more' if more > 0 else ''}{among} are"
