"""Statistical tests and regression, whose printed results name the definition used. They need scipy."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class TestResult:
    """The result of a statistical test; like scipy's results, it can be unpacked: `statistic, p_value = …`."""

    __test__ = False
    """Keep pytest from collecting the class as a test."""
    name: str
    statistic: float
    p_value: float
    n: int
    """The number of values, or pairs, used."""
    note: str = ""

    def __iter__(self) -> Iterator[float]:
        return iter((self.statistic, self.p_value))

    def __str__(self) -> str:
        note = f"; {self.note}" if self.note else ""
        return f"{self.name}: statistic {self.statistic:.6g}, p-value {self.p_value:.6g}, n = {self.n}{note}"


@dataclass(frozen=True)
class Regression:
    """Ordinary least squares with an intercept."""

    coefficients: pd.DataFrame
    """One row for the intercept and each variable: `coefficient`, `std_error`, `t`, `p_value`."""
    r_squared: float
    adjusted_r_squared: float
    residual_std_error: float
    """The square root of the residual sum of squares over its degrees of freedom."""
    n: int
    """The number of complete rows used."""
    dropped: int
    """The number of rows dropped because a value was missing."""

    def __str__(self) -> str:
        head = (
            f"OLS with intercept, n = {self.n} ({self.dropped} rows with missing values left out)\n"
            f"R² {self.r_squared:.6g}, adjusted R² {self.adjusted_r_squared:.6g}, "
            f"residual standard error {self.residual_std_error:.6g}\n"
        )
        return head + self.coefficients.to_string(float_format=lambda value: f"{value:.6g}")


def compare_means(first: pd.Series, second: pd.Series, *, equal_variances: bool = False) -> TestResult:
    """Return a two-sided t-test of two independent samples: Welch's, or Student's with `equal_variances`."""
    from scipy import stats

    one, other = first.dropna(), second.dropna()
    result = stats.ttest_ind(one, other, equal_var=equal_variances)
    name = "Student's t-test" if equal_variances else "Welch's t-test"
    note = f"means {one.mean():.6g} (n = {len(one)}) and {other.mean():.6g} (n = {len(other)})"
    return TestResult(name, float(result.statistic), float(result.pvalue), len(one) + len(other), note)


def correlation(
    first: pd.Series, second: pd.Series, method: Literal["pearson", "spearman", "kendall"] = "pearson"
) -> TestResult:
    """Return the correlation of pairs (by index label) and its two-sided p-value; pairs with a missing value are left out.

    Raises:
        ValueError: When there are fewer than three pairs.
    """
    from scipy import stats

    pairs = pd.concat([first, second], axis="columns", join="inner", keys=["first", "second"]).dropna()
    if len(pairs) < 3:
        raise ValueError(f"There are {len(pairs)} complete pairs; at least 3 are needed")
    functions: dict[str, Any] = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}
    result = functions[method](pairs["first"].astype(float), pairs["second"].astype(float))
    return TestResult(f"{method.title()} correlation", float(result[0]), float(result[1]), len(pairs))


def normality(values: pd.Series) -> TestResult:
    """Return a test of the hypothesis that values are drawn from a normal distribution.

    The test is Shapiro and Wilk's up to 5,000 values, and D'Agostino and Pearson's for more, where scipy's p-value of the first is not
    accurate.
    """
    from scipy import stats

    known = values.dropna().astype(float)
    if len(known) <= 5000:
        result = stats.shapiro(known)
        return TestResult("Shapiro-Wilk test", float(result.statistic), float(result.pvalue), len(known))
    result = stats.normaltest(known)
    return TestResult("D'Agostino-Pearson test", float(result.statistic), float(result.pvalue), len(known))


def skewness(values: pd.Series, *, bias: bool = False) -> float:
    """Return the skewness: without `bias` the adjusted Fisher-Pearson coefficient G₁ (as pandas has it), with it g₁ (as scipy's default).

    g₁ is the third central moment over the population standard deviation cubed; G₁ = g₁ √(n(n-1)) / (n-2).

    Raises:
        ValueError: When there are too few values.
    """
    known = values.dropna().to_numpy(dtype=float)
    count = len(known)
    if count < (1 if bias else 3):
        raise ValueError(f"There are {count} values; at least {1 if bias else 3} are needed")
    centred = known - known.mean()
    variance = float(np.mean(centred**2))
    if variance == 0:
        return 0.0
    moment = float(np.mean(centred**3)) / float(variance**1.5)
    return moment if bias else moment * math.sqrt(count * (count - 1)) / (count - 2)


def regression(frame: pd.DataFrame, y: str, x: str | Sequence[str]) -> Regression:
    """Return an ordinary least squares fit of `y` on `x` with an intercept; rows with a missing value are left out.

    Args:
        frame: The table.
        y: The dependent column.
        x: The independent column or columns; numbers or booleans.

    Raises:
        ValueError: When there are not more rows than coefficients, or when columns are linear combinations of each other.
    """
    from scipy import stats

    names = [x] if isinstance(x, str) else list(x)
    known = frame[[y, *names]].dropna().astype(float)
    design = np.column_stack([np.ones(len(known)), known[names].to_numpy()])
    rows, columns = design.shape
    freedom = rows - columns
    if freedom < 1:
        raise ValueError(f"There are {rows} complete rows for {columns} coefficients; more are needed")
    target = known[y].to_numpy()
    solution, _, rank, _ = np.linalg.lstsq(design, target, rcond=None)
    if rank < columns:
        raise ValueError(f"Of the columns {', '.join(names)} one is constant or a combination of others; leave it out")
    residuals = target - design @ solution
    unexplained, total = float(residuals @ residuals), float(((target - target.mean()) ** 2).sum())
    variance = unexplained / freedom
    errors = np.sqrt(np.diag(np.linalg.pinv(design.T @ design)) * variance)
    with np.errstate(divide="ignore"):
        t_values = solution / errors
    table = pd.DataFrame(
        {
            "coefficient": solution,
            "std_error": errors,
            "t": t_values,
            "p_value": 2 * stats.t.sf(np.abs(t_values), freedom),
        },
        index=["intercept", *names],
    )
    explained = 1 - unexplained / total if total else float("nan")
    adjusted = 1 - (1 - explained) * (rows - 1) / freedom
    return Regression(table, explained, adjusted, variance**0.5, rows, len(frame) - rows)
