"""What is asked of a table: the operation, which rows and columns, under which conditions, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

DEFAULT_ROWS = 10


@dataclass(frozen=True)
class Condition:
    """What a row must meet: how a column's cell compares with a value."""

    column: str
    op: str
    """One of `OPERATORS`."""
    value: Any = None
    """A number, text or boolean; a list of them for `in`; nothing for `missing` and `present`."""


@dataclass(frozen=True)
class SortKey:
    """A column to sort by; missing values come last either way."""

    column: str
    descending: bool = False


OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts_with", "missing", "present")


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
    def of(cls, arguments: Mapping[str, Any]) -> ViewRequest:
        """The question in the arguments of `viewData`, which must be valid; what is no part of it is passed over."""
        given = {name: arguments[name] for name in cls.__dataclass_fields__ if arguments.get(name) is not None}
        if "columns" in given:
            given["columns"] = tuple(given["columns"])
        given["filter"] = tuple(Condition(**each) for each in given.get("filter", ()))
        given["sort"] = tuple(SortKey(**each) for each in given.get("sort", ()))
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """As `of` takes it."""
        return asdict(self)
