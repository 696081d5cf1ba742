"""Bounded parsing of the first sheet of an Excel workbook (`.xlsx`); formulas and references are not evaluated."""

from __future__ import annotations

import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from xml.parsers import expat

from analystd.data.positioned_file import PositionedFile, PositionedStream
from analystd.wire.errors import ResourceLimitError, WorkspaceError

MOST_CELLS = 4_000_000
MOST_BYTES = 512 * 1024 * 1024
"""Maximum size of uncompressed XML, because a small archive may expand to a lot."""

_CHUNK_BYTES = 256 * 1024
_MOST_COLUMNS = 16_384
_DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
"""The numbers of the built-in formats for dates and times."""
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_DATE_LETTER = re.compile(r"[ymdhs]", re.IGNORECASE)
_REFERENCE = re.compile(r"([A-Z]{1,3})\d*")
_MOST_DAYS = 2_958_466
"""The number of days up to the year 10000, where dates end, also in Excel."""
_EPOCH = datetime(1899, 12, 30)
_EPOCH_1904 = datetime(1904, 1, 1)

_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, LookupError, ValueError, OverflowError),
    # For an encrypted member, or an unknown compression method.
    RuntimeError,
)

Cell = str | float | int | bool | datetime | None
_Start = Callable[[str, Mapping[str, str]], None]


@dataclass
class Sheet:
    """A sheet's rows, all as wide as the widest; `first_row` is the number, from 1, of the first of them."""

    rows: list[list[Cell]] = field(default_factory=list)
    first_row: int = 1
    names: list[str] = field(default_factory=list)
    """The names of all sheets, beginning with this one."""


def read_sheet(file: PositionedFile) -> Sheet:
    """Return the first sheet, without empty rows at its beginning and end.

    Raises:
        WorkspaceError: for a file that is not a workbook, is damaged, or has a document type declaration.
        ResourceLimitError: for a workbook beyond the limits.
        ViewCancelledError: when the request was cancelled.
    """
    try:
        with zipfile.ZipFile(PositionedStream(file)) as archive:
            return _Workbook(archive, file).sheet()
    except _UNREADABLE as exc:
        raise WorkspaceError(f"{file.name} cannot be read as an Excel workbook: {_reason(exc)}") from exc


