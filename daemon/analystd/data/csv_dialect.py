"""How a delimited text file is written (delimiter, line ends, byte order mark) and how one record of it falls into cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analystd.errors import WorkspaceError

QUOTE = b'"'
DELIMITERS = (b",", b";", b"\t", b"|")

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_SNIFFED_RECORDS = 200


@dataclass(frozen=True)
class Dialect:
    """What separates cells and records. A quote opens a cell only as its first byte; within, a doubled quote is one."""

    delimiter: bytes = b","
    newline: bytes = b"\n"
    """A line feed, before which a carriage return belongs to the line end; or a lone carriage return."""
    start: int = 0
    """Where the first record begins: after a byte order mark."""


def sniff_dialect(sample: bytes, *, whole: bool, delimiter: bytes | None = None) -> Dialect:
    """The dialect of a file that begins with `sample` (`whole`: that is all of it); `delimiter` is given where the file's name tells it.

    Raises:
        WorkspaceError: for UTF-16 text, in which bytes are no characters.
    """
    if sample.startswith(_UTF16_MARKS):
        raise WorkspaceError("The file is UTF-16 text; analystd reads UTF-8", "Save it again as UTF-8")
    start = len(_UTF8_MARK) if sample.startswith(_UTF8_MARK) else 0
    text = sample[start:]
    newline = b"\r" if b"\r" in text and b"\n" not in text else b"\n"
    best = delimiter or max(DELIMITERS, key=lambda each: _fit(text, Dialect(each, newline), whole=whole))
    return Dialect(best, newline, start)


def split_records(text: bytes, dialect: Dialect, limit: int | None = None) -> tuple[list[bytes], bytes]:
    """The first `limit` complete records of `text` without their line ends, blank lines left out, and the bytes after them.

    This walks from quote to quote and is for samples; `csv_scan` does it for whole files.
    """
    records: list[bytes] = []
    begin = 0
    while limit is None or len(records) < limit:
        end = _record_end(text, begin, dialect)
        if end < 0:
            break
        record = strip_line_end(text[begin:end], dialect)
        if record:
            records.append(record)
        begin = end + 1
    return records, text[begin:]


def strip_line_end(record: bytes, dialect: Dialect) -> bytes:
    """The record without the carriage return of its line end."""
    return record.removesuffix(b"\r") if dialect.newline == b"\n" else record


def split_cells(record: bytes, dialect: Dialect) -> list[bytes]:
    """The cells of one record, quotes taken off and doubled quotes made single, as Python's `csv` reads them."""
    if QUOTE not in record:
        return record.split(dialect.delimiter)
    cells: list[bytes] = []
    begin = 0
    while True:
        cell, end = _cell_at(record, begin, dialect.delimiter)
        cells.append(cell)
        if end < 0:
            return cells
        begin = end + 1


def _fit(text: bytes, dialect: Dialect, *, whole: bool) -> tuple[int, int]:
    """How well a delimiter explains a sample: the records that have as many cells as the header, then the header's cells."""
    records, rest = split_records(text, dialect, _SNIFFED_RECORDS)
    if rest and (whole or not records):
        records.append(rest)
    counts: Sequence[int] = [len(split_cells(record, dialect)) for record in records]
    if not counts or counts[0] == 1:
        return (0, 0)
    return (sum(count == counts[0] for count in counts), counts[0])


def _record_end(text: bytes, begin: int, dialect: Dialect) -> int:
    """Where the record from `begin` has its newline; -1 if it goes on after `text`."""
    while True:
        newline = text.find(dialect.newline, begin)
        quote = text.find(QUOTE, begin, newline if newline >= 0 else len(text))
        if newline < 0 or quote < 0:
            return newline
        _, end = _cell_at(text, begin, dialect.delimiter, dialect.newline)
        if end < 0 or text[end : end + 1] == dialect.newline:
            return end
        begin = end + 1


def _cell_at(text: bytes, begin: int, delimiter: bytes, newline: bytes | None = None) -> tuple[bytes, int]:
    """The cell from `begin`, and where the delimiter (or newline) after it is; -1 at the end of `text`."""
    parts: list[bytes] = []
    while text.startswith(QUOTE, begin):
        close = text.find(QUOTE, begin + 1)
        if close < 0:
            return b"".join([*parts, text[begin + 1 :]]), -1
        parts.append(text[begin + 1 : close])
        begin = close + 1
        if text.startswith(QUOTE, begin):
            parts.append(QUOTE)
    end = _first(text.find(delimiter, begin), text.find(newline, begin) if newline else -1)
    parts.append(text[begin:] if end < 0 else text[begin:end])
    return b"".join(parts), end


def _first(one: int, other: int) -> int:
    return max(one, other) if min(one, other) < 0 else min(one, other)
