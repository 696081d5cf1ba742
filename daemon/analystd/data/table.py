"""What every table gives, whatever its format, and the views that are made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from analystd.data.column_chunks import HasColumnParts
from analystd.data.compute.selections import Selection
from analystd.data.table_text import column_list, grid, printable
from analystd.data.view_request import Question
from analystd.wire.column_names import address_of, addressed, positions_of
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.protocol import ColumnInfo, ViewResult

if TYPE_CHECKING:
    from analystd.data.compute.query import Page, Query

MAX_ROWS = 10_000
MAX_REPLY_CHARACTERS = 16 * 1024 * 1024
"""What the cells of one reply may hold; a reply ends before the row that goes beyond."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, and what is to be said about them."""

    cells: list[list[Any]]
    warnings: tuple[str, ...] = ()


class Table(HasColumnParts, Protocol):
    """An open table. Rows are counted from 0 and do not count a header."""

    @property
    def columns(self) -> list[ColumnInfo]:
        """Names and types, in the file's order."""
        ...

    @property
    def warnings(self) -> list[str]:
        """What is to be said about the file as a whole."""
        ...

    @property
    def known_rows(self) -> int | None:
        """How many rows there are, if that is known without reading the file."""
        ...

    def count_rows(self) -> int:
        """How many rows there are."""
        ...

    def rows(self, offset: int, count: int, columns: Sequence[int]) -> Rows:
        """At most `count` rows from `offset`, with the cells of `columns`, by position."""
        ...

    def tail(self, count: int, columns: Sequence[int]) -> Rows:
        """The last `count` rows, or all if there are fewer."""
        ...


def view(table: Table, question: Question, known: Selection | None = None) -> ViewResult:
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
    return make(Asked(table, question, _positions(table, question.columns), known or Selection()))


def bounded(cells: Sequence[list[Any]], characters: Callable[[list[Any]], int]) -> Rows:
    """The rows that fit into one reply, of so many characters each, with a warning if that is not all of them."""
    total = 0
    for number, row in enumerate(cells):
        total += characters(row)
        if total > MAX_REPLY_CHARACTERS:
            kept = max(1, number)
            warning = f"Only {kept} of {len(cells)} rows are given: more than 16 MiB do not fit into one reply"
            return Rows(list(cells[:kept]), (warning,))
    return Rows(list(cells))


@dataclass(frozen=True)
class Asked:
    """One question about a table, checked."""

    table: Table
    question: Question
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


def _view_columns(asked: Asked) -> ViewResult:
    lines = [f"  {number}. {name}" for number, name in enumerate(_shown_names(asked.columns), 1)]
    return asked.answer("\n".join([f"Columns ({len(lines)}):", *lines]))


def _view_schema(asked: Asked) -> ViewResult:
    types = [column["type"] for column in asked.columns]
    lines = [f"  {number}. {line}" for number, line in enumerate(column_list(_shown_names(asked.columns), types), 1)]
    return asked.answer("\n".join([f"Schema ({len(lines)} columns):", *lines]))


def _view_shape(asked: Asked) -> ViewResult:
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


def _view_head(asked: Asked) -> ViewResult:
    if asked.is_chosen:
        query = asked.query()
        return _view_chosen(asked, query, query.page(0, asked.n_rows))
    rows = asked.table.rows(0, asked.n_rows, asked.positions)
    return asked.answer(grid(asked.columns, rows.cells), rows, offset=0)


def _view_tail(asked: Asked) -> ViewResult:
    if asked.is_chosen:
        query = asked.query()
        return _view_chosen(asked, query, query.tail(asked.n_rows))
    rows = asked.table.tail(asked.n_rows, asked.positions)
    known = asked.table.known_rows
    offset = None if known is None else max(0, known - asked.n_rows)
    return asked.answer(grid(asked.columns, rows.cells), rows, offset=offset)


def _view_rows(asked: Asked) -> ViewResult:
    if asked.is_chosen:
        query = asked.query()
        return _view_chosen(asked, query, query.page(asked.offset, asked.n_rows))
    rows = asked.table.rows(asked.offset, asked.n_rows, asked.positions)
    title = _title(asked, asked.offset, len(rows.cells), asked.table.known_rows)
    return asked.answer(f"{title}\n{grid(asked.columns, rows.cells)}", rows, offset=asked.offset)


def _view_chosen(asked: Asked, query: Query, page: Page) -> ViewResult:
    from analystd.data.compute.scattered_rows import rows_at

    rows = rows_at(asked.table, page.numbers, asked.positions)
    title = _title(asked, page.offset, len(rows.cells), query.total)
    text = f"{title}\n{grid(asked.columns, rows.cells)}"
    return asked.answer(text, rows, offset=page.offset, num_rows=query.total, more_warnings=query.warnings)


def _view_described(asked: Asked) -> ViewResult:
    from analystd.data.compute.views import view_describe

    return view_describe(asked)


def _view_profiled(asked: Asked) -> ViewResult:
    from analystd.data.compute.views import view_profile

    return view_profile(asked)


_VIEWS: dict[str, Callable[[Asked], ViewResult]] = {
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


def _title(asked: Asked, offset: int, count: int, total: int | None) -> str:
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


def _doubled_names(columns: Sequence[ColumnInfo]) -> list[str]:
    counts = Counter(column["name"] for column in columns)
    doubled = [f"{name!r} ({count})" for name, count in counts.items() if count > 1 and name]
    if not doubled:
        return []
    others = [repr(address_of(column)) for column in addressed(columns) if column["name"] and "address" in column]
    return [
        f"Several columns have the same name: {', '.join(doubled)}; ask for the others by {', '.join(others)}"[:1000]
    ]
