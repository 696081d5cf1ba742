"""Detection of a file's format, and the table that reads it."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from analystd.data.lru import LruCache
from analystd.data.positioned_file import PositionedFile, ProgressListener
from analystd.data.table import Table
from analystd.data.text.csv_table import CsvTable, learn_csv
from analystd.data.text.decoders import GZIP_MAGIC, is_utf32
from analystd.data.text.json_table import JsonTable, learn_json
from analystd.data.text.text_cache import TextCache
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
"""The second one marks files with an encrypted footer."""
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
"""Few, because each sheet is kept whole."""
_OTHER_MAGICS = (
    (_ZIP_MAGIC, "a zip archive"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"SQLite f", "an SQLite database"),
    (b"\x89HDF", "HDF5"),
    (b"%PDF", "PDF"),
)


class Formats:
    """Opens tables, and caches what was learned about the most recently opened files."""

    def __init__(self) -> None:
        self._texts = TextCache()
        self._typed = LruCache(_TYPED_REMEMBERED)
        self._sheets = LruCache(_SHEETS_REMEMBERED)

    def open_table(self, file: PositionedFile, delimiter: str | None = None) -> Table:
        """Return the table in a file, valid while the file is open. With a `delimiter`, the file is read as delimited text.

        Raises:
            WorkspaceError: for an unknown format, or content that does not match the format.
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
        _refuse_other_formats(file.name, suffix, magic, is_delimited=delimiter is not None)
        return self._open_csv(file, delimiter.encode() if delimiter else _DELIMITERS.get(suffix))

    def open_folder(self, workspace: Workspace, folder: str, listener: ProgressListener) -> ParquetFolder:
        """Return the Parquet files in a folder as one table. Raises as `open_parquet_folder`."""
        from analystd.data.typed.parquet_folder import open_parquet_folder

        return open_parquet_folder(workspace, folder, listener, self._typed)

    def rewritten_meanwhile(self, file: PositionedFile) -> bool:
        """Return whether an open file's content has changed other than by appending; if so, drop what was cached about it."""
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
    """Return the extension that names the format, in lower case; for compressed files, the one before `.gz`."""
    path = PurePath(name)
    if compressed and path.suffix.lower() in _GZIP_SUFFIXES:
        path = path.with_suffix("")
    return path.suffix.lower()


def _refuse_other_formats(name: str, suffix: str, magic: bytes, *, is_delimited: bool) -> None:
    for start, known_as in _OTHER_MAGICS:
        if magic.startswith(start):
            raise WorkspaceError(f"{name} is {known_as}, which cannot be viewed as a table: {UNDERSTOOD}")
    if is_utf32(magic):
        raise WorkspaceError(f"{name} is UTF-32 text; analystd reads UTF-8 and UTF-16", "Save it again as UTF-8")
    if suffix not in _TEXT_SUFFIXES and not is_delimited:
        raise WorkspaceError(f"{name} cannot be viewed as a table: its extension is {suffix!r}, and {UNDERSTOOD}")
    if suffix == "" and b"\0" in magic and not magic.startswith((b"\xff\xfe", b"\xfe\xff", GZIP_MAGIC)):
        raise WorkspaceError(f"{name} is a binary file of an unknown format: {UNDERSTOOD}")
