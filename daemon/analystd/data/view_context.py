"""One view that is asked for, checked, and how its result is made."""

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
    """One question about a table, checked."""

    table: Table
    question: ViewRequest
    positions: list[int]
    known: Selection

    @property
    def n_rows(self) -> int:
        """How many rows are wanted at most."""
        return self.question.n_rows

    @property
    def offset(self) -> int:
        """How many come before."""
        return self.question.offset

    @property
    def columns(self) -> list[ColumnInfo]:
        """Those asked for."""
        every = addressed(self.table.columns)
        return [every[position] for position in self.positions]

    @property
    def is_chosen(self) -> bool:
        """Whether rows are asked for by a filter or in an order."""
        return bool(self.question.filter or self.question.sort)

    def query(self) -> Query:
        """What finds the rows. Only a question that needs it has the worker load what that takes."""
        from analystd.data.compute.query import Query

        return Query(self.table, self.question, self.known)

    def answer(self, text: str, rows: Rows | None = None, **more: Any) -> ViewResult:
        """The result, with what the operation does not need left None."""
        about_rows = rows.warnings if rows else ()
        return ViewResult(
            operation=self.question.operation,
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
        f"Several columns have the same name: {', '.join(doubled)}; ask for the others by {', '.join(others)}"[:1000]
    ]
