"""Programs that printed only missing values, in the formats of pandas, numpy and scipy, or a share instead of percent."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analystd.agent.doubtful_results import has_only_missing_values, is_share_for_percent

ONE = pd.Series([1.0, 2.0], index=[0, 1])
OTHER = pd.Series([3.0, 4.0], index=[7, 8], name="sales")


@pytest.mark.parametrize(
    "output",
    [
        f"fall in percent: {(ONE - OTHER) / ONE}",
        f"{pd.Series([], dtype=float)}",
        f"{pd.DataFrame({'a': []})}",
        f"p-value: {stats.ttest_1samp([1.0, np.nan, 3.0], 2.0).pvalue}",
        f"Kruskal-Wallis test of 5 groups, please.\nH: {np.float64('nan')}\np: {np.nan}\n",
        f"{np.array([np.nan, np.nan])}",
        f"{pd.Series([pd.NaT])}",
        f"{(pd.Series([None], dtype='Int64'))}",
        "share: nan %",
    ],
)
def test_missing_values_alone_are_no_result(output: str) -> None:
    assert has_only_missing_values(output)


@pytest.mark.parametrize(
    "output",
    [
        "",
        "no rows",
        "The file of Jonathan\n",
        "mean: 3.5\nstd: nan",
        f"{pd.Series([1.5, np.nan])}",
        f"{pd.DataFrame({'a': [np.nan, 1.0]})}",
        "missing columns: []",
        "name: Nan",
        "count: 0",
    ],
)
def test_a_value_beside_them_or_none_at_all_says_nothing(output: str) -> None:
    assert not has_only_missing_values(output)


@pytest.mark.parametrize(
    ("question", "code", "output", "is_share"),
    [
        ("Drawdown in percent?", "print(d)", "Drawdown: -0.91", True),
        ("What percentage survived?", "print(x.mean())", "1st 0.6\n2nd 0.4", True),
        ("Anteil in Prozent?", "print(x)", "[0.25]", True),
        ("Drawdown in percent?", "print(100 * d)", "Drawdown: -0.91", False),
        ("Drawdown in percent?", "print(f'{d:.1%}')", "Drawdown: -91.0%", False),
        ("Drawdown in percent?", "print(d)", "Drawdown: -91.0", False),
        ("Drawdown in percent?", "print(d)", "rows: 3\nDrawdown: -0.91", False),
        ("Drawdown in percent?", "print(d)", "saved", False),
        ("Is it significant at 5 percent?", "print(p)", "p: 0.03", False),
        ("The 10 % trimmed mean?", "print(m)", "0.5", False),
        ("The 90th percentile?", "print(q)", "0.5", False),
        ("Drawdown?", "print(d)", "-0.91", False),
    ],
)
def test_a_share_is_no_percentage(question: str, code: str, output: str, is_share: bool) -> None:
    assert is_share_for_percent(question, code, output) == is_share
