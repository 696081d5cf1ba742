"""The first sheet of an Excel workbook as a table: the first row names the columns, and the cells give their types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import pyarrow as pa

from analystd.data.lru import LruCache
from analystd.data.positioned_file import PositionedFile
from analystd.data.typed.arrow_groups import RowGroup
from analystd.data.typed.arrow_rows import GroupedTable
from analystd.data.typed.excel_sheet import Cell, Sheet, read_sheet

_MOST_NAMED = 10


@dataclass(frozen=True)
class _Learnt:
    table: pa.Table
    warnings: list[str]


class ExcelTable(GroupedTable):
    """An open workbook. The sheet is read whole, and cached for each version of the file."""

    kind = "an Excel workbook"

    def __init__(self, file: PositionedFile, known: LruCache) -> None:
        super().__init__(file.name, file.listener)
        self._learnt: _Learnt = known.learn(("excel", file.key), lambda: _learn(read_sheet(file)))
        table = self._learnt.table
        self._set(table.schema, [RowGroup(table.num_rows, table.nbytes)] if table.num_rows else [])

    @property
    def warnings(self) -> list[str]:
        """Warnings about other sheets, and about rows before the header."""
        return list(self._learnt.warnings)

    def _read(self, number: int, columns: Sequence[int], batch_rows: int) -> Iterator[list[pa.Array]]:
        arrays = [self._learnt.table.column(at).chunk(0) for at in columns]
        for begin in range(0, self._learnt.table.num_rows, batch_rows):
            yield [array.slice(begin, batch_rows) for array in arrays]


def _learn(sheet: Sheet) -> _Learnt:
    warnings = []
    if len(sheet.names) > 1:
        others = ", ".join(map(repr, sheet.names[1 : 1 + _MOST_NAMED]))
        warnings.append(f"This is the first of {len(sheet.names)} sheets, {sheet.names[0]!r}; the others are {others}")
    if sheet.first_row > 1:
        warnings.append(f"The rows before the header, up to row {sheet.first_row - 1}, are empty")
    if not sheet.rows:
        return _Learnt(pa.table({}), [*warnings, "The sheet is empty"])
    header, *rows = sheet.rows
    names = ["" if cell is None else _text(cell) for cell in header]
    arrays = [_array([row[at] for row in rows]) for at in range(len(names))]
    return _Learnt(pa.Table.from_arrays(arrays, names=names), warnings)


def _array(cells: Sequence[Cell]) -> pa.Array:
    """Return a column with the type of all its cells, or as text if their types differ."""
    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds == {int}:
        return pa.array(cells, pa.int64())
    if kinds and kinds <= {int, float}:
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())  # type: ignore[arg-type]
    if kinds == {bool}:
        return pa.array(cells, pa.bool_())
    if kinds == {datetime}:
        days = all(isinstance(cell, datetime) and cell.time() == time() for cell in cells if cell is not None)
        return pa.array(cells, pa.timestamp("ms")).cast(pa.date32() if days else pa.timestamp("ms"))
    if not kinds:
        return pa.nulls(len(cells), pa.string())
    return pa.array([None if cell is None else _text(cell) for cell in cells], pa.string())


def _text(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, datetime):
        return cell.isoformat(" ") if cell.time() != time() else cell.date().isoformat()
    # Unpaired surrogates are not valid text.
    return str(cell).encode("utf-8", "replace").decode()
