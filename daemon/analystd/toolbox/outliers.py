"""Outliers by two common rules, with the bounds used."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Outliers:
    """The values outside of bounds; a value that equals a bound is inside."""

    lower: float
    upper: float
    values: pd.Series
    """The outliers with their index labels."""
    count: int
    of: int
    """The number of values examined, without missing ones."""
    rule: str

    def __str__(self) -> str:
        return f"{self.count} of {self.of} values are outside [{self.lower:.6g}, {self.upper:.6g}] ({self.rule})"


def outliers_iqr(values: pd.Series, k: float = 1.5) -> Outliers:
    """Return the values more than `k` interquartile ranges below the first or above the third quartile (Tukey's fences).

    Quartiles are interpolated linearly, as pandas and numpy do by default.
    """
    first, third = (float(values.quantile(share)) for share in (0.25, 0.75))
    spread = third - first
    return _outside(
        values, first - k * spread, third + k * spread, f"{k:g} × IQR, quartiles {first:.6g} and {third:.6g}"
    )


def outliers_zscore(values: pd.Series, limit: float = 3.0, *, ddof: int = 1) -> Outliers:
    """Return the values more than `limit` standard deviations away from the mean.

    Args:
        values: A column of numbers.
        limit: The number of standard deviations.
        ddof: 1 for the sample standard deviation (pandas' default), 0 for the population's (numpy's and scipy's default).
    """
    mean, deviation = float(values.mean()), float(values.std(ddof=ddof))
    rule = f"|z| > {limit:g}, mean {mean:.6g}, standard deviation {deviation:.6g} with ddof={ddof}"
    return _outside(values, mean - limit * deviation, mean + limit * deviation, rule)


def _outside(values: pd.Series, lower: float, upper: float, rule: str) -> Outliers:
    found = values[(values < lower) | (values > upper)]
    return Outliers(lower, upper, found, len(found), int(values.notna().sum()), rule)
