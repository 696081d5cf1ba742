"""The views that are computed over whole columns: `describe` and `profile`."""

from __future__ import annotations

from typing import Any

from analystd.data.compute.profile import described, extreme_cells, profiled
from analystd.data.compute.profile_text import profile_text
from analystd.data.table import Rows
from analystd.data.table_text import grid
from analystd.data.view_context import ViewContext
from analystd.wire.column_names import address_of
from analystd.wire.results import ColumnInfo, ViewResult

STATISTICS = (
    ColumnInfo(name="column", type="text"),
    ColumnInfo(name="type", type="text"),
    ColumnInfo(name="count", type="integer"),
    ColumnInfo(name="missing", type="integer"),
    ColumnInfo(name="min", type="number"),
    ColumnInfo(name="max", type="number"),
    ColumnInfo(name="mean", type="number"),
)
MOST_COLUMNS = 50
"""As many columns one profile tells of; each takes about 2 MiB while it is made."""


def view_describe(asked: ViewContext) -> ViewResult:
    """A table of the columns, a row for each."""
    query = asked.query()
    summaries = described(asked.table, asked.positions, query)
    rows = []
    for position, each in zip(asked.positions, summaries, strict=True):
        least, most = extreme_cells(asked.table, position, each)
        mean = each.moments.mean if each.moments else None
        rows.append([address_of(each.column), each.column["type"], each.count, each.missing, least, most, mean])
    total = summaries[0].count + summaries[0].missing if summaries else asked.table.known_rows
    text = grid(STATISTICS, [_with_short_mean(row) for row in rows])
    warnings = _left_out([(address_of(each.column), each.strange) for each in summaries])
    result = asked.answer(text, Rows(rows), num_rows=total, more_warnings=warnings)
    result["columns"] = list(STATISTICS)
    return result


def view_profile(asked: ViewContext) -> ViewResult:
    """A profile of each of `n_rows` columns, at most 50, from number `offset` of those asked for."""
    positions = asked.positions[asked.offset : asked.offset + min(asked.n_rows, MOST_COLUMNS)]
    profiles = profiled(asked.table, positions, asked.query())
    total = profiles[0]["count"] + profiles[0]["missing"] if profiles else asked.table.known_rows
    title = _title(asked, len(positions), total)
    warnings = _left_out([(each["column"], each["strange"]) for each in profiles])
    text = f"{title}\n\n{profile_text(profiles)}" if profiles else title
    result = asked.answer(text, num_rows=total, offset=asked.offset, more_warnings=warnings)
    result["columns"] = asked.columns[asked.offset : asked.offset + len(positions)]
    result["profiles"] = profiles
    return result


def _title(asked: ViewContext, count: int, rows: int | None) -> str:
    """`Columns 0 to 9 of 12, counted from 0, over 1234 rows that meet the filter:`"""
    over = "" if rows is None else f", over {rows} rows{' that meet the filter' if asked.question.filter else ''}"
    every = len(asked.positions)
    if not count:
        return f"No columns from {asked.offset} of {every}, counted from 0"
    return f"Columns {asked.offset} to {asked.offset + count - 1} of {every}, counted from 0{over}:"


def _left_out(strange: list[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(
        f"{count} values of {name!r} are no numbers; minimum, maximum and mean leave them out"
        for name, count in strange
        if count
    )


def _with_short_mean(row: list[Any]) -> list[Any]:
    *others, mean = row
    return [*others, f"{mean:.6g}" if isinstance(mean, float) else mean]
