"""Errors that programs really end with, raised by the installed libraries, and the hints for them."""

from __future__ import annotations

import io
import traceback

import numpy as np
import pandas as pd
import pytest

from analystd.agent.error_hints import error_hints, hint_for_error
from analystd.agent.facts import traceback_tail

FRAME = {"n": [1.0, None, 3.0], "s": ["x", "y", "x"], "d": ["2024-01-01", "2024-01-02", "31.01.2024"]}


def error_of(code: str) -> str:
    """Return the end of a failing program's traceback."""
    names = {"df": pd.DataFrame(FRAME), "pd": pd, "np": np, "io": io}
    with pytest.raises(Exception) as caught:
        exec(code, names)
    return traceback_tail("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(
    ("code", "helps"),
    [
        ("df['d'].dt.month", "pd.to_datetime(df[column])"),
        ("df['d'].iloc[0].strftime('%Y')", "pd.to_datetime(df[column])"),
        ("df['n'].str.upper()", ".astype(str)"),
        ("df.resample('D').mean()", "on=date_column"),
        ("pd.to_datetime(df['d'])", 'format="mixed"'),
        ("df[['n', 's']].mean()", "numeric_only=True"),
        ("df['s'].astype(float)", "pd.to_numeric"),
        ("df['s'] > 3", "pd.to_numeric"),
        ("pd.to_datetime(df['d'].head(2)) - df['d']", "pd.to_datetime(column)"),
        ("df['s'].quantile(0.5)", "pd.to_numeric"),
        ("df['s'].sum() / 2", "pd.to_numeric"),
        ("df.groupby('s')['n'].mean().sort_values(by='n')", "a Series"),
        ("pd.read_csv('nowhere.csv')", "exactly as they are given"),
        ("df['n'].astype(int)", ".dropna()"),
        ("from sklearn.linear_model import LinearRegression\nLinearRegression().fit(df[['n']], [1, 2, 3])", "df.dropna(subset="),
        ("import statsmodels.api as sm\nsm.OLS([1.0, 2, 3], df[['n']]).fit()", "df.dropna(subset="),
        ("from scipy import stats\nstats.pearsonr(df['n'], [1, 2, 3], nan_policy='raise')", None),
        ("pd.sqrt(4)", "np.sqrt"),
        ("df.append(df)", "pd.concat"),
        ("df['n'].mad()", ".abs().mean()"),
        ("from sklearn.metrics import mean_squared_error\nmean_squared_error([1], [2], squared=False)", "** 0.5"),
        ("df['n'].fillna(method='linear')", ".interpolate()"),
        ("df['s'].value_counts().reset_index()['index']", "'count'"),
        ("from scipy import stats\nstats.mode([1, 1])[0][0]", "one number"),
        ("from scipy import stats\nstats.median_absolute_deviation([1])", "median_abs_deviation"),
        ("from scipy import stats\nstats.binom_test(3, 10)", "binomtest"),
        ("if df['n'] > 1: pass", "&, | and ~"),
        ("f\"{df['n']:.2f}\"", "one number first"),
        ("df[df['s'] == 'X']['n'].idxmax()", "No row is left"),
        ("df[df['s'] == 'X'].iloc[0]", "No row is left"),
        ("df.iloc[0][0]", ".iloc[0]"),
        ("import xgboost_of_nowhere", "not installed"),
        ("pd.read_csv(io.StringIO('a,b\\n1,2\\n1,2,3,4'))", "toolbox.read(path)"),
        ("print(table)", "by itself"),
        ("1 / 0", None),
        ("raise ValueError('no idea')", None),
    ],
)  # fmt: skip
def test_what_is_said_of_an_error(code: str, helps: str | None) -> None:
    hint = hint_for_error(error_of(code))
    assert (hint is None) if helps is None else (hint is not None and helps in hint)


def test_each_hint_is_one_plain_sentence_or_two() -> None:
    for pattern, sentence in error_hints():
        assert 30 < len(sentence) < 200
        assert sentence[0].isupper() or sentence.split()[0].isidentifier()
        assert sentence.endswith(".")
        assert not pattern.search(sentence), "a hint is no error"


def test_only_the_end_of_a_long_error_is_looked_at() -> None:
    assert hint_for_error("KeyError: 'index'" + "x" * 100_000) is None
