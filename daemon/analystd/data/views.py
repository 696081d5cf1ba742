"""The views of a table, by the names of their operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from analystd.data.compute.selections import Selection
from analystd.data.table import Table
from analystd.data.table_text import column_list, grid, printable
from analystd.data.view_context import ViewContext
from analystd.data.view_request import ViewRequest
from analystd.wire.column_names import address_of, positions_of
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ColumnInfo, ViewResult

if TYPE_CHECKING:
    from analystd.data.compute.query import Query, RowPage

MAX_ROWS = 10_000


def view(table: Table, question: ViewRequest, known: Selection | None = None) -> ViewResult:
    """The view that the question's operation names.

    `rows`, `head`, `tail` and `shape` are of the rows that meet the filter, in the order of the sort; `describe` and
    `profile` of those that meet the filter. `profile` is paged by columns: `n_rows` of them from `offset`. What is found
    out about filter and order is left in `known`, for the next page.

    Raises:
        InvalidArgumentsError: for an unknown operation or column, a number out of its range, or a filter or order that
            cannot be.
        WorkspaceError: when the file turns out to be unreadable.
        ViewCancelledError: when the request was cancelled.
    """
    make = _VIEWS.get(question.operation)
    if make is None:
        raise InvalidArgumentsError(f"Unknown operation {question.operation!r}; there are: {', '.join(_VIEWS)}")
    if not 1 <= question.n_rows <= MAX_ROWS:
        raise InvalidArgumentsError(f"n_rows is {question.n_rows}; it can be from 1 to {MAX_ROWS}")
    if question.offset < 0:
        raise InvalidArgumentsError(f"offset is {question.offset}; rows are counted from 0")
    return make(ViewContext(table, question, _positions(table, question.columns), known or Selection()))


def _view_columns(asked: ViewContext) -> ViewResult:
    lines = [f"  {number}. {name}" for number, name in enumerate(_shown_names(asked.columns), 1)]
    return asked.answer("\n".join([f"Columns ({len(lines)}):", *lines]))


def _view_schema(asked: ViewContext) -> ViewResult:
    types = [column["type"] for column in asked.columns]
    lines = [f"  {number}. {line}" for number, line in enumerate(column_list(_shown_names(asked.columns), types), 1)]
    return asked.answer("\n".join([f"Schema ({len(lines)} columns):", *lines]))


def _view_shape(asked: ViewContext) -> ViewResult:
    columns = len(asked.table.columns)
    names = f"\nColumns: {', '.join(_shown_names(asked.columns))}".rstrip()
    if not asked.question.filter:
        count = asked.table.count_rows()
        return asked.answer(f"Shape: {count} rows × {columns} columns{names}", num_rows=count)
    query = asked.query()
    count = query.count()
    known = asked.table.known_rows
    of = f" of {known}" if known is not None else ""
    text = f"Shape: {count}{of} rows × {columns} columns{names}"
    return asked.answer(text, num_rows=count, more_warnings=query.warnings)


def _view_head(asked: ViewContext) -> ViewResult:
    if asked.is_chosen:
        query = asked.query()
        return _view_chosen(asked, query, query.page(0, asked.n_rows))
    rows = asked.table.rows(0, asked.n_rows, asked.positions)
    return asked.answer(grid(asked.columns, rows.cells), rows, offset=0)


def _view_tail(asked: ViewContext) -> ViewResult:
    if asked.is_chosen:
        query = asked.query()
        return _view_chosen(asked, query, query.tail(asked.n_rows))
    rows = asked.table.tail(asked.n_rows, asked.positions)
    known = asked.table.known_rows
    offset = None if known is None else max(0, known - asked.n_rows)
    return asked.answer(grid(asked.columns, rows.cells), rows, offset=offset)


def _view_rows(asked: ViewContext) -> ViewResult:
    if asked.is_chosen:
        query = asked.query()
        return _view_chosen(asked, query, query.page(asked.offset, asked.n_rows))
    rows = asked.table.rows(asked.offset, asked.n_rows, asked.positions)
    title = _title(asked, asked.offset, len(rows.cells), asked.table.known_rows)
    return asked.answer(f"{title}\n{grid(asked.columns, rows.cells)}", rows, offset=asked.offset)


def _view_chosen(asked: ViewContext, query: Query, page: RowPage) -> ViewResult:
    from analystd.data.compute.scattered_rows import rows_at

    rows = rows_at(asked.table, page.numbers, asked.positions)
    title = _title(asked, page.offset, len(rows.cells), query.total)
    text = f"{title}\n{grid(asked.columns, rows.cells)}"
    return asked.answer(text, rows, offset=page.offset, num_rows=query.total, more_warnings=query.warnings)


def _view_described(asked: ViewContext) -> ViewResult:
    from analystd.data.compute.column_views import view_describe

    return view_describe(asked)


def _view_profiled(asked: ViewContext) -> ViewResult:
    from analystd.data.compute.column_views import view_profile

    return view_profile(asked)


_VIEWS: dict[str, Callable[[ViewContext], ViewResult]] = {
    "columns": _view_columns,
    "head": _view_head,
    "tail": _view_tail,
    "shape": _view_shape,
    "schema": _view_schema,
    "rows": _view_rows,
    "describe": _view_described,
    "profile": _view_profiled,
}


def _positions(table: Table, asked: Sequence[str] | None) -> list[int]:
    """Where the columns are that are asked for, in that order."""
    if asked is None:
        return list(range(len(table.columns)))
    return positions_of(table.columns, asked)


def _title(asked: ViewContext, offset: int, count: int, total: int | None) -> str:
    """`Rows 0 to 9 of 1234 that meet the filter, by price descending, counted from 0:`"""
    of = f" of {total}" if total is not None else ""
    if asked.question.filter:
        of += " that meet the filter"
    if asked.question.sort:
        keys = (f"{printable(key.column)}{' descending' if key.descending else ''}" for key in asked.question.sort)
        of += f", by {', then '.join(keys)}"
    if count:
        return f"Rows {offset} to {offset + count - 1}{of}, counted from 0:"
    return f"No rows from {offset}{of}, counted from 0"


def _shown_names(columns: Sequence[ColumnInfo]) -> list[str]:
    return column_list(list(map(address_of, columns)))
