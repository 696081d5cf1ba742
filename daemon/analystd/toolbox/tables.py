"""Summary tables by group and by period."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

TOTAL = "Total"

PERIODS = {"hour": "h", "day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
"""Names of periods with pandas' names for them. A week ends on Sunday."""

How = str | Sequence[str]


def group_table(
    frame: pd.DataFrame, by: str | Sequence[str], value: str | Sequence[str], *, how: How = "sum", total: bool = True
) -> pd.DataFrame:
    """Return a value, or several, by group.

    Args:
        frame: The table.
        by: The column or columns to group by; rows with a missing one form a group of their own.
        value: The column or columns to summarise; missing values are ignored.
        how: `sum`, `mean`, `median`, `min`, `max`, `count`, `std`, `nunique` or another name that pandas knows, or a list of them.
        total: Whether a last row `Total` has the same figures over all rows (of the mean: the mean of all rows, not of the groups).
    """
    keys, values = _listed(by), _listed(value)
    table = frame.groupby(keys, dropna=False)[values].agg(how if isinstance(how, str) else list(how))
    if not total:
        return table
    whole = frame.groupby(lambda _: TOTAL)[values].agg(how if isinstance(how, str) else list(how))
    whole.index = pd.Index([TOTAL]) if len(keys) == 1 else pd.MultiIndex.from_tuples([(TOTAL, *[""] * (len(keys) - 1))])
    whole.index.names = table.index.names
    if len(keys) == 1:
        table.index = table.index.astype(object)
    return pd.concat([table, whole])


def period_table(
    frame: pd.DataFrame, time: str, value: str | Sequence[str], *, period: str = "month", how: How = "sum"
) -> pd.DataFrame:
    """Return a value, or several, by calendar period, including periods without rows.

    Args:
        frame: The table.
        time: The column of timestamps; rows with a missing one are dropped.
        value: The column or columns to summarise.
        period: `hour`, `day`, `week` (to Sunday), `month`, `quarter`, `year`, or a period of pandas.
        how: As in `group_table`.

    Raises:
        TypeError: When `time` does not hold timestamps; `toolbox.dates` converts text to them.
    """
    stamps = frame[time]
    if not pd.api.types.is_datetime64_any_dtype(stamps):
        raise TypeError(f"{time!r} holds {stamps.dtype}, no timestamps; convert it with toolbox.dates")
    kept = frame[stamps.notna()]
    local = kept[time].dt.tz_localize(None) if kept[time].dt.tz is not None else kept[time]
    periods = local.dt.to_period(PERIODS.get(period, period)).rename(time)
    table: pd.DataFrame = kept.groupby(periods)[_listed(value)].agg(how if isinstance(how, str) else list(how))
    if table.empty:
        return table
    every = pd.period_range(table.index.min(), table.index.max(), freq=PERIODS.get(period, period), name=time)
    fill = 0 if how in ("sum", "count", "size", "nunique") else None
    return table.reindex(every) if fill is None else table.reindex(every, fill_value=fill)


def _listed(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)
