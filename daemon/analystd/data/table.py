"""What every table gives, whatever its format, and the views that are made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from analystd.data.describe import STATISTICS, summarize
from analystd.data.question import Question
from analystd.data.table_text import column_list, grid
from analystd.errors import InvalidArgumentsError
from analystd.protocol import ColumnInfo, ViewResult

MAX_ROWS = 10_000
MAX_REPLY_CHARACTERS = 16 * 1024 * 1024
"""What the cells of one reply may hold; a reply ends before the row that goes beyond."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, and what is to be said about them."""

    cells: list[list[Any]]
    warnings: tuple[str, ...] = ()


class Table(Protocol):
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

    def batches(self, columns: Sequence[int]) -> Iterator[list[list[Any]]]:
        """All rows, some at a time."""
        ...


def view(table: Table, question: Question) -> ViewResult:
    """The view that the question's operation names.

    Raises:
        InvalidArgumentsError: for an unknown operation or column, or a number out of its range.
        WorkspaceError: when the file turns out to be unreadable.
    """
    make = _VIEWS.get(question.operation)
    if make is None:
        raise InvalidArgumentsError(f"Unknown operation {question.operation!r}; there are: {', '.join(_VIEWS)}")
    if not 1 <= question.n_rows <= MAX_ROWS:
        raise InvalidArgumentsError(f"n_rows is {question.n_rows}; it can be from 1 to {MAX_ROWS}")
    if question.offset < 0:
        raise InvalidArgumentsError(f"offset is {question.offset}; rows are counted from 0")
    return make(_Asked(table, question, _positions(table, question.columns)))


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
class _Asked:
    """One question about a table, checked."""

    table: Table
    question: Question
    positions: list[int]

    @property
    def n_rows(self) -> int:
        return self.question.n_rows

    @property
    def offset(self) -> int:
        return self.question.offset

    @property
    def columns(self) -> list[ColumnInfo]:
        every = self.table.columns
        return [every[position] for position in self.positions]

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
            warnings=[*self.table.warnings, *_doubled_names(self.table.columns), *about_rows],
        )


def _view_columns(asked: _Asked) -> ViewResult:
    lines = [f"  {number}. {name}" for number, name in enumerate(_shown_names(asked.columns), 1)]
    return asked.answer("\n".join([f"Columns ({len(lines)}):", *lines]))


def _view_schema(asked: _Asked) -> ViewResult:
    types = [column["type"] for column in asked.columns]
    lines = [f"  {number}. {line}" for number, line in enumerate(column_list(_shown_names(asked.columns), types), 1)]
    return asked.answer("\n".join([f"Schema ({len(lines)} columns):", *lines]))


def _view_shape(asked: _Asked) -> ViewResult:
    count = asked.table.count_rows()
    names = ", ".join(_shown_names(asked.columns))
    text = f"Shape: {count} rows × {len(asked.table.columns)} columns\nColumns: {names}".rstrip()
    return asked.answer(text, num_rows=count)


def _view_head(asked: _Asked) -> ViewResult:
    rows = asked.table.rows(0, asked.n_rows, asked.positions)
    return asked.answer(grid(asked.columns, rows.cells), rows, offset=0)


def _view_tail(asked: _Asked) -> ViewResult:
    rows = asked.table.tail(asked.n_rows, asked.positions)
    known = asked.table.known_rows
    offset = None if known is None else max(0, known - asked.n_rows)
    return asked.answer(grid(asked.columns, rows.cells), rows, offset=offset)


def _view_rows(asked: _Asked) -> ViewResult:
    rows = asked.table.rows(asked.offset, asked.n_rows, asked.positions)
    known = asked.table.known_rows
    of = f" of {known}" if known is not None else ""
    if rows.cells:
        title = f"Rows {asked.offset} to {asked.offset + len(rows.cells) - 1}{of}, counted from 0:"
    else:
        title = f"No rows from {asked.offset}{of}, counted from 0"
    return asked.answer(f"{title}\n{grid(asked.columns, rows.cells)}", rows, offset=asked.offset)


def _view_describe(asked: _Asked) -> ViewResult:
    summaries = summarize(asked.columns, asked.table.batches(asked.positions))
    warnings = tuple(
        f"{each.strange} values of {each.column['name']!r} are no numbers; minimum, maximum and mean leave them out"
        for each in summaries
        if each.strange
    )
    rows = Rows([each.row() for each in summaries], warnings)
    result = asked.answer(grid(STATISTICS, [_with_short_mean(row) for row in rows.cells]), rows)
    result["columns"] = list(STATISTICS)
    return result


_VIEWS: dict[str, Callable[[_Asked], ViewResult]] = {
    "columns": _view_columns,
    "head": _view_head,
    "tail": _view_tail,
    "shape": _view_shape,
    "schema": _view_schema,
    "rows": _view_rows,
    "describe": _view_describe,
}


def _positions(table: Table, names: Sequence[str] | None) -> list[int]:
    """Where the columns called `names` are, in that order; a name that several have gives them all."""
    every = [column["name"] for column in table.columns]
    if names is None:
        return list(range(len(every)))
    missing = [name for name in names if name not in every]
    if missing:
        raise InvalidArgumentsError(f"There is no column {missing[0]!r}", f"The columns are: {', '.join(every)}"[:1000])
    return [position for name in names for position, each in enumerate(every) if each == name]


def _with_short_mean(row: list[Any]) -> list[Any]:
    *others, mean = row
    return [*others, f"{mean:.6g}" if isinstance(mean, float) else mean]


def _shown_names(columns: Sequence[ColumnInfo]) -> list[str]:
    return column_list([column["name"] for column in columns])


def _doubled_names(columns: Sequence[ColumnInfo]) -> list[str]:
    counts = Counter(column["name"] for column in columns)
    doubled = [f"{name!r} ({count})" for name, count in counts.items() if count > 1]
    return [f"Several columns have the same name: {', '.join(doubled)}"[:1000]] if doubled else []
