from __future__ import annotations

import random
import statistics
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, special

from analystd import toolbox


def samples(seed: int, count: int = 80) -> list[float]:
    draw = random.Random(seed)
    return [draw.gammavariate(2, 3) for _ in range(count)]


def ranked(values: list[float]) -> list[float]:
    """The place of each value among all, which are different."""
    return [float(sorted(values).index(value)) for value in values]


def two_sided_t(t: float, freedom: float) -> float:
    """Twice the tail of Student's distribution, by integrating its density."""
    scale = np.exp(special.gammaln((freedom + 1) / 2) - special.gammaln(freedom / 2)) / np.sqrt(freedom * np.pi)
    tail, _ = integrate.quad(lambda x: scale * (1 + x * x / freedom) ** (-(freedom + 1) / 2), abs(t), np.inf)
    return float(2 * tail)


def test_welch_s_test_agrees_with_its_formula() -> None:
    one, other = samples(1), [value * 1.4 for value in samples(2, 50)]
    spread = [statistics.variance(one) / len(one), statistics.variance(other) / len(other)]
    t = (statistics.fmean(one) - statistics.fmean(other)) / sum(spread) ** 0.5
    freedom = sum(spread) ** 2 / (spread[0] ** 2 / (len(one) - 1) + spread[1] ** 2 / (len(other) - 1))
    got = toolbox.compare_means(pd.Series([*one, None]), pd.Series(other))
    assert got.statistic == pytest.approx(t)
    assert got.p_value == pytest.approx(two_sided_t(t, freedom), rel=1e-6)
    assert got.n == 130
    assert "Welch" in str(got)


def test_correlation_agrees_with_the_statistics_module() -> None:
    one = samples(3)
    other = [value + 3 * noise for value, noise in zip(one, samples(4), strict=True)]
    r = statistics.correlation(one, other)
    got = toolbox.correlation(pd.Series(one), pd.Series(other))
    assert got.statistic == pytest.approx(r)
    t = r * ((len(one) - 2) / (1 - r * r)) ** 0.5
    assert got.p_value == pytest.approx(two_sided_t(t, len(one) - 2), rel=1e-6)
    ranks = statistics.correlation(ranked(one), ranked(other))
    assert toolbox.correlation(pd.Series(one), pd.Series(other), "spearman").statistic == pytest.approx(ranks)
    with pytest.raises(ValueError, match="at least 3"):
        toolbox.correlation(pd.Series([1.0, 2.0]), pd.Series([2.0, 1.0]))


def test_skewness_agrees_with_exact_fractions() -> None:
    values = [Fraction(value) for value in (1, 2, 2, 3, 9, 14)]
    mean = sum(values) / len(values)
    second = sum((value - mean) ** 2 for value in values) / len(values)
    third = sum((value - mean) ** 3 for value in values) / len(values)
    g1 = float(third) / float(second) ** 1.5
    n = len(values)
    series = pd.Series([float(value) for value in values])
    assert toolbox.skewness(series, bias=True) == pytest.approx(g1)
    assert toolbox.skewness(series) == pytest.approx(g1 * (n * (n - 1)) ** 0.5 / (n - 2))
    assert toolbox.skewness(series) == pytest.approx(series.skew())
    assert toolbox.skewness(pd.Series([2.0, 2.0, 2.0])) == 0


def test_normality_distinguishes_normal_from_other_samples() -> None:
    draw = random.Random(5)
    bell = pd.Series([draw.gauss(0, 1) for _ in range(300)])
    assert toolbox.normality(bell).p_value > 0.05
    assert toolbox.normality(pd.Series(samples(6, 300))).p_value < 0.001
    assert "Agostino" in str(toolbox.normality(pd.Series(samples(7, 6000))))


def test_regression_agrees_with_solving_the_normal_equations_exactly() -> None:
    x1, x2, y = [1, 2, 3, 4, 6, 8], [2, 1, 5, 3, 9, 4], [3, 4, 9, 8, 17, 15]
    rows = [[Fraction(1), Fraction(a), Fraction(b)] for a, b in zip(x1, x2, strict=True)]
    left = [[sum((row[i] * row[j] for row in rows), Fraction()) for j in range(3)] for i in range(3)]
    right = [sum((row[i] * target for row, target in zip(rows, y, strict=True)), Fraction()) for i in range(3)]
    wanted = solve(left, right)
    frame = pd.DataFrame({"x1": [*x1, None], "x2": [*x2, 1], "y": [*y, 1]})
    fit = toolbox.regression(frame, "y", ["x1", "x2"])
    assert fit.coefficients["coefficient"].to_list() == pytest.approx([float(each) for each in wanted])
    residuals = [t - sum(c * v for c, v in zip(wanted, row, strict=True)) for t, row in zip(y, rows, strict=True)]
    unexplained = sum(each**2 for each in residuals)
    total = sum((Fraction(t) - Fraction(sum(y), 6)) ** 2 for t in y)
    assert fit.r_squared == pytest.approx(float(1 - unexplained / total))
    inverse = [solve(left, [Fraction(i == j) for j in range(3)])[i] for i in range(3)]
    errors = [float(entry * unexplained / 3) ** 0.5 for entry in inverse]
    assert fit.coefficients["std_error"].to_list() == pytest.approx(errors)
    t = float(wanted[1]) / errors[1]
    assert fit.coefficients.loc["x1", "p_value"] == pytest.approx(two_sided_t(t, 3), rel=1e-6)
    assert (fit.n, fit.dropped) == (6, 1)
    assert "1 rows with missing values left out" in str(fit)


def solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gauss's elimination in exact numbers."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for place in range(len(rows)):
        pivot = next(row for row in rows[place:] if row[place])
        rows.remove(pivot)
        rows.insert(place, [value / pivot[place] for value in pivot])
        for other in range(len(rows)):
            if other != place:
                factor = rows[other][place]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
    return [row[-1] for row in rows]


def test_columns_that_repeat_each_other_are_refused() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3, 4, 5], "b": [2, 4, 6, 8, 10], "y": [1, 2, 2, 3, 5]})
    with pytest.raises(ValueError, match="leave it out"):
        toolbox.regression(frame, "y", ["a", "b"])
    with pytest.raises(ValueError, match="more are needed"):
        toolbox.regression(frame.head(2), "y", "a")