class _Workbook:
    def __init__(self, archive: zipfile.ZipFile, file: PositionedFile) -> None:
        self._archive = archive
        self._file = file
        self._left = MOST_BYTES

    def sheet(self) -> Sheet:
        sheets, epoch = self._sheets()
        if not sheets:
            raise ValueError("it has no sheet")
        sheet = Sheet(names=[name for name, _ in sheets])
        strings = self._strings()
        dates = self._date_styles()
        reader = _SheetReader(strings, dates, epoch, self._file.name)
        self._parse(sheets[0][1], reader.start, reader.end, reader.text)
        filled = [number for number, row in enumerate(reader.rows) if any(cell is not None for cell in row)]
        if filled:
            sheet.rows = reader.rows[filled[0] : filled[-1] + 1]
            sheet.first_row = filled[0] + 1
            width = max(map(len, sheet.rows))
            if width * len(sheet.rows) > MOST_CELLS:
                raise _too_much(self._file.name, f"{MOST_CELLS} cells")
            for row in sheet.rows:
                row += [None] * (width - len(row))
        return sheet

    def _sheets(self) -> tuple[list[tuple[str, str]], datetime]:
        """Return the sheets' names with their members in the archive, and the date from which days are counted."""
        targets: dict[str, str] = {}
        found: list[tuple[str, str]] = []
        epochs: list[datetime] = []

        def relation(tag: str, attributes: Mapping[str, str]) -> None:
            if tag == "Relationship" and attributes.get("TargetMode") != "External":
                targets[attributes["Id"]] = posixpath.normpath(posixpath.join("/xl", attributes["Target"])).lstrip("/")

        def workbook(tag: str, attributes: Mapping[str, str]) -> None:
            if tag == "workbookPr" and attributes.get("date1904") in ("1", "true"):
                epochs.append(_EPOCH_1904)
            elif tag == "sheet":
                link = next((value for name, value in attributes.items() if name.rpartition(":")[2] == "id"), "")
                if targets.get(link, "").startswith("xl/worksheets/"):
                    found.append((attributes.get("name", ""), targets[link]))

        self._parse("xl/_rels/workbook.xml.rels", relation)
        self._parse("xl/workbook.xml", workbook)
        return found, epochs[0] if epochs else _EPOCH

    def _strings(self) -> list[str]:
        """Return the shared strings of the cells."""
        strings: list[str] = []
        parts: list[str] = []
        inside: list[str] = []

        def start(tag: str, _attributes: Mapping[str, str]) -> None:
            inside.append(tag)
            if tag == "si":
                parts.clear()

        def end(tag: str) -> None:
            inside.pop()
            if tag == "si":
                strings.append("".join(parts))

        def text(piece: str) -> None:
            # `rPh` contains phonetic hints rather than text.
            if inside and inside[-1] == "t" and "rPh" not in inside:
                parts.append(piece)

        if "xl/sharedStrings.xml" in self._archive.namelist():
            self._parse("xl/sharedStrings.xml", start, end, text)
        return strings

    def _date_styles(self) -> set[int]:
        """Return the numbers of the cell styles for dates and times."""
        formats = set(_DATE_FORMATS)
        styles: list[int] = []
        within: list[str] = []

        def start(tag: str, attributes: Mapping[str, str]) -> None:
            if tag == "numFmt" and _DATE_LETTER.search(_QUOTED.sub("", attributes.get("formatCode", ""))):
                formats.add(int(attributes["numFmtId"]))
            elif tag == "xf" and "cellXfs" in within:
                styles.append(int(attributes.get("numFmtId", "0")))
            within.append(tag)

        if "xl/styles.xml" in self._archive.namelist():
            self._parse("xl/styles.xml", start, lambda _tag: within.pop())
        return {number for number, kind in enumerate(styles) if kind in formats}

    def _parse(
        self,
        member: str,
        start: _Start,
        end: Callable[[str], Any] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse_doctype
        parser.StartElementHandler = lambda tag, attributes: start(tag.rpartition(":")[2], attributes)
        if end is not None:
            parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
        if text is not None:
            parser.CharacterDataHandler = text
        for chunk in self._chunks(member):
            parser.Parse(chunk, False)
        parser.Parse(b"", True)

    def _chunks(self, member: str) -> Iterator[bytes]:
        with self._archive.open(member) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                self._file.raise_if_cancelled()
                self._left -= len(chunk)
                if self._left < 0:
                    raise _too_much(self._file.name, f"{MOST_BYTES >> 20} MiB of XML")
                yield chunk


class _SheetReader:
    """Collects the cells from a sheet's elements."""

    def __init__(self, strings: list[str], dates: set[int], epoch: datetime, name: str) -> None:
        self.rows: list[list[Cell]] = []
        self._strings, self._dates, self._epoch, self._name = strings, dates, epoch, name
        self._left = MOST_CELLS
        self._kind, self._style, self._at = "n", 0, 0
        self._value: list[str] = []
        self._takes = False

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "row":
            number = int(attributes.get("r") or len(self.rows) + 1)
            self._left -= max(0, number - len(self.rows))
            self._require_room()
            while len(self.rows) < number:
                self.rows.append([])
            self._at = -1
        elif tag == "c":
            reference = _REFERENCE.fullmatch(attributes.get("r", ""))
            self._at = _column(reference[1]) if reference else self._at + 1
            self._kind, self._style = attributes.get("t", "n"), int(attributes.get("s") or 0)
            self._value.clear()
        elif tag in ("v", "t"):
            self._takes = True

    def end(self, tag: str) -> None:
        if tag in ("v", "t"):
            self._takes = False
        elif tag == "c" and self._value and self.rows:
            row = self.rows[-1]
            self._left -= max(1, self._at + 1 - len(row))
            self._require_room()
            row += [None] * (self._at + 1 - len(row))
            row[self._at] = self._cell("".join(self._value))

    def text(self, piece: str) -> None:
        if self._takes:
            self._value.append(piece)

    def _cell(self, text: str) -> Cell:
        if self._kind == "s":
            return self._strings[int(text)]
        if self._kind in ("str", "inlineStr"):
            return text
        if self._kind == "b":
            return text.strip() == "1"
        if self._kind == "e":
            return None
        if self._kind == "d":
            return datetime.fromisoformat(text)
        number = float(text)
        if self._style in self._dates and 0 <= number < _MOST_DAYS:
            return self._epoch + timedelta(seconds=round(number * 86400, 3))
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def _require_room(self) -> None:
        if self._left < 0 or self._at >= _MOST_COLUMNS:
            raise _too_much(self._name, f"{MOST_CELLS} cells")


def _column(letters: str) -> int:
    """Return the number of a column, from 0: `A` is 0, `AA` is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _refuse_doctype(*_: Any) -> None:
    raise ValueError("it has a document type declaration, which no workbook has")


def _too_much(name: str, what: str) -> ResourceLimitError:
    return ResourceLimitError(
        f"{name} holds more than {what}, the most that analystd reads",
        "Save it as CSV or Parquet, or read it in a Python session.",
    )


def _reason(exc: Exception) -> str:
    if isinstance(exc, LookupError):
        return "a part that it refers to is missing"
    return str(exc)[:300] or type(exc).__name__
