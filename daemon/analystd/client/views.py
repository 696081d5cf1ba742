"""Views of tables, and their way into pandas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analystd.client._records import Record
from analystd.wire.column_names import addresses

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Column(Record):
    """A column's name and the type that was read or inferred.

    `address` is what it is asked for by, where that is not its name: others have that too, or it has none.
    """

    name: str
    type: str
    address: str | None = None


@dataclass(frozen=True, eq=False)
class ValueCount(Record):
    """A value and how often it occurs."""

    value: Any
    count: int


@dataclass(frozen=True, eq=False)
class Histogram(Record):
    """Bins of one width: bin i counts the values from edge i up to edge i + 1."""

    edges: Sequence[float]
    counts: Sequence[int]


@dataclass(frozen=True, eq=False)
class ColumnProfile(Record):
    """What a column holds; docs/protocol.md tells what is exact. What its type does not have is None."""

    column: str
    type: str
    count: int
    missing: int
    strange: int
    distinct: int | None
    distinct_exact: bool
    min: Any
    max: Any
    mean: float | str | None
    std: float | str | None
    histogram: Histogram | None
    top: tuple[ValueCount, ...] | None
    top_exact: bool


@dataclass(frozen=True, eq=False)
class ViewResult(Record):
    """A look at a table; what its operation does not need is None, and printed it is the `text` for people.

    `rows` has the cells exactly as the file has them: text for text formats; for typed formats JSON where that is exact, else text.
    """

    operation: str
    text: str
    columns: tuple[Column, ...] | None
    rows: Sequence[Sequence[Any]] | None
    num_rows: int | None
    num_columns: int | None
    offset: int | None
    warnings: Sequence[str]
    profiles: tuple[ColumnProfile, ...] | None = None

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a DataFrame whose cells are those of `rows`, of dtype `object`: converting them is yours to decide.

        Its index counts from `offset`, so that pages can be put together. Columns are called as they are asked for, so that no two are
        called the same. A row that is shorter than others ends in None; cells beyond the last column have columns of their own,
        `column_4` after three.

        Raises:
            ValueError: when the operation gave no rows.
            ImportError: when pandas is not installed.
        """
        if self.rows is None or self.columns is None:
            raise ValueError(f"A view of operation '{self.operation}' has no rows; 'head', 'tail' and 'rows' have")
        import pandas as pd

        first = self.offset or 0
        index = pd.RangeIndex(first, first + len(self.rows))
        width = max([len(self.columns), *map(len, self.rows)])
        beyond = [""] * (width - len(self.columns))
        names = addresses([*(column.address or column.name for column in self.columns), *beyond])
        rows = [[*row, *[None] * (width - len(row))] for row in self.rows]
        return pd.DataFrame(rows, index=index, columns=names, dtype=object)

    def __str__(self) -> str:
        return self.text
