"""Detection of a delimited text file's dialect from its beginning: delimiter, byte order mark, lines before the header."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from analystd.data.text import scanner
from analystd.data.text.cell_types import guessed_type

QUOTE = b'"'
DELIMITERS = (b",", b";", b"\t", b"|")
NO_QUOTE = -1

_UTF8_MARK = b"\xef\xbb\xbf"
_COMMENT = b"#"
_SNIFFED_RECORDS = 200
_SEPARATOR_LINE = re.compile(rb'"?sep=([^"\r\n])"?(?:\r\n|\r|\n|\Z)', re.IGNORECASE)
_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\r|\n|\Z)")


@dataclass(frozen=True)
class Dialect:
    """The delimiter, quote and header of a delimited text.

    A quote opens a cell only as its first byte; within the cell, a doubled quote stands for one. Outside quotes, each
    carriage return and each line feed ends a line; an empty line is not a record.
    """

    delimiter: bytes = b","
    quote: int = QUOTE[0]
    """The quote byte, or `NO_QUOTE`."""
    start: int = 0
    """The offset of the first record: after a byte order mark, a `sep=` line and comments."""
    header: bool = True
    """Whether the first record names the columns."""

    def split(self, text: bytes, limit: int) -> tuple[list[bytes], int]:
        """Return the first `limit` complete records of `text`, without line ends, and the offset of the rest."""
        return scanner.split(text, self.delimiter, self.quote, limit)

    def cells(self, record: bytes, errors: str = "strict") -> list[str]:
        """Return the cells of one record, unquoted as Python's `csv` does it."""
        return scanner.cells(record, self.delimiter, self.quote, errors)


@dataclass(frozen=True)
class Sniffed:
    """A detected dialect, with warnings about the file's beginning."""

    dialect: Dialect
    remarks: tuple[str, ...] = ()


def sniff_dialect(sample: bytes, *, whole: bool, delimiter: bytes | None = None) -> Sniffed:
    """Detect the dialect of a file that begins with `sample`, or is `whole` in it; a given `delimiter` is not detected."""
    start = len(_UTF8_MARK) if sample.startswith(_UTF8_MARK) else 0
    if line := _SEPARATOR_LINE.match(sample, start):
        # Excel declares the delimiter in this line, which is not part of the table.
        delimiter, start = delimiter or line[1], line.end()
    after = _after_comments(sample, start)
    dialect = _best(sample[after:], delimiter, whole=whole)
    header = _commented_header(sample, start, after, dialect)
    skipped = len(_lines(sample, start, header))
    remarks = (
        (f"{skipped} comment {'line' if skipped == 1 else 'lines'} before the header left out",) if skipped else ()
    )
    return Sniffed(replace(dialect, start=header), remarks)


def strip_newlines(record: bytes) -> bytes:
    """Return the last record of a file, which has no line end, without blank lines before it."""
    return record.lstrip(b"\r\n")


def _best(text: bytes, delimiter: bytes | None, *, whole: bool) -> Dialect:
    if delimiter is not None:
        return Dialect(delimiter)
    return max((Dialect(each) for each in DELIMITERS), key=lambda each: _fit(text, each, whole=whole))


def _fit(text: bytes, dialect: Dialect, *, whole: bool) -> tuple[int, int]:
    """Score a delimiter on a sample by the number of records with as many cells as the header, then by the header's cells."""
    records = first_records(text, dialect, _SNIFFED_RECORDS, whole=whole)
    counts: Sequence[int] = [len(dialect.cells(record, "replace")) for record in records]
    if not counts or counts[0] == 1:
        return (0, 0)
    return (sum(count == counts[0] for count in counts), counts[0])


def first_records(text: bytes, dialect: Dialect, limit: int, *, whole: bool) -> list[bytes]:
    """Return the first records of a sample; the last, unfinished one only if it is the only one or the sample is `whole`."""
    records, consumed = dialect.split(text, limit)
    if len(records) < limit and (whole or not records) and (rest := strip_newlines(text[consumed:])):
        records.append(rest)
    return records


def _after_comments(sample: bytes, start: int) -> int:
    """Return the offset of the first line that is not a `#` comment; `start` if all are, because then they are the table."""
    at = start
    while sample.startswith((_COMMENT, b"\n", b"\r"), at):
        at = _line_end(sample, at)
    return at if at < len(sample) else start


def _commented_header(sample: bytes, start: int, after: int, dialect: Dialect) -> int:
    """Return the offset of the header: `after`, or the last comment before it if that names the columns.

    A comment names the columns if it has as many cells as the first record after it, and either no space follows the
    `#`, or it contains no number while the record does, as in files that numpy writes.
    """
    lines = [begin for begin in _lines(sample, start, after) if sample.startswith(_COMMENT, begin)]
    records = dialect.split(sample[after:], 1)[0]
    if not lines or not records:
        return after
    line = sample[lines[-1] : _line_end(sample, lines[-1])].rstrip(b"\r\n")
    names, first = (dialect.cells(record, "replace") for record in (line, records[0]))
    if len(names) != len(first) or len(names) < 2:
        return after
    close = not line[1:2].isspace()
    return lines[-1] if close or (_has_value(first) and not _has_value(names)) else after


def _has_value(cells: Sequence[str]) -> bool:
    return any(guessed_type([cell]) not in ("text", "empty") for cell in cells)


def _lines(sample: bytes, start: int, end: int) -> list[int]:
    """Return the offsets of the lines that are not blank."""
    begins, at = [], start
    while at < end:
        if sample[at : at + 1] not in (b"\r", b"\n"):
            begins.append(at)
        at = _line_end(sample, at)
    return begins


def _line_end(sample: bytes, at: int) -> int:
    line = _LINE.match(sample, at)
    assert line is not None
    return max(line.end(), at + 1)
