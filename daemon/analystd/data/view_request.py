"""Requests for views of tables: the operation, rows, columns, filter and sort order."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from analystd.wire.arguments import DEFAULT_ROWS, Condition, SortKey, ViewData


@dataclass(frozen=True)
class ViewRequest:
    """A request for a view of a table. Rows are counted from 0, among those that match the filter, in sort order."""

    operation: str
    n_rows: int = DEFAULT_ROWS
    offset: int = 0
    columns: tuple[str, ...] | None = None
    """The columns to return, in this order; None for all."""
    filter: tuple[Condition, ...] = ()
    """The conditions, which a row must meet all of."""
    sort: tuple[SortKey, ...] = ()
    """The sort keys, most significant first; equal rows keep the file's order."""
    delimiter: str | None = None
    """The separator of the cells of a text file; None to detect it."""

    @classmethod
    def of(cls, asked: ViewData) -> ViewRequest:
        """Return the request in the arguments of `viewData`, without the file that it is about."""
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
