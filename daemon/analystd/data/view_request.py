"""Requests for views of tables: the operation, rows, columns, filter and sort order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

DEFAULT_ROWS = 10


@dataclass(frozen=True)
class Condition:
    """A condition of a filter: a comparison of a column's cells with a value."""

    column: str
    op: str
    """One of `OPERATORS`."""
    value: Any = None
    """A number, text or boolean; a list of them for `in`; None for `missing` and `present`."""


@dataclass(frozen=True)
class SortKey:
    """A column to sort by; missing values come last in both directions."""

    column: str
    descending: bool = False


OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts_with", "missing", "present")


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
    def of(cls, arguments: Mapping[str, Any]) -> ViewRequest:
        """Return the request in the arguments of `viewData`, which must be valid; other arguments are ignored."""
        given = {name: arguments[name] for name in cls.__dataclass_fields__ if arguments.get(name) is not None}
        if "columns" in given:
            given["columns"] = tuple(given["columns"])
        given["filter"] = tuple(Condition(**each) for each in given.get("filter", ()))
        given["sort"] = tuple(SortKey(**each) for each in given.get("sort", ()))
        return cls(**given)

    def to_json(self) -> dict[str, Any]:
        """Return the request as a mapping that `of` accepts."""
        return asdict(self)
