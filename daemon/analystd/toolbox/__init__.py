"""Functions for an analyst's everyday work, ready in every session: `import toolbox`.

They take and return pandas objects, say which definition they use, and print well. `help(toolbox.NAME)` has the details.

    df = toolbox.read("trades.csv")                              any table file, with numbers and dates as such
    toolbox.missing_table(df)                                    missing values by column
    toolbox.group_table(df, by="symbol", value="amount")         sums by group, with a total
    toolbox.ohlcv(df, "1D", time="timestamp")                    bars of another length
    toolbox.max_drawdown(df["close"])                            how far it fell, and when
    toolbox.profit_and_loss(df, method="fifo")                   realised result by symbol, before and after fees

The package needs pandas and numpy, and scipy and matplotlib only where a function says so. It imports nothing else of analystd, so that
it works in a session with another interpreter.
"""

from __future__ import annotations

from .cleaning import clean_names, dates, drop_duplicates, numbers, unify_names
from .joins import JoinReport, join
from .missing import fill_missing, missing_table
from .outliers import Outliers, outliers_iqr, outliers_zscore
from .performance import (
    Drawdown,
    annualised_volatility,
    drawdown,
    max_drawdown,
    returns,
    rolling_correlation,
    sharpe_ratio,
)
from .plots import save_plot
from .prices import ohlcv, vwap
from .reading import read
from .statistics import Regression, TestResult, compare_means, correlation, normality, regression, skewness
from .tables import group_table, period_table
from .trades import profit_and_loss

__all__ = [
    "Drawdown",
    "JoinReport",
    "Outliers",
    "Regression",
    "TestResult",
    "annualised_volatility",
    "clean_names",
    "compare_means",
    "correlation",
    "dates",
    "drawdown",
    "drop_duplicates",
    "fill_missing",
    "group_table",
    "join",
    "max_drawdown",
    "missing_table",
    "normality",
    "numbers",
    "ohlcv",
    "outliers_iqr",
    "outliers_zscore",
    "period_table",
    "profit_and_loss",
    "read",
    "regression",
    "returns",
    "rolling_correlation",
    "save_plot",
    "sharpe_ratio",
    "skewness",
    "unify_names",
    "vwap",
]
