"""The operations that make views of a table."""

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


def view(table: Table, request: ViewRequest, known: Selection | None = None) -> ViewResult:
    """Return the view that the request's operation names.

    `rows`, `head`, `tail` and `shape` apply to the rows that match the filter, in sort order; `describe` and `profile`
    to those that match the filter. `profile` is paged by columns: `n_rows` of them from `offset`. `known` caches what is
    learned about filters and orders for the next page.

    Raises:
        InvalidArgumentsError: for an unknown operation or column, a number out of range, or an invalid filter or sort
            order.
        WorkspaceError: when the file cannot be read.
        ViewCancelledError: when the request was cancelled.
    """
    make = _VIEWS.get(request.operation)
    if make is None:
        raise InvalidArgumentsError(
            f"Unknown operation {request.operation!r}; valid operations are {', '.join(_VIEWS)}"
        )
    if not 1 <= request.n_rows <= MAX_ROWS:
        raise InvalidArgumentsError(f"n_rows is {request.n_rows}; it must be from 1 to {MAX_ROWS}")
    if request.offset < 0:
        raise InvalidArgumentsError(f"offset is {request.offset}; rows are counted from 0")
    return make(ViewContext(table, request, _positions(table, request.columns), known or Selection()))


def _view_columns(context: ViewContext) -> ViewResult:
    lines = [f"  {number}. {name}" for number, name in enumerate(_shown_names(context.columns), 1)]
    return context.answer("\n".join([f"Columns ({len(lines)}):", *lines]))


def _view_schema(context: ViewContext) -> ViewResult:
    types = [column["type"] for column in context.columns]
    lines = [f"  {number}. {line}" for number, line in enumerate(column_list(_shown_names(context.columns), types), 1)]
    return context.answer("\n".join([f"Schema ({len(lines)} columns):", *lines]))


def _view_shape(context: ViewContext) -> ViewResult:
    columns = len(context.table.columns)
    names = f"\nColumns: {', '.join(_shown_names(context.columns))}".rstrip()
    if not context.request.filter:
        count = context.table.count_rows()
        return context.answer(f"Shape: {count} rows × {columns} columns{names}", num_rows=count)
    query = context.query()
    count = query.count()
    known = context.table.known_rows
    of = f" of {known}" if known is not None else ""
    text = f"Shape: {count}{of} rows × {columns} columns{names}"
    return context.answer(text, num_rows=count, more_warnings=query.warnings)


def _view_head(context: ViewContext) -> ViewResult:
    if context.is_chosen:
        query = context.query()
        return _view_chosen(context, query, query.page(0, context.n_rows))
    rows = context.table.rows(0, context.n_rows, context.positions)
    return context.answer(grid(context.columns, rows.cells), rows, offset=0)


def _view_tail(context: ViewContext) -> ViewResult:
    if context.is_chosen:
        query = context.query()
        return _view_chosen(context, query, query.tail(context.n_rows))
    rows = context.table.tail(context.n_rows, context.positions)
    known = context.table.known_rows
    offset = None if known is None else max(0, known - context.n_rows)
    return context.answer(grid(context.columns, rows.cells), rows, offset=offset)


def _view_rows(context: ViewContext) -> ViewResult:
    if context.is_chosen:
        query = context.query()
        return _view_chosen(context, query, query.page(context.offset, context.n_rows))
    rows = context.table.rows(context.offset, context.n_rows, context.positions)
    title = _title(context, context.offset, len(rows.cells), context.table.known_rows)
    return context.answer(f"{title}\n{grid(context.columns, rows.cells)}", rows, offset=context.offset)


def _view_chosen(context: ViewContext, query: Query, page: RowPage) -> ViewResult:
    from analystd.data.compute.scattered_rows import rows_at

    rows = rows_at(context.table, page.numbers, context.positions)
    title = _title(context, page.offset, len(rows.cells), query.total)
    text = f"{title}\n{grid(context.columns, rows.cells)}"
    return context.answer(text, rows, offset=page.offset, num_rows=query.total, more_warnings=query.warnings)


def _view_described(context: ViewContext) -> ViewResult:
    from analystd.data.column_views import view_describe

    return view_describe(context)


def _view_profiled(context: ViewContext) -> ViewResult:
    from analystd.data.column_views import view_profile

    return view_profile(context)


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


def _positions(table: Table, context: Sequence[str] | None) -> list[int]:
    """Return the positions of the requested columns, in the requested order."""
    if context is None:
        return list(range(len(table.columns)))
    return positions_of(table.columns, context)


def _title(context: ViewContext, offset: int, count: int, total: int | None) -> str:
    """Return a title such as `Rows 0 to 9 of 1234 that meet the filter, by price descending, counted from 0:`."""
    of = f" of {total}" if total is not None else ""
    if context.request.filter:
        of += " that meet the filter"
    if context.request.sort:
        keys = (f"{printable(key.column)}{' descending' if key.descending else ''}" for key in context.request.sort)
        of += f", by {', then '.join(keys)}"
    if count:
        return f"Rows {offset} to {offset + count - 1}{of}, counted from 0:"
    return f"No rows from {offset}{of}, counted from 0"


def _shown_names(columns: Sequence[ColumnInfo]) -> list[str]:
    return column_list(list(map(address_of, columns)))
