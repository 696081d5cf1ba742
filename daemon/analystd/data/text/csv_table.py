"""Delimited text as a table: cells are the file's own text, types are guessed from the first rows and change nothing."""

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
from analystd.data.text.type_mismatches import misfits
from analystd.wire.errors import WorkspaceError
from analystd.wire.results import ColumnInfo

SAMPLE_BYTES = 64 * 1024

_TYPED_ROWS = 200
_NAMED_ROWS = 3

Cell = str | None


@dataclass(frozen=True)
class CsvFacts:
    """What is known of a text, whoever opens it."""

    dialect: Dialect
    columns: list[ColumnInfo]
    warnings: list[str]
    index: RecordIndex = field(compare=False)


def learn_csv(content: Content, delimiter: bytes | None = None) -> CsvFacts:
    """The dialect, header and types, from the beginning of a text; a `delimiter` is one that was told.

    Raises:
        WorkspaceError: for a text that cannot be read.
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
        warnings.append("Column names are not valid UTF-8; what could not be read is shown as �")
    if len(header) > 1 and all(guessed_type([name]) in ("integer", "number") for name in header):
        warnings.append("The first row looks like data, but it is taken as the header")
    return CsvFacts(dialect, columns, warnings, index)


def _long_records(text: TextRecords) -> list[bytes]:
    """The header and the first row where they are longer than the sample; a row that is too long to be shown tells no types."""
    header = [*filter(None, [text.header()])]
    try:
        return [*header, *text.records(0, 1)]
    except WorkspaceError:
        return header


class CsvTable:
    """An open delimited text."""

    def __init__(self, content: Content, facts: CsvFacts) -> None:
        self._content = content
        self._facts = facts
        self._records = TextRecords(content, facts.dialect, facts.index)

    @property
    def columns(self) -> list[ColumnInfo]:
        """The header's names, with guessed types."""
        return self._facts.columns

    @property
    def warnings(self) -> list[str]:
        """What is odd about the header, or about the end if that was met."""
        unclosed = ["A quote that opens a cell of the last row is never closed"] if self._records.unclosed else []
        return [*self._facts.warnings, *unclosed]

    @property
    def known_rows(self) -> int | None:
        """The rows, if the file was counted before."""
        return self._records.known

    def count_rows(self) -> int:
        """The rows; reads the whole file once."""
        return self._records.count()

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """Rows from `offset`; what lies before was counted once, and is then skipped at once."""
        return self._rows_of(self._records.records(offset, count), columns, offset)

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """The last rows: found from the back as long as no quote is met, from the front otherwise."""
        records = self._records.tail(count)
        known = self.known_rows
        return self._rows_of(records, columns, None if known is None else known - len(records))

    def column_parts(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnChunk]:
        """See `HasColumnParts`."""
        from analystd.data.text.csv_columns import column_parts

        return column_parts(
            self._records.stretches(start), columns, self.columns, self._facts.dialect, self._content.caller
        )

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
        warnings += misfits(picked, [self._facts.columns[at] for at in columns], first)
        fitting = bounded(picked, lambda row: len("".join(filter(None, row))))
        return Rows(fitting.cells, (*warnings, *fitting.warnings))


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
            rows.append(dialect.cells(record))
        except UnicodeDecodeError:
            damaged.append(at)
            rows.append(dialect.cells(record, "replace"))
    return rows, damaged


def _some(positions: Sequence[int], first: int | None) -> str:
    """`Row 3 is`, or `Rows 3, 5, 9 and 17 more are`, counted from `first` on, or among those shown where it is not known."""
    numbers = [position + (first or 0) for position in positions]
    among = " of those shown" if first is None else ""
    if len(numbers) == 1:
        return f"Row {numbers[0]}{among} is"
    named = ", ".join(map(str, numbers[:_NAMED_ROWS]))
    more = len(numbers) - _NAMED_ROWS
    return f"Rows {named}{f' and {more} more' if more > 0 else ''}{among} are"
