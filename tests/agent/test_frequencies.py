from __future__ import annotations

import warnings

import pandas as pd
import pytest

from analystd.agent import frequencies
from analystd.agent.frequencies import with_current_frequencies


@pytest.mark.parametrize(
    ("code", "today"),
    [
        ("df.resample('M').sum()", "df.resample('ME').sum()"),
        ('df.resample("15T").last()', 'df.resample("15min").last()'),
        ("pd.date_range('2024', periods=3, freq='T')", "pd.date_range('2024', periods=3, freq='min')"),
        ("ä = 1; df.resample(rule='H'); x.floor('D')", "ä = 1; df.resample(rule='h'); x.floor('D')"),
        ("a.resample('Q').b.asfreq('A')", "a.resample('QE').b.asfreq('YE')"),
        ("df['d'].dt.to_period('M')", "df['d'].dt.to_period('M')"),
        ("df.groupby('M').sum()", "df.groupby('M').sum()"),
        ("df.resample('ME')", "df.resample('ME')"),
        ("df.resample(", "df.resample("),
        ("print('M')", "print('M')"),
    ],
)
def test_old_names_are_replaced_where_frequencies_are_given(code: str, today: str) -> None:
    assert with_current_frequencies(code) == today


def test_pandas_knows_each_new_name_and_complains_of_none() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in frequencies._TODAY.values():
            assert len(pd.date_range("2024-01-01", periods=2, freq=name)) == 2
