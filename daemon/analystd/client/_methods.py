"""What records can do beside holding their members; the records themselves are generated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analystd.client._records import Record
from analystd.client.displays import Display
from analystd.wire.column_names import addresses
from analystd.wire.names import EventKind

if TYPE_CHECKING:
    import pandas as pd


class PrintedAnswer(Record):
    """Base of a result that is printed as its answer."""

    def __str__(self) -> str:
        return str(self["answer"])


class PrintedText(Record):
    """Base of a result that is printed as its text for people."""

    def __str__(self) -> str:
        return str(self["text"])


class RunMethods(Record):
    """What a summary of a run tells beside its members."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self["status"] not in ("queued", "running")


class EventMethods(Record):
    """What an event tells beside its members."""

    @property
    def display(self) -> Display | None:
        """What a `display` event shows."""
        return Display.of(self["data"]) if self["kind"] == EventKind.DISPLAY else None

    @property
    def ends_run(self) -> bool:
        """Whether it is the last of its run."""
        return bool(self["kind"] == EventKind.RUN_FINISHED)


class TableMethods(PrintedText):
    """The way of a view into pandas."""

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a DataFrame whose cells are those of `rows`, of dtype `object`: converting them is yours to decide.

        Its index counts from `offset`, so that pages can be put together. Columns are called as they are asked for, so that no two are
        called the same. A row that is shorter than others ends in None; cells beyond the last column have columns of their own,
        `column_4` after three.

        Raises:
            ValueError: when the operation gave no rows.
            ImportError: when pandas is not installed.
        """
        rows, columns = self["rows"], self["columns"]
        if rows is None or columns is None:
            raise ValueError(f"A view of operation '{self['operation']}' has no rows; 'head', 'tail' and 'rows' have")
        import pandas as pd

        first = self["offset"] or 0
        index = pd.RangeIndex(first, first + len(rows))
        width = max([len(columns), *map(len, rows)])
        beyond = [""] * (width - len(columns))
        names = addresses([*(column.get("address") or column["name"] for column in columns), *beyond])
        padded = [[*row, *[None] * (width - len(row))] for row in rows]
        return pd.DataFrame(padded, index=index, columns=names, dtype=object)
