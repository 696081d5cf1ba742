"""Which format a file has, and the table that reads it."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from analystd.data.positioned_file import PositionedFile, ProgressListener
from analystd.data.table import Table
from analystd.data.text.csv_table import CsvTable, learn_csv
from analystd.data.text.decoders import GZIP_MAGIC, is_utf32
from analystd.data.text.json_table import JsonTable, learn_json
from analystd.data.text.text_cache import TextCache
from analystd.data.typed.lru import LruCache
from analystd.jail.workspace import Workspace
from analystd.wire.errors import WorkspaceError

if TYPE_CHECKING:
    from analystd.data.typed.parquet_folder import ParquetFolder

UNDERSTOOD = (
    "analystd reads CSV, TSV and other delimited text, JSON Lines (both also gzip-compressed), "
    "Parquet files and folders of them, Arrow and Feather, and the first sheet of Excel workbooks (.xlsx)"
)

_MAGIC_BYTES = 8
_PARQUET_MAGIC = (b"PAR1", b"PARE")
"""The second is that of files whose footer is encrypted."""
_DELIMITERS = {".tsv": b"\t", ".tab": b"\t", ".psv": b"|"}
_TEXT_SUFFIXES = {".csv", ".txt", ".dat", "", *_DELIMITERS}
_PARQUET_SUFFIXES = {".parquet", ".pq"}
_GZIP_SUFFIXES = {".gz", ".gzip"}
_ARROW_MAGICS = (b"ARROW1", b"FEA1", b"\xff\xff\xff\xff")
_ARROW_SUFFIXES = {".arrow", ".arrows", ".feather", ".ipc"}
_JSON_SUFFIXES = {".json", ".jsonl", ".jsonlines", ".ndjson"}
_TYPED_REMEMBERED = 32
_ZIP_MAGIC = b"PK\x03\x04"
_EXCEL_SUFFIXES = {".xlsx", ".xlsm"}
_SHEETS_REMEMBERED = 2
"""Sheets are kept whole."""
_OTHER_MAGICS = (
    (_ZIP_MAGIC, "a zip archive"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"SQLite f", "an SQLite database"),
    (b"\x89HDF", "HDF5"),
    (b"%PDF", "PDF"),
)


class Formats:
    """Opens tables, and remembers what was learnt of the files that were opened last."""

    def __init__(self) -> None:
        self._texts = TextCache()
        self._typed = LruCache(_TYPED_REMEMBERED)
        self._sheets = LruCache(_SHEETS_REMEMBERED)

    def open_table(self, file: PositionedFile, delimiter: str | None = None) -> Table:
        """The table in a file; it lives as long as the file is open. A `delimiter` makes it delimited text.

        Raises:
            WorkspaceError: for an unknown format, or a file that is not what it seems.
        """
        magic = file.read(0, _MAGIC_BYTES)
        suffix = _suffix(file.name, compressed=magic.startswith(GZIP_MAGIC))
        if magic.startswith(_PARQUET_MAGIC) or suffix in _PARQUET_SUFFIXES:
            from analystd.data.typed.parquet_table import ParquetTable

            return ParquetTable(file)
        if magic.startswith(_ARROW_MAGICS) or suffix in _ARROW_SUFFIXES:
            from analystd.data.typed.arrow_table import open_arrow

            return open_arrow(file, self._typed)
        if magic.startswith(_ZIP_MAGIC) and suffix in _EXCEL_SUFFIXES:
            from analystd.data.typed.excel_table import ExcelTable

            return ExcelTable(file, self._sheets)
        if suffix in _JSON_SUFFIXES and delimiter is None:
            return self._open_json(file)
        _refuse_other_formats(file.name, suffix, magic, told=delimiter is not None)
        return self._open_csv(file, delimiter.encode() if delimiter else _DELIMITERS.get(suffix))

    def open_folder(self, workspace: Workspace, folder: str, caller: ProgressListener) -> ParquetFolder:
        """The Parquet files in a folder as one table. Raises as `open_parquet_folder`."""
        from analystd.data.typed.parquet_folder import open_parquet_folder

        return open_parquet_folder(workspace, folder, caller, self._typed)

    def rewritten_meanwhile(self, file: PositionedFile) -> bool:
        """Whether an open file holds another content now, more than something appended; what was learnt of it is dropped then."""
        now = file.reopened()
        if now.key == file.key or self._texts.only_grew(file, now):
            return False
        self._texts.forget(file)
        return True

    def _open_json(self, file: PositionedFile) -> JsonTable:
        content = self._texts.open(file)
        return JsonTable(content, self._texts.learn(file, content, "json", learn_json))

    def _open_csv(self, file: PositionedFile, delimiter: bytes | None) -> CsvTable:
        content = self._texts.open(file)
        facts = self._texts.learn(file, content, ("csv", delimiter), lambda text: learn_csv(text, delimiter))
        return CsvTable(content, facts)


def _suffix(name: str, *, compressed: bool) -> str:
    """The ending that tells the format: that before `.gz`."""
    path = PurePath(name)
    if compressed and path.suffix.lower() in _GZIP_SUFFIXES:
        path = path.with_suffix("")
    return path.suffix.lower()


def _refuse_other_formats(name: str, suffix: str, magic: bytes, *, told: bool) -> None:
    for start, known_as in _OTHER_MAGICS:
        if magic.startswith(start):
            raise WorkspaceError(f"{name} is {known_as}, which is no table that can be viewed: {UNDERSTOOD}")
    if is_utf32(magic):
        raise WorkspaceError(f"{name} is UTF-32 text; analystd reads UTF-8 and UTF-16", "Save it again as UTF-8")
    if suffix not in _TEXT_SUFFIXES and not told:
        raise WorkspaceError(f"{name} is no table that can be viewed, by its ending {suffix!r}: {UNDERSTOOD}")
    if suffix == "" and b"\0" in magic and not magic.startswith((b"\xff\xfe", b"\xfe\xff", GZIP_MAGIC)):
        raise WorkspaceError(f"{name} is binary, no table that can be viewed: {UNDERSTOOD}")
