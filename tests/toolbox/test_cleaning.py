from __future__ import annotations

import math
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analystd import toolbox


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["1,234.50", "99.1", "(12.00)", "$3", "-"], [1234.5, 99.1, -12.0, 3.0, math.nan]),
        (["1.234,50", "99,1", "(12,00)", "€ 3", "n/a"], [1234.5, 99.1, -12.0, 3.0, math.nan]),
        (["1 234,5", "2 000 000,25", "\u22125,5"], [1234.5, 2000000.25, -5.5]),
        (["12 %", "3.5%", "-1%"], [0.12, 0.035, -0.01]),
        (["100-", "7", "+3"], [-100.0, 7.0, 3.0]),
        (["1,234,567", "12"], [1234567.0, 12.0]),
        (["1.234.567", "12"], [1234567.0, 12.0]),
        (["1e3", "2.5E-1"], [1000.0, 0.25]),
        (["EUR 5", "6 USD", "£7"], [5.0, 6.0, 7.0]),
    ],
)
def test_numbers_are_read_out_of_text(cells: list[str], wanted: list[float]) -> None:
    got = toolbox.numbers(pd.Series(cells, name="amount"))
    assert [None if math.isnan(value) else value for value in got] == pytest.approx(
        [None if math.isnan(value) else value for value in wanted]
    )


@given(st.lists(st.decimals(min_value=-(10**9), max_value=10**9, places=2), min_size=1, max_size=20))
def test_numbers_written_in_the_german_and_the_english_way_are_the_same(values: list[Decimal]) -> None:
    # A figure with three digits after a grouping sign alone could be either; two decimals are always there.
    english = pd.Series([f"{value:,.2f}" for value in values])
    german = english.map(lambda cell: cell.translate(str.maketrans(",.", ".,")))
    assert toolbox.numbers(english).to_list() == [float(value) for value in values]
    assert toolbox.numbers(german).to_list() == [float(value) for value in values]


def test_a_column_with_an_ambiguous_decimal_sign_is_refused() -> None:
    column = pd.Series(["1,234", "5"], name="amount")
    with pytest.raises(ValueError, match="cannot be told"):
        toolbox.numbers(column)
    assert toolbox.numbers(column, decimal=".").to_list() == [1234.0, 5.0]
    assert toolbox.numbers(column, decimal=",").to_list() == [1.234, 5.0]


def test_a_column_with_both_decimal_signs_is_refused() -> None:
    with pytest.raises(ValueError, match="not the same everywhere"):
        toolbox.numbers(pd.Series(["1.5", "1,5"]))


def test_cells_that_are_not_numbers_are_counted_and_named() -> None:
    column = pd.Series(["1", "two", "3", "four"], name="n")
    with pytest.raises(ValueError, match=r"2 of 4 cells of 'n' are no numbers: 'two', 'four'"):
        toolbox.numbers(column)
    assert toolbox.numbers(column, on_error="missing").isna().to_list() == [False, True, False, True]


def test_numbers_that_are_numbers_already_stay_as_they_are() -> None:
    column = pd.Series([1, 2, 3])
    assert toolbox.numbers(column) is column


def test_the_order_of_day_and_month_is_learned_from_the_column() -> None:
    assert toolbox.dates(pd.Series(["01/02/2024", "13/02/2024"])).dt.month.to_list() == [2, 2]
    assert toolbox.dates(pd.Series(["01/02/2024", "02/13/2024"])).dt.month.to_list() == [1, 2]
    assert toolbox.dates(pd.Series(["01.02.2024", "03.04.2024"])).dt.month.to_list() == [2, 4]
    with pytest.raises(ValueError, match="cannot be told"):
        toolbox.dates(pd.Series(["01/02/2024", "03/04/2024"]))
    with pytest.raises(ValueError, match="before and after"):
        toolbox.dates(pd.Series(["13/02/2024", "02/13/2024"]))


def test_iso_dates_with_offsets_are_one_time_line() -> None:
    got = toolbox.dates(pd.Series(["2024-03-31T12:00:00+02:00", "2024-03-31T10:00:00Z", "-"]))
    assert got[0] == got[1]
    assert pd.isna(got[2])


def test_column_names_become_unique_and_plain() -> None:
    frame = pd.DataFrame([[1, 2, 3, 4, 5]], columns=["Net Amount (€)", "net amount", "customerID", "", "Größe"])
    assert list(toolbox.clean_names(frame).columns) == ["net_amount", "net_amount_2", "customer_id", "column_4", "groe"]


def test_spellings_of_one_name_become_one() -> None:
    names = pd.Series(["Acme Ltd", "ACME  Ltd.", "Acme Ltd", "Müller", "Mueller", "Muller", None])
    got = toolbox.unify_names(names)
    assert got.to_list()[:3] == ["Acme Ltd"] * 3
    assert got[3] == got[5] == "Müller"
    assert got[4] == "Mueller"
    assert pd.isna(got[6])


def test_dropped_duplicates_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"a": [1, 1, 2], "b": [1, 1, 3]})
    assert len(toolbox.drop_duplicates(frame)) == 2
    assert "1 of 3 rows were duplicates" in capsys.readouterr().out
    assert toolbox.drop_duplicates(frame, "a", keep="last").index.to_list() == [1, 2]
