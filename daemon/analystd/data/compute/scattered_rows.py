"""Reading of rows that are not consecutive, with few reads of the table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, runtime_checkable

from analystd.data.table import Rows

NEAR_ROWS = 64
"""Rows at most this far apart are read together with the rows between them."""


class _HasRows(Protocol):
    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows: ...


@runtime_checkable
class HasScatteredRows(Protocol):
    """A table with its own way to read scattered rows."""

    def rows_at(self, numbers: Sequence[int], columns: Sequence[int]) -> Rows:
        """Return the rows with these numbers, in this order, with the cells of `columns`, given by position."""
        ...


def rows_at(table: _HasRows, numbers: Sequence[int], columns: Sequence[int]) -> Rows:
    """Return the existing rows with these numbers, in this order, with the cells of `columns`, given by position."""
    if isinstance(table, HasScatteredRows):
        return table.rows_at(numbers, columns)
    cells: dict[int, list[Any]] = {}
    warnings: dict[str, None] = {}
    for run in _runs(sorted(set(numbers)), NEAR_ROWS):
        found, remarks = _read(table, run, columns)
        if remarks and run[-1] - run[0] >= len(run):
            # The warnings may be about the rows between, which are not shown.
            remarks = []
            for strict in _runs(run, 1):
                found_here, remarks_here = _read(table, strict, columns)
                found |= found_here
                remarks += remarks_here
        cells |= found
        warnings |= dict.fromkeys(remarks)
    return Rows([cells[number] for number in numbers if number in cells], tuple(warnings))


def _runs(numbers: Sequence[int], near: int) -> Iterator[list[int]]:
    """Yield the numbers in runs in which each number is at most `near` greater than the one before."""
    run: list[int] = []
    for number in numbers:
        if run and number - run[-1] > near:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _read(table: _HasRows, run: Sequence[int], columns: Sequence[int]) -> tuple[dict[int, list[Any]], list[str]]:
    found: dict[int, list[Any]] = {}
    warnings: list[str] = []
    wanted = set(run)
    begin, end = run[0], run[-1] + 1
    while begin < end:
        rows = table.rows(begin, end - begin, columns)
        if not rows.cells:
            break
        # A table returns fewer rows when they would not fit into one reply.
        complete = len(rows.cells) == end - begin
        found.update((begin + at, row) for at, row in enumerate(rows.cells) if begin + at in wanted)
        warnings += rows.warnings if complete else ()
        begin += len(rows.cells)
    return found, warnings
