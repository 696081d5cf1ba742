from __future__ import annotations

import random
import statistics
from collections import defaultdict
from datetime import date, timedelta

import pandas as pd
import pytest

from analystd import toolbox


def sales(seed: int, count: int = 500) -> list[tuple[date, str, float]]:
    draw = random.Random(seed)
    return [
        (date(2023, 11, 1) + timedelta(days=draw.randrange(200)), draw.choice("ABC"), round(draw.uniform(-50, 100), 2))
        for _ in range(count)
    ]


def frame_of(rows: list[tuple[date, str, float]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["day", "group", "amount"])
    return frame.assign(day=pd.to_datetime(frame["day"]))


@pytest.mark.parametrize(("how", "by_hand"), [("sum", sum), ("mean", statistics.fmean), ("median", statistics.median)])
def test_group_tables_agree_with_plain_python(how: str, by_hand: object) -> None:
    rows = sales(1)
    groups: dict[str, list[float]] = defaultdict(list)
    for _, group, amount in rows:
        groups[group].append(amount)
    table = toolbox.group_table(frame_of(rows), "group", "amount", how=how)
    assert callable(by_hand)
    for group, amounts in groups.items():
        assert table.loc[group, "amount"] == pytest.approx(by_hand(amounts))
    assert table.loc["Total", "amount"] == pytest.approx(by_hand([amount for _, _, amount in rows]))
    assert list(table.index) == ["A", "B", "C", "Total"]


def test_a_total_over_two_keys_and_several_figures() -> None:
    frame = pd.DataFrame({"a": [1, 1, 2], "b": ["x", "y", "x"], "v": [1.0, 2.0, 4.0]})
    table = toolbox.group_table(frame, ["a", "b"], "v", how=["sum", "count"])
    assert table.loc[("Total", ""), ("v", "sum")] == 7
    assert table.loc[("Total", ""), ("v", "count")] == 3


def test_rows_without_a_group_are_a_group_of_their_own() -> None:
    frame = pd.DataFrame({"g": ["x", None, "x"], "v": [1, 2, 4]})
    table = toolbox.group_table(frame, "g", "v")
    assert table["v"].to_list() == [5, 2, 7]


def test_months_agree_with_plain_python_and_have_no_holes() -> None:
    rows = [row for row in sales(2) if row[0].month != 1]
    months: dict[str, float] = defaultdict(float)
    for day, _, amount in rows:
        months[f"{day:%Y-%m}"] += amount
    table = toolbox.period_table(frame_of(rows), "day", "amount", period="month")
    assert table.loc["2024-01", "amount"] == 0
    for month, total in months.items():
        assert table.loc[month, "amount"] == pytest.approx(total)
    assert len(table) == 7


def test_times_that_are_text_are_refused_with_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"toolbox\.dates"):
        toolbox.period_table(pd.DataFrame({"t": ["2024-01-01"], "v": [1]}), "t", "v")


def test_missing_values_are_counted_and_filled_by_rule(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pd.DataFrame({"x": [1.0, None, 3.0, None], "g": ["a", "b", None, "b"], "full": [1, 2, 3, 4]})
    table = toolbox.missing_table(frame)
    assert table["missing"].to_dict() == {"x": 2, "g": 1, "full": 0}
    assert table.loc["x", "percent"] == 50
    filled = toolbox.fill_missing(frame, {"x": "mean", "g": "mode"})
    assert filled["x"].to_list() == [1, 2, 3, 2]
    assert filled["g"].to_list() == ["a", "b", "b", "b"]
    assert "x: 2 missing values filled by rule mean" in capsys.readouterr().out
    assert toolbox.fill_missing(frame, "interpolate")["x"].to_list()[:3] == [1, 2, 3]
    with pytest.raises(TypeError, match="needs numbers"):
        toolbox.fill_missing(frame, {"g": "mean"})


def test_outliers_by_quartiles_agree_with_the_statistics_module() -> None:
    draw = random.Random(3)
    values = [draw.gauss(0, 1) for _ in range(400)] + [9.0, -11.0]
    # statistics' inclusive method is numpy's linear interpolation.
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    lower, upper = first - 1.5 * (third - first), third + 1.5 * (third - first)
    found = toolbox.outliers_iqr(pd.Series(values))
    assert (found.lower, found.upper) == pytest.approx((lower, upper))
    assert sorted(found.values) == sorted(value for value in values if value < lower or value > upper)
    assert f"{found.count} of 402 values" in str(found)


@pytest.mark.parametrize(("ddof", "deviation"), [(1, statistics.stdev), (0, statistics.pstdev)])
def test_outliers_by_z_score_say_which_deviation_they_use(ddof: int, deviation: object) -> None:
    draw = random.Random(4)
    values = [draw.gauss(5, 2) for _ in range(300)] + [30.0]
    assert callable(deviation)
    bound = 3 * deviation(values)
    found = toolbox.outliers_zscore(pd.Series(values), ddof=ddof)
    assert found.upper == pytest.approx(statistics.fmean(values) + bound)
    assert found.values.to_list() == [value for value in values if abs(value - statistics.fmean(values)) > bound]
    assert f"ddof={ddof}" in str(found)


def test_a_join_says_what_did_not_match(capsys: pytest.CaptureFixture[str]) -> None:
    left = pd.DataFrame({"id": [1, 2, 3, None], "v": [10, 20, 30, 40]})
    right = pd.DataFrame({"key": [2, 3, 4, None], "w": ["b", "c", "d", "n"]})
    both = toolbox.join(left, right, "id", right_on="key")
    assert both[["v", "w"]].to_numpy().tolist() == [[20, "b"], [30, "c"]]
    report = both.attrs["join_report"]
    assert (report.unmatched_left, report.unmatched_right) == (2, 2)
    assert "2 of the left have no partner, such as 1.0" in capsys.readouterr().out
    everything = toolbox.join(left, right, "id", right_on="key", how="outer")
    assert len(everything) == 2 + 2 + 2


def test_a_join_that_multiplies_rows_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    left, right = pd.DataFrame({"k": ["a", "a", "b"]}), pd.DataFrame({"k": ["a", "a", "c"], "w": [1, 2, 3]})
    assert len(toolbox.join(left, right, "k")) == 4
    assert "keys repeat on both sides (1 and 1), so rows multiplied" in capsys.readouterr().out


def test_keys_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match="convert one of them"):
        toolbox.join(pd.DataFrame({"k": ["1"]}), pd.DataFrame({"k": [1]}), "k")
