"""Performance of prices or returns: returns, drawdown, volatility, Sharpe ratio, correlation over time."""

from __future__ import annotations

import math
from typing import Any, Literal, Self

import numpy as np
import pandas as pd

TRADING_DAYS = 252
"""Periods in a year of daily prices on a stock exchange; markets that never close have 365."""


class Drawdown(float):
    """The deepest fall below an earlier high: a number, as a share of the high (-0.25 is a fall by a quarter, 0 where it never fell)."""

    high_at: Any
    low_at: Any
    recovered_at: Any
    """The first label after the low where the high is reached again; None where it is not."""

    def __new__(cls, depth: float, high_at: Any, low_at: Any, recovered_at: Any) -> Self:
        """Create a drawdown from its depth, and the labels of its beginning, its lowest point and its end."""
        self = super().__new__(cls, depth)
        self.high_at, self.low_at, self.recovered_at = high_at, low_at, recovered_at
        return self

    @property
    def depth(self) -> float:
        """Return the number alone."""
        return float(self)

    def __reduce__(self) -> tuple[type[Self], tuple[float, Any, Any, Any]]:
        return type(self), (self.depth, self.high_at, self.low_at, self.recovered_at)

    def __str__(self) -> str:
        end = f"recovered at {self.recovered_at}" if self.recovered_at is not None else "not recovered"
        return f"{self.depth:.4%} from the high at {self.high_at} to the low at {self.low_at}, {end}"


def returns(prices: pd.Series, kind: Literal["simple", "log"] = "simple") -> pd.Series:
    """Return the change from each price to the next: `simple` (p₁/p₀ - 1) or `log` (ln p₁/p₀). The first is dropped.

    Missing prices are dropped first, so that a return spans the gap.
    """
    known = prices.dropna()
    ratio = (known / known.shift(1)).iloc[1:]
    return ratio.map(math.log) if kind == "log" else ratio - 1


def drawdown(prices: pd.Series) -> pd.Series:
    """Return, for each price, how far it is below the highest so far, as a share of that: 0 at a high, -0.1 a tenth below."""
    known = prices.dropna()
    return known / known.cummax() - 1


def max_drawdown(prices: pd.Series) -> Drawdown:
    """Return the deepest fall of prices below an earlier high as a negative share (-0.25 is -25 %); of equally deep ones the first.

    Raises:
        ValueError: When there is no price.
    """
    known = prices.dropna()
    if known.empty:
        raise ValueError("There are no prices")
    falls = drawdown(known)
    low = int(np.argmin(falls.to_numpy()))
    high = int(np.argmax(known.to_numpy()[: low + 1]))
    again = np.flatnonzero(known.to_numpy()[low:] >= known.iloc[high])
    recovered = known.index[low + int(again[0])] if len(again) and falls.iloc[low] < 0 else None
    return Drawdown(float(falls.iloc[low]), known.index[high], known.index[low], recovered)


def annualised_volatility(changes: pd.Series, *, periods: float = TRADING_DAYS, ddof: int = 1) -> float:
    """Return the standard deviation of returns times the square root of the periods in a year.

    Args:
        changes: Returns of equal periods, as `returns` makes them.
        periods: The number of periods in a year: 252 for trading days, 365 for calendar days, 12 for months, 525,600 for minutes.
        ddof: 1 for the sample standard deviation, 0 for the population's.
    """
    return float(changes.std(ddof=ddof) * math.sqrt(periods))


def sharpe_ratio(changes: pd.Series, *, risk_free: float = 0.0, periods: float = TRADING_DAYS, ddof: int = 1) -> float:
    """Return the annualised Sharpe ratio: mean excess return over its standard deviation, times the square root of the periods in a year.

    Args:
        changes: Simple returns of equal periods.
        risk_free: The risk-free return of a *year*, as a share; it is divided by `periods`.
        periods: As in `annualised_volatility`.
        ddof: As in `annualised_volatility`.
    """
    excess = changes - risk_free / periods
    return float(excess.mean() / excess.std(ddof=ddof) * math.sqrt(periods))


def rolling_correlation(first: pd.Series, second: pd.Series, window: int) -> pd.Series:
    """Return Pearson's correlation over the last `window` pairs, by label; the first `window` - 1 are NaN.

    The series are first joined on their index; labels that one of them lacks, and missing values, are dropped.
    """
    pairs = pd.concat([first, second], axis="columns", join="inner", keys=["first", "second"]).dropna()
    return pairs["first"].rolling(window).corr(pairs["second"]).rename("correlation")
