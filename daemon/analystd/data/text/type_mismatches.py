"""Shown cells that do not fit the type of their column, which is guessed from the first rows only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from analystd.data.table_text import cell_text
from analystd.data.text.cell_types import MISSING, fits
from analystd.wire.results import ColumnInfo

NAMED = 3
"""So many are told of; they stand for the others."""

_ANYTHING = ("text", "empty")


def misfits(rows: Sequence[Sequence[str | None]], columns: Sequence[ColumnInfo], first_row: int | None) -> list[str]:
    """A sentence for each of the first cells that do not fit; cell i of each row is of `columns[i]`.

    `first_row` is the number of the first of the rows, None if it is not known.
    """
    found = itertools.chain.from_iterable(
        _misfits_of(rows, at, column, first_row) for at, column in enumerate(columns) if column["type"] not in _ANYTHING
    )
    return list(itertools.islice(found, NAMED))


def _misfits_of(
    rows: Sequence[Sequence[str | None]], at: int, column: ColumnInfo, first_row: int | None
) -> Iterator[str]:
    kind = column["type"]
    for number, row in enumerate(rows):
        cell = row[at] if at < len(row) else None
        if cell is None or fits(cell, kind) or cell.strip().lower() in MISSING:
            continue
        where = f"A shown row, number {number}" if first_row is None else f"Row {first_row + number}"
        article = "an" if kind == "integer" else "a"
        yield (
            f"{where}: {cell_text(cell)!r} in column {column['name']!r} is not {article} {kind}; "
            "types are guessed from the first rows"
        )
