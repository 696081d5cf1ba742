"""Views of files in this process, as the data worker makes them, and checks of all views against known rows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.data.text.slow_reader import records_of

from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile, ProgressListener
from analystd.data.text import csv_table, record_index, text_cache
from analystd.data.text import records as text_records
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.results import ViewResult

Row = Sequence[str | None]


class Viewer:
    """Makes views with the same caches as a worker."""

    def __init__(self) -> None:
        self._formats = Formats()

    def view(self, path: Path, operation: str, listener: ProgressListener | None = None, **options: Any) -> ViewResult:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            file = PositionedFile.of_descriptor(path.name, descriptor, listener)
            question = ViewRequest(operation, **options)
            return view(self._formats.open_table(file, question.delimiter), question)
        finally:
            os.close(descriptor)

    def rows(self, path: Path, **options: Any) -> list[list[Any]]:
        return self.view(path, "rows", **{"n_rows": 10_000, **options})["rows"] or []

    def names(self, path: Path, **options: Any) -> list[str]:
        return [column["name"] for column in self.view(path, "columns", **options)["columns"] or []]

    def check(self, path: Path, header: Sequence[str], rows: Sequence[Row], **options: Any) -> None:
        """Check every view of the file, before and after its rows were counted."""
        expected = [list(row) for row in rows]
        many = max(1, len(expected))
        for _ in range(2):
            assert self.names(path, **options) == list(header)
            assert self.view(path, "head", n_rows=many, **options)["rows"] == expected
            for count in {1, 2, many}:
                assert self.view(path, "tail", n_rows=count, **options)["rows"] == expected[-count:]
            for offset in range(len(expected) + 1):
                assert self.rows(path, n_rows=2, offset=offset, **options) == expected[offset : offset + 2]
            shape = self.view(path, "shape", **options)
            assert (shape["num_rows"], shape["num_columns"]) == (len(expected), len(header))


@contextmanager
def small_borders() -> Iterator[None]:
    """Have blocks, chunks and samples of a few bytes, so that a short text has many borders.

    Not so the part in which a tail looks for quotes: a quote that is open before it goes unnoticed by design.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_table, "SAMPLE_BYTES", 16)
        patch.setattr(record_index, "BLOCK_BYTES", 23)
        patch.setattr(record_index, "_STRIPE_BLOCKS", 2)
        patch.setattr(record_index, "_MOST_BLOCKS_AT_ONCE", 5)
        patch.setattr(record_index, "_SEARCHED_BYTES", 7)
        patch.setattr(text_records, "_FIRST_READ_BYTES", 5)
        patch.setattr(text_records, "_READ_BYTES", 11)
        patch.setattr(text_cache, "_BEGINNING_BYTES", 1)
        yield


def table_in(text: bytes, delimiter: bytes = b",") -> tuple[list[str], list[list[str | None]]]:
    """Return the header and rows of a text by the slow reader, with short rows padded with None."""
    records = [[cell.decode("utf-8", "replace") for cell in record] for record in records_of(text, delimiter)]
    if not records:
        return [], []
    header, *rows = records
    return header, [[*row, *([None] * (len(header) - len(row)))] for row in rows]
