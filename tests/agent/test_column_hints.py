from __future__ import annotations

import pytest

from analystd.agent.column_hints import hint_for_failure, nearest, unknown_columns
from analystd.agent.merging import merges

COLUMNS = {"prices.csv": ("Date", "close", "Volume (BTC)"), "names.csv": ("name",)}


@pytest.mark.parametrize(
    ("code", "unknown"),
    [
        ("df['Close'].mean()", ["Close"]),
        ("df['close'].mean()", []),
        ("df[['date', 'close']]", ["date"]),
        ("df['return'] = df['close'].pct_change()\ndf['return'].std()", []),
        ("d = {'closing': 1}\nd['closing']", []),
        ("df = df.rename(columns={'close': 'Close'})\ndf['Close']", []),
        ("df.groupby('g').agg(closes=('close', 'sum'))['closes']", []),
        ("x['zzzzzz']", []),
        ("m['close_x']", []),
        ("df['volume_btc']", ["volume_btc"]),
        ("this is no program", []),
        ("(" * 5000, []),
    ],
)
def test_names_in_subscripts_that_are_nearly_columns_are_found(code: str, unknown: list[str]) -> None:
    assert unknown_columns(code, COLUMNS) == unknown


def test_the_nearest_names_come_first() -> None:
    assert nearest("volume(btc)", ["close", "Volume (BTC)", "Date"]) == ["Volume (BTC)"]


@pytest.mark.parametrize(
    "output",
    [
        "KeyError: 'Close' (line 3)",
        "KeyError: \"['Close'] not in index\" (line 2)",
        "KeyError: \"None of [Index(['Close'], dtype='object')] are in the [columns]\" (line 2)",
    ],
)
def test_an_error_about_a_column_is_answered_with_the_columns(output: str) -> None:
    hint = hint_for_failure(output, COLUMNS)
    assert hint is not None
    assert "'close'" in hint
    assert "The columns of prices.csv are 'Date', 'close', 'Volume (BTC)'." in hint


def test_other_errors_get_no_such_hint() -> None:
    assert hint_for_failure("ZeroDivisionError: division by zero (line 1)", COLUMNS) is None
    assert hint_for_failure("KeyError: 'x'", {}) is None


def test_a_column_that_only_some_tables_have_is_said_to_be_there() -> None:
    tables = {"a.csv": ("x", "k"), "b.csv": ("y", "k")}
    assert hint_for_failure("KeyError: 'x' (line 2)", tables, merges(tables)) == (
        "Only a.csv has the column 'x'. The columns of b.csv are 'y', 'k'. "
        "Merge the tables first and use what comes of it: merged = pd.merge(a, b, on='k')."
    )
    other = {"a.csv": ("YEAR", "x"), "b.csv": ("Year", "y")}
    spelt = hint_for_failure("KeyError: 'YEAR' (line 8)", other, merges(other))
    assert spelt is not None
    assert spelt.endswith(
        "b.csv calls it 'Year'. Merge the tables first and use what comes of it: merged = pd.merge(a, b, left_on='YEAR', right_on='Year')."
    )
    apart = {"a.csv": ("x",), "b.csv": ("y",)}
    hint = hint_for_failure("KeyError: 'x' (line 2)", apart)
    assert hint is not None
    assert "no column in common" in hint
    assert "pd.concat([first, second], axis=1)" in hint
    missing = hint_for_failure("KeyError: 'z' (line 2)", apart)
    assert missing is not None
    assert missing.startswith("There is no column 'z'")
