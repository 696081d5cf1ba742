"""Counting of missing values, and filling them by a stated rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd

Rule = Literal["mean", "median", "mode", "zero", "previous", "next", "interpolate"]


def missing_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return, for each column, its missing values: `missing` (count), `percent` of all rows and `type`, the most missing first."""
    count = frame.isna().sum()
    share = (100 * count / len(frame)) if len(frame) else count.astype(float)
    table = pd.DataFrame({"missing": count, "percent": share, "type": frame.dtypes.astype(str)})
    return table.sort_values("missing", ascending=False, kind="stable")


def fill_missing(frame: pd.DataFrame, how: Rule | Mapping[str, Rule]) -> pd.DataFrame:
    """Return the table with missing values filled, and print how many were filled in which column, and with what.

    Args:
        frame: The table, in its order of rows for `previous`, `next` and `interpolate` (linear in the row number).
        how: A rule for all columns to which it applies, or a rule for each named column. `mode` is the most frequent value; of equally
            frequent ones, the smallest.

    Raises:
        KeyError: When a column does not exist.
        TypeError: When the rule for a named column needs numbers and the column is not numeric.
    """
    rules = dict(how) if isinstance(how, Mapping) else {column: how for column in frame if _fits(frame[column], how)}
    result = frame.copy()
    for column, rule in rules.items():
        values = frame[column]
        if not _fits(values, rule):
            raise TypeError(f"{column!r} holds {values.dtype}, and the rule {rule!r} needs numbers")
        filled = _filled(values, rule)
        count = int(values.isna().sum() - filled.isna().sum())
        if count:
            print(f"{column}: {count} missing values filled by rule {rule}")
        result[column] = filled
    return result


def _fits(values: pd.Series, rule: Rule) -> bool:
    if rule in ("mode", "previous", "next"):
        return True
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def _filled(values: pd.Series, rule: Rule) -> pd.Series:
    if rule == "previous":
        return values.ffill()
    if rule == "next":
        return values.bfill()
    if rule == "interpolate":
        return values.interpolate(limit_area="inside")
    if rule == "zero":
        return values.fillna(0)
    if rule == "mode":
        modes = values.mode()
        return values if modes.empty else values.fillna(modes.iloc[0])
    return values.fillna(values.mean() if rule == "mean" else values.median())
