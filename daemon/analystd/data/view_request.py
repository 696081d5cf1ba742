"""What is asked of a table: the operation, which rows and columns, under which conditions, in which order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from analystd.wire.arguments import DEFAULT_ROWS, Condition, SortKey, ViewData


@dataclass(frozen=True)
class ViewRequest:
    """One question about a table. Rows are counted from 0, among those that meet the filter, in the order of the sort."""

    operation: str
    n_rows: int = DEFAULT_ROWS
    offset: int = 0
    columns: tuple[str, ...] | None = None
    """Only these, in this order; None for all."""
    filter: tuple[Condition, ...] = ()
    """All of them must hold."""
    sort: tuple[SortKey, ...] = ()
    """The first key counts most; rows that are equal stay in the file's order."""
    delimiter: str | None = None
    """What separates the cells of a text file; None to find out."""

    @classmethod
    def of(cls, asked: ViewData) -> ViewRequest:
        """Return the question in the arguments of `viewData`, without the file that it is about."""
        return cls(
            asked.operation,
            asked.n_rows,
            asked.offset,
            asked.columns,
            asked.filter,
            asked.sort,
            asked.delimiter,
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as `structured` takes it."""
        return asdict(self)
