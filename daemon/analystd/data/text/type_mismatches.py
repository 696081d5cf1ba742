"""Warnings about cells that do not match their column's type, which is guessed from the first rows only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from analystd.data.table_text import cell_text
from analystd.data.text.cell_types import MISSING, fits
from analystd.wire.results import ColumnInfo

NAMED = 3
"""Maximum number of warnings."""

_ANYTHING = ("text", "empty")


def mismatch_warnings(
    rows: Sequence[Sequence[str | None]], columns: Sequence[ColumnInfo], first_row: int | None
) -> list[str]:
    """Return a sentence for each of the first cells that do not match; cell i of each row belongs to `columns[i]`.

    `first_row` is the number of the first row, None if it is not known.
    """
    found = itertools.chain.from_iterable(
        _mismatches_of(rows, at, column, first_row)
        for at, column in enumerate(columns)
        if column["type"] not in _ANYTHING
    )
    return list(itertools.islice(found, NAMED))


def _mismatches_of(
    rows: Sequence[Sequence[str | None]], at: int, column: ColumnInfo, first_row: int | None
) -> Iterator[str]:
    kind = column["type"]
    for number, row in enumerate(rows):
        cell = row[at] if at < len(row) else None
        if cell is None or fits(cell, kind) or cell.strip().lower() in MISSING:
            continue
        where = f"Row {number} of those shown" if first_row is None else f"Row {first_row + number}"
        article = "an" if kind == "integer" else "a"
        yield (
            f"{where}: {cell_text(cell)!r} in column {column['name']!r} is not {article} {kind}; "
            "types are guessed from the first rows"
        )
