"""Which format a file has, and the table that reads it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import PurePath

from analystd.data.csv_table import CsvFacts, CsvTable, learn_csv
from analystd.data.random_file import FileKey, RandomFile
from analystd.data.table import Table
from analystd.errors import WorkspaceError

UNDERSTOOD = "analystd reads CSV, TSV and other delimited text, and Parquet"

_MAGIC_BYTES = 8
_PARQUET_MAGIC = b"PAR1"
_DELIMITERS = {".tsv": b"\t", ".tab": b"\t", ".psv": b"|"}
_TEXT_SUFFIXES = {".csv", ".txt", ".dat", "", *_DELIMITERS}
_PARQUET_SUFFIXES = {".parquet", ".pq"}
_OTHER_MAGICS = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "a zip archive or an Excel workbook"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"ARROW1", "Arrow IPC"),
    (b"SQLite f", "an SQLite database"),
    (b"\x89HDF", "HDF5"),
    (b"%PDF", "PDF"),
)
_FILES_REMEMBERED = 64


class Formats:
    """Opens tables, and remembers what was learnt of the files that were opened last."""

    def __init__(self) -> None:
        self._facts: OrderedDict[tuple[FileKey, bytes | None], CsvFacts] = OrderedDict()
        self._lock = threading.Lock()

    def open_table(self, file: RandomFile, delimiter: str | None = None) -> Table:
        """The table in a file; it lives as long as the file is open. A `delimiter` makes it delimited text.

        Raises:
            WorkspaceError: for an unknown format, or a file that is not what it seems.
        """
        suffix = PurePath(file.name).suffix.lower()
        magic = file.read(0, _MAGIC_BYTES)
        if magic.startswith(_PARQUET_MAGIC) or suffix in _PARQUET_SUFFIXES:
            from analystd.data.parquet_table import ParquetTable

            return ParquetTable(file)
        _refuse_other_formats(file.name, suffix, magic)
        given = delimiter.encode() if delimiter else _DELIMITERS.get(suffix)
        return CsvTable(file, self._csv_facts(file, given))

    def _csv_facts(self, file: RandomFile, delimiter: bytes | None) -> CsvFacts:
        key = (file.key, delimiter)
        with self._lock:
            if key in self._facts:
                self._facts.move_to_end(key)
                return self._facts[key]
        facts = learn_csv(file, delimiter)
        with self._lock:
            facts = self._facts.setdefault(key, facts)
            while len(self._facts) > _FILES_REMEMBERED:
                self._facts.popitem(last=False)
        return facts


def _refuse_other_formats(name: str, suffix: str, magic: bytes) -> None:
    for start, known_as in _OTHER_MAGICS:
        if magic.startswith(start):
            raise WorkspaceError(f"{name} is {known_as}, which is no table that can be viewed: {UNDERSTOOD}")
    if suffix not in _TEXT_SUFFIXES:
        raise WorkspaceError(f"{name} is no table that can be viewed, by its ending {suffix!r}: {UNDERSTOOD}")
    if b"\0" in magic and not magic.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise WorkspaceError(f"{name} is binary, no table that can be viewed: {UNDERSTOOD}")
