"""Programs that ran to nothing but missing values, by what pandas, numpy and scipy really print."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analystd.agent.missing_results import has_only_missing_values

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
