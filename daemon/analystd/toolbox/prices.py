"""Prices: bars of another length, and the volume-weighted average price."""

from __future__ import annotations

from typing import Any

import pandas as pd

_BARS = {"open": "first", "high": "max", "low": "min", "close": "last"}


def ohlcv(
    frame: pd.DataFrame,
    rule: str,
    *,
    time: str | None = None,
    price: str | None = None,
    volume: str | None = "volume",
) -> pd.DataFrame:
    """Return bars of another length, made of shorter bars or of single prices.

    Each bar is labelled with its beginning, which it includes, while it excludes its end. Periods without data have no bar.

    Args:
        frame: Bars (columns `open`, `high`, `low`, `close`, in whatever case) or, with `price`, single prices; in any order.
        rule: The length, in pandas' notation: `15min`, `1h`, `1D`, `W`, `ME`.
        time: The column of timestamps; None: the index.
        price: The column of single prices.
        volume: The column to sum; omitted if it does not exist.

    Raises:
        KeyError: When a column does not exist.
        TypeError: When the times are not timestamps.
    """
    stamped = _by_time(frame, time)
    if price is not None:
        bars = stamped[price].resample(rule).agg(list(_BARS.values())).set_axis(list(_BARS), axis="columns")
    else:
        columns = {str(name).lower(): name for name in frame.columns}
        if absent := [name for name in _BARS if name not in columns]:
            raise KeyError(f"There is no column {', '.join(absent)}; name the column of single prices with price=…")
        bars = pd.DataFrame({name: stamped[columns[name]].resample(rule).agg(how) for name, how in _BARS.items()})
    names = {str(name).lower(): name for name in frame.columns}
    if volume is not None and (found := names.get(volume.lower())) is not None:
        bars["volume"] = stamped[found].resample(rule).sum()
    return bars.dropna(subset=list(_BARS), how="all")


def vwap(frame: pd.DataFrame, *, price: str, volume: str, by: str | list[str] | None = None) -> Any:
    """Return the volume-weighted average price: the sum of price times volume, divided by the sum of volume.

    Rows with a missing price or volume are dropped.

    Args:
        frame: The trades.
        price: The column of prices.
        volume: The column of quantities; their sign does not matter.
        by: The column or columns to group by; the result is then a series with one value for each group.
    """
    known = frame.dropna(subset=[price, volume])
    weights = known[volume].abs()
    paid = known[price] * weights
    if by is None:
        return float(paid.sum() / weights.sum())
    keys = [known[name] for name in ([by] if isinstance(by, str) else by)]
    return (paid.groupby(keys).sum() / weights.groupby(keys).sum()).rename("vwap")


def _by_time(frame: pd.DataFrame, time: str | None) -> pd.DataFrame:
    stamped = frame if time is None else frame.set_index(time)
    if not isinstance(stamped.index, pd.DatetimeIndex):
        what = "The index" if time is None else repr(time)
        raise TypeError(
            f"{what} holds {stamped.index.dtype}, no timestamps; name the column with time=…, or use toolbox.dates"
        )
    return stamped[stamped.index.notna()].sort_index(kind="stable")
