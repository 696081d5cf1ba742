"""The views computed over whole columns: `describe` and `profile`."""

from __future__ import annotations

from typing import Any

from analystd.data.compute.profile import described, extreme_cells, profiled
from analystd.data.profile_text import profile_text
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
"""Maximum number of columns in one profile; each takes about 2 MiB while it is computed."""


def view_describe(context: ViewContext) -> ViewResult:
    """Return a summary of the columns, one row per column."""
    query = context.query()
    summaries = described(context.table, context.positions, query)
    rows = []
    for position, each in zip(context.positions, summaries, strict=True):
        least, most = extreme_cells(context.table, position, each)
        mean = each.moments.mean if each.moments else None
        rows.append([address_of(each.column), each.column["type"], each.count, each.missing, least, most, mean])
    total = summaries[0].count + summaries[0].missing if summaries else context.table.known_rows
    text = grid(STATISTICS, [_with_short_mean(row) for row in rows])
    warnings = _left_out([(address_of(each.column), each.mismatches) for each in summaries])
    result = context.answer(text, Rows(rows), num_rows=total, more_warnings=warnings)
    result["columns"] = list(STATISTICS)
    return result


def view_profile(context: ViewContext) -> ViewResult:
    """Return the profiles of `n_rows` of the requested columns, at most 50, from number `offset`."""
    positions = context.positions[context.offset : context.offset + min(context.n_rows, MOST_COLUMNS)]
    profiles = profiled(context.table, positions, context.query())
    total = profiles[0]["count"] + profiles[0]["missing"] if profiles else context.table.known_rows
    title = _title(context, len(positions), total)
    warnings = _left_out([(each["column"], each["strange"]) for each in profiles])
    text = f"{title}\n\n{profile_text(profiles)}" if profiles else title
    result = context.answer(text, num_rows=total, offset=context.offset, more_warnings=warnings)
    result["columns"] = context.columns[context.offset : context.offset + len(positions)]
    result["profiles"] = profiles
    return result


def _title(context: ViewContext, count: int, rows: int | None) -> str:
    """Return a title such as `Columns 0 to 9 of 12, counted from 0, over 1234 rows that meet the filter:`."""
    over = "" if rows is None else f", over {rows} rows{' that meet the filter' if context.request.filter else ''}"
    every = len(context.positions)
    if not count:
        return f"No columns from {context.offset} of {every}, counted from 0"
    return f"Columns {context.offset} to {context.offset + count - 1} of {every}, counted from 0{over}:"


def _left_out(mismatches: list[tuple[str, int]]) -> tuple[str, ...]:
    return tuple(
        f"{count} values of {name!r} are not numbers; minimum, maximum and mean exclude them"
        for name, count in mismatches
        if count
    )


def _with_short_mean(row: list[Any]) -> list[Any]:
    *others, mean = row
    return [*others, f"{mean:.6g}" if isinstance(mean, float) else mean]
