"""A table's columns in numbers: how many values, how many missing, smallest, largest, mean; in one pass and constant memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from analystd.data.cell_types import MISSING
from analystd.data.table_text import is_number_type
from analystd.protocol import ColumnInfo

STATISTICS = (
    ColumnInfo(name="column", type="text"),
    ColumnInfo(name="type", type="text"),
    ColumnInfo(name="count", type="integer"),
    ColumnInfo(name="missing", type="integer"),
    ColumnInfo(name="min", type="number"),
    ColumnInfo(name="max", type="number"),
    ColumnInfo(name="mean", type="number"),
)

_LONGEST_MISSING = 8
_ORDERED_AS_TEXT = ("date", "timestamp", "time")


@dataclass
class ColumnSummary:
    """What is known of one column so far; smallest and largest are kept as the table gave them."""

    column: ColumnInfo
    count: int = 0
    missing: int = 0
    strange: int = 0
    """Values that are no numbers in a column of numbers."""
    total: float = 0.0
    smallest: tuple[Any, Any] | None = None
    largest: tuple[Any, Any] | None = None
    _numbers: bool = field(init=False)
    _ordered: bool = field(init=False)

    def __post_init__(self) -> None:
        self._numbers = is_number_type(self.column["type"])
        self._ordered = self._numbers or self.column["type"].startswith(_ORDERED_AS_TEXT)

    def add(self, cells: Sequence[Any]) -> None:
        """Take in the column's cells of some more rows."""
        values = [cell for cell in cells if not _is_missing(cell)]
        self.missing += len(cells) - len(values)
        self.count += len(values)
        if self._numbers:
            self._order(*self._as_numbers(values))
        elif self._ordered:
            self._order(values, values)

    def row(self) -> list[Any]:
        """The cells that `STATISTICS` names; what there is not is None."""
        numbers = self.count - self.strange
        mean = self.total / numbers if self._numbers and numbers else None
        smallest = self.smallest[1] if self.smallest else None
        largest = self.largest[1] if self.largest else None
        return [
            self.column["name"],
            self.column["type"],
            self.count,
            self.missing,
            smallest,
            largest,
            mean if mean is None or math.isfinite(mean) else str(mean),
        ]

    def _as_numbers(self, values: list[Any]) -> tuple[list[float], list[Any]]:
        """The values that are numbers, as such and as they came."""
        try:
            numbers = list(map(float, values))
        except ValueError:
            pairs = [(number, value) for value in values if (number := _number(value)) is not None]
            self.strange += len(values) - len(pairs)
            numbers, values = [number for number, _ in pairs], [value for _, value in pairs]
        self.total += _sum(numbers)
        return numbers, values

    def _order(self, keys: Sequence[Any], values: Sequence[Any]) -> None:
        if not keys:
            return
        least, most = min(keys), max(keys)
        if self.smallest is None or least < self.smallest[0]:
            self.smallest = least, values[keys.index(least)]
        if self.largest is None or most > self.largest[0]:
            self.largest = most, values[keys.index(most)]


def summarize(columns: Sequence[ColumnInfo], batches: Iterable[list[list[Any]]]) -> list[ColumnSummary]:
    """The summary of each column over all batches of rows."""
    summaries = [ColumnSummary(column) for column in columns]
    for rows in batches:
        for at, summary in enumerate(summaries):
            summary.add([row[at] for row in rows])
    return summaries


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and len(cell) <= _LONGEST_MISSING and cell.strip().lower() in MISSING)


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _sum(numbers: Sequence[float]) -> float:
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):
        # Infinities of both signs have no sum.
        return sum(numbers)
