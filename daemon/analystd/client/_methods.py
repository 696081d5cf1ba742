"""Methods of records; the records themselves are generated."""

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
    """Methods of the summary of a run."""

    @property
    def is_over(self) -> bool:
        """Whether the run has ended."""
        return self["status"] not in ("queued", "running")


class EventMethods(Record):
    """Methods of an event."""

    @property
    def display(self) -> Display | None:
        """What a `display` event shows; None for other events."""
        return Display.of(self["data"]) if self["kind"] == EventKind.DISPLAY else None

    @property
    def ends_run(self) -> bool:
        """Whether this is the last event of its run."""
        return bool(self["kind"] == EventKind.RUN_FINISHED)


class TableMethods(PrintedText):
    """Conversion of a view to pandas."""

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a DataFrame of dtype `object` that has the cells of `rows`, without converting them.

        Its index counts from `offset`, so that pages can be concatenated. Columns have the names by which they can be requested, so that no two
        have the same name. A row that is shorter than others ends in None; cells beyond the last column have columns of their own, such as
        `column_4` after three.

        Raises:
            ValueError: when the view has no rows.
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
