"""Delimited text as a table: cells are the file's own text, and types are guessed from the first rows for information only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from analystd.data.column_chunks import ColumnChunk
from analystd.data.table import Rows, bounded
from analystd.data.text.cell_types import guessed_type
from analystd.data.text.content import Content
from analystd.data.text.dialect import Dialect, first_records, sniff_dialect
from analystd.data.text.record_index import RecordIndex
from analystd.data.text.records import TextRecords
from analystd.data.text.type_mismatches import mismatch_warnings
from analystd.wire.errors import WorkspaceError
from analystd.wire.results import ColumnInfo

SAMPLE_BYTES = 64 * 1024

_TYPED_ROWS = 200
_NAMED_ROWS = 3

Cell = str | None


@dataclass(frozen=True)
class CsvFacts:
    """The cached facts about a delimited text."""

    dialect: Dialect
    columns: list[ColumnInfo]
    warnings: list[str]
    index: RecordIndex = field(compare=False)


def learn_csv(content: Content, delimiter: bytes | None = None) -> CsvFacts:
    """Detect the dialect, header and types from the beginning of a text; a given `delimiter` is not detected.

    Raises:
        WorkspaceError: when the text cannot be read.
    """
    sample = content.read(0, SAMPLE_BYTES)
    whole = len(sample) < SAMPLE_BYTES
    sniffed = sniff_dialect(sample, whole=whole, delimiter=delimiter)
    dialect, warnings = sniffed.dialect, list(sniffed.remarks)
    index = RecordIndex(dialect)
    records = first_records(sample[dialect.start :], dialect, 1 + _TYPED_ROWS, whole=whole)
    if not whole and len(records) < 2:
        records = _long_records(TextRecords(content, dialect, index))
    if not records:
        return CsvFacts(dialect, [], [*warnings, "The file is empty"], index)
    (header, *rows), damaged = _decoded(records, dialect)
    columns = [ColumnInfo(name=name, type=guessed_type(_column(rows, at))) for at, name in enumerate(header)]
    if 0 in damaged:
        warnings.append("Column names are not valid UTF-8; invalid bytes are shown as �")
    if len(header) > 1 and all(guessed_type([name]) in ("integer", "number") for name in header):
        warnings.append("The first row looks like data, but it is used as the header")
    return CsvFacts(dialect, columns, warnings, index)


def _long_records(text: TextRecords) -> list[bytes]:
    """Return the header and the first row if they are longer than the sample; a row too long to be shown is not used for types."""
    header = [*filter(None, [text.header()])]
    try:
        return [*header, *text.records(0, 1)]
    except WorkspaceError:
        return header


class CsvTable:
    """An open table of delimited text."""

    def __init__(self, content: Content, facts: CsvFacts) -> None:
        self._content = content
        self._facts = facts
        self._records = TextRecords(content, facts.dialect, facts.index)

    @property
    def columns(self) -> list[ColumnInfo]:
        """The header's names with guessed types."""
        return self._facts.columns

    @property
    def warnings(self) -> list[str]:
        """Warnings about the header, and about the end if it was reached."""
        unclosed = ["A quote that opens a cell of the last row is never closed"] if self._records.unclosed else []
        return [*self._facts.warnings, *unclosed]

    @property
    def known_rows(self) -> int | None:
        """The number of rows, if they were counted before."""
        return self._records.known

    def count_rows(self) -> int:
        """Return the number of rows, reading the whole file once."""
        return self._records.count()

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """Return rows from `offset`; the rows before it are counted once, and later skipped by a seek."""
        return self._rows_of(self._records.records(offset, count), columns, offset)

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """Return the last rows, read from the end if it contains no quote, otherwise from the beginning."""
        records = self._records.tail(count)
        known = self.known_rows
        return self._rows_of(records, columns, None if known is None else known - len(records))

    def column_chunks(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnChunk]:
        """See `HasColumnChunks`."""
        from analystd.data.text.csv_columns import column_chunks

        return column_chunks(
            self._records.chunks(start), columns, self.columns, self._facts.dialect, self._content.listener
        )

    def _rows_of(self, records: Iterable[bytes], columns: Sequence[int], first: int | None) -> Rows:
        rows, damaged = _decoded(records, self._facts.dialect)
        names = len(self._facts.columns)
        ragged = [at for at, row in enumerate(rows) if len(row) != names]
        warnings = []
        if damaged:
            warnings.append(f"{_some(damaged, first)} not valid UTF-8; invalid bytes are shown as �")
        if ragged:
            cells = len(rows[ragged[0]])
            warnings.append(f"{_some(ragged, first)} not as long as the header: {cells} cells, not {names}")
        every = len(columns) == names and list(columns) == list(range(names))
        picked = rows if every and not ragged else [_picked(row, columns, every=every) for row in rows]
        warnings += mismatch_warnings(picked, [self._facts.columns[at] for at in columns], first)
        fitting = bounded(picked, lambda row: len("".join(filter(None, row))))
        return Rows(fitting.cells, (*warnings, *fitting.warnings))


def _column(rows: Sequence[Sequence[str]], at: int) -> list[str]:
    return [row[at] for row in rows if at < len(row)]


def _picked(row: list[str], columns: Sequence[int], *, every: bool) -> list[Cell]:
    """Return the cells of `columns`, None for those that the row lacks; with `every`, also cells beyond the header."""
    chosen: list[Cell] = [row[at] if at < len(row) else None for at in columns]
    return [*chosen, *row[len(columns) :]] if every else chosen


def _decoded(records: Iterable[bytes], dialect: Dialect) -> tuple[list[list[str]], list[int]]:
    """Return the cells of the records as text, and the numbers of the records that are not valid UTF-8."""
    rows: list[list[str]] = []
    damaged: list[int] = []
    for at, record in enumerate(records):
        try:
            rows.append(dialect.cells(record))
        except UnicodeDecodeError:
            damaged.append(at)
            rows.append(dialect.cells(record, "replace"))
    return rows, damaged


def _some(positions: Sequence[int], first: int | None) -> str:
    """Return `Row 3 is`, or `Rows 3, 5, 9 and 17 more are`, counted from `first`, or `… of those shown` if that is not known."""
    numbers = [position + (first or 0) for position in positions]
    among = " of those shown" if first is None else ""
    if len(numbers) == 1:
        return f"Row {numbers[0]}{among} is"
    named = ", ".join(map(str, numbers[:_NAMED_ROWS]))
    more = len(numbers) - _NAMED_ROWS
    return f"Rows {named}{f' and {more} more' if more > 0 else ''}{among} are"
