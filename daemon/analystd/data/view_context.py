"""The context of one validated view request, and the construction of its result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analystd.data.compute.selections import Selection
from analystd.data.table import Rows, Table
from analystd.data.view_request import ViewRequest
from analystd.wire.column_names import address_of, addressed
from analystd.wire.results import ColumnInfo, ViewResult

if TYPE_CHECKING:
    from analystd.data.compute.query import Query


@dataclass(frozen=True)
class ViewContext:
    """One validated view request, with the table that it is about."""

    table: Table
    request: ViewRequest
    positions: list[int]
    known: Selection

    @property
    def n_rows(self) -> int:
        """The maximum number of rows to return."""
        return self.request.n_rows

    @property
    def offset(self) -> int:
        """The number of rows before the first one to return."""
        return self.request.offset

    @property
    def columns(self) -> list[ColumnInfo]:
        """The requested columns."""
        every = addressed(self.table.columns)
        return [every[position] for position in self.positions]

    @property
    def is_chosen(self) -> bool:
        """Whether the request has a filter or a sort order."""
        return bool(self.request.filter or self.request.sort)

    def query(self) -> Query:
        """Return the query that finds the rows; it is imported here because it loads pyarrow, which other requests do not need."""
        from analystd.data.compute.query import Query

        return Query(self.table, self.request, self.known)

    def answer(self, text: str, rows: Rows | None = None, **more: Any) -> ViewResult:
        """Return the result; fields that the operation does not use are None."""
        about_rows = rows.warnings if rows else ()
        return ViewResult(
            operation=self.request.operation,
            text=text,
            columns=self.columns,
            rows=rows.cells if rows else None,
            num_rows=more.get("num_rows", self.table.known_rows),
            num_columns=len(self.table.columns),
            offset=more.get("offset"),
            warnings=[
                *self.table.warnings,
                *_doubled_names(self.table.columns),
                *about_rows,
                *more.get("more_warnings", ()),
            ],
        )


def _doubled_names(columns: Sequence[ColumnInfo]) -> list[str]:
    counts = Counter(column["name"] for column in columns)
    doubled = [f"{name!r} ({count})" for name, count in counts.items() if count > 1 and name]
    if not doubled:
        return []
    others = [repr(address_of(column)) for column in addressed(columns) if column["name"] and "address" in column]
    return [
        f"Several columns have the same name: {', '.join(doubled)}; request the others as {', '.join(others)}"[:1000]
    ]
