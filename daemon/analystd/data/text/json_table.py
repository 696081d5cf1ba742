"""JSON Lines as a table: one object per line, and a column for each key of the first lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from analystd.data.cell_sizes import json_bytes
from analystd.data.column_chunks import ColumnChunk
from analystd.data.table import Rows, bounded
from analystd.data.text.content import Content
from analystd.data.text.dialect import NO_QUOTE, Dialect, first_records
from analystd.data.text.json_records import JsonRecord, common_kind, kind_of, parse_records
from analystd.data.text.record_index import RecordIndex
from analystd.data.text.records import TextRecords
from analystd.wire.errors import WorkspaceError
from analystd.wire.results import ColumnInfo

_UTF8_MARK = b"\xef\xbb\xbf"
_SAMPLE_BYTES = 4 * 1024 * 1024
_SAMPLE_ROWS = 200
_NAMED_ROWS = 3
_NAMED_KEYS = 5
_HINT = "In a Python session: pandas.read_json(…).to_json('table.jsonl', orient='records', lines=True)"


@dataclass(frozen=True)
class JsonFacts:
    """The cached facts about a file of JSON Lines."""

    dialect: Dialect
    columns: list[ColumnInfo]
    warnings: list[str]
    index: RecordIndex = field(compare=False)


def learn_json(content: Content) -> JsonFacts:
    """Detect the columns and their types from the first 200 lines.

    Raises:
        WorkspaceError: for JSON that is not one object per line.
    """
    sample = content.read(0, _SAMPLE_BYTES)
    start = len(_UTF8_MARK) if sample.startswith(_UTF8_MARK) else 0
    dialect = Dialect(quote=NO_QUOTE, start=start, header=False)
    whole = len(sample) < _SAMPLE_BYTES
    lines = first_records(sample[start:], dialect, _SAMPLE_ROWS, whole=whole)
    if not lines:
        return JsonFacts(dialect, [], ["The file is empty"], RecordIndex(dialect))
    records = list(parse_records(lines))
    if sum(record.trouble is None for record in records) < len(records) / 2:
        raise _no_lines(content.name, sample[start:].lstrip()[:1])
    kinds: dict[str, set[str]] = {}
    for record in records:
        for key, value in record.values.items():
            kinds.setdefault(key, set()).add(kind_of(value))
    columns = [ColumnInfo(name=key, type=common_kind(found)) for key, found in kinds.items()]
    return JsonFacts(dialect, columns, [], RecordIndex(dialect))


class JsonTable:
    """An open table of JSON Lines. A key that a line lacks is null, and so are all keys of a line that is not an object."""

    def __init__(self, content: Content, facts: JsonFacts) -> None:
        self._content = content
        self._facts = facts
        self._records = TextRecords(content, facts.dialect, facts.index)

    @property
    def columns(self) -> list[ColumnInfo]:
        """The keys of the first lines with the types of their values."""
        return self._facts.columns

    @property
    def warnings(self) -> list[str]:
        """A warning if the file is empty."""
        return list(self._facts.warnings)

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
        """Return the last rows, read from the end."""
        lines = self._records.tail(count)
        known = self.known_rows
        return self._rows_of(lines, columns, None if known is None else known - len(lines))

    def column_chunks(self, columns: Sequence[int], start: int = 0) -> Iterator[ColumnChunk]:
        """See `HasColumnChunks`; nested and mixed values are JSON text."""
        from analystd.data.text.json_columns import column_chunks

        chunks = self._records.chunks(start)
        return column_chunks(chunks, [self.columns[at] for at in columns], self._facts.dialect, self._content.listener)

    def _rows_of(self, lines: Sequence[bytes], columns: Sequence[int], first: int | None) -> Rows:
        records = list(parse_records(lines))
        names = self._names(columns)
        cells = [[record.values.get(name) for name in names] for record in records]
        fitting = bounded(cells, lambda row: sum(map(json_bytes, row)))
        return Rows(fitting.cells, (*self._remarks(records, first), *fitting.warnings))

    def _names(self, columns: Sequence[int]) -> list[str]:
        return [self.columns[at]["name"] for at in columns]

    def _remarks(self, records: Sequence[JsonRecord], first: int | None) -> Iterator[str]:
        """Yield warnings about the rows, which name the first rows of each kind of problem."""
        known = {column["name"] for column in self.columns}
        by_kind: dict[str, list[str]] = {}
        for at, record in enumerate(records):
            row = f"Row {at + (first or 0)}{' of those shown' if first is None else ''} "
            for kind, remark in _remarks_of(record, known):
                by_kind.setdefault(kind, []).append(row + remark)
        for remarks in by_kind.values():
            yield from remarks[:_NAMED_ROWS]
            if (more := len(remarks) - _NAMED_ROWS) > 0:
                yield f"… and so do {more} more of the rows shown"


def _remarks_of(record: JsonRecord, known: set[str]) -> Iterator[tuple[str, str]]:
    if record.trouble is not None:
        yield "trouble", f"is not a JSON object: {record.trouble}"
    for remark in record.remarks:
        yield remark.split()[0], remark
    if not record.values.keys() <= known:
        keys = [key[: _NAMED_KEYS * 10] for key in record.values if key not in known]
        more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
        yield "keys", f"has keys that are not columns: {', '.join(map(repr, keys[:_NAMED_KEYS]))}{more}"


def _no_lines(name: str, begins: bytes) -> WorkspaceError:
    known_as = {b"[": "a JSON array", b"{": "one JSON object over several lines"}.get(begins)
    if known_as is None:
        return WorkspaceError(f"{name} is not JSON Lines: most of its first lines are not objects", _HINT)
    return WorkspaceError(f"{name} is {known_as}; analystd reads JSON Lines, one object a line", _HINT)
