"""The columns that tables have in common, and that the proposed merge runs."""

from __future__ import annotations

import pandas as pd
import pytest

from analystd.agent.merging import merges


@pytest.mark.parametrize(
    ("left", "right", "way"),
    [
        (["id", "x"], ["id", "y"], "pd.merge(orders, people, on='id')"),
        (["Year", "x"], ["y", "YEAR"], "pd.merge(orders, people, left_on='Year', right_on='YEAR')"),
        (["year", "Year"], ["YEAR", "year", "z"], "pd.merge(orders, people, left_on=['year', 'Year'], right_on=['year', 'YEAR'])"),
        (["day", "shop", "x"], ["shop", "day"], "pd.merge(orders, people, on=['day', 'shop'])"),
        (["customer id"], ["customer_id"], "pd.merge(orders, people, left_on='customer id', right_on='customer_id')"),
        (["x"], ["y"], None),
        (["€"], ["$"], None),
        (["a", "b", "c"], ["a", "b", "c"], None),
        ([], ["a"], None),
    ],
)  # fmt: skip
def test_tables_are_merged_by_what_they_have_in_common(left: list[str], right: list[str], way: str | None) -> None:
    found = merges({"orders.csv": left, "people.csv": right})
    assert found == ({("orders.csv", "people.csv"): way} if way else {})


def test_files_are_called_as_programs_call_their_tables() -> None:
    columns = {"My Orders-2024.csv": ["id"], "sub/1.csv.gz": ["id"], "no.csv": ["x"]}
    assert list(merges(columns).values()) == ["pd.merge(my_orders_2024, table_1, on='id')"]


def test_the_merge_runs() -> None:
    orders = pd.DataFrame({"Year": [1, 2, 3], "x": [1.0, 2.0, 3.0]})
    people = pd.DataFrame({"YEAR": [2, 3, 4], "y": [5.0, 6.0, 7.0]})
    way = merges({"orders.csv": ["Year", "x"], "people.csv": ["YEAR", "y"]})["orders.csv", "people.csv"]
    assert eval(way, {"pd": pd, "orders": orders, "people": people})["y"].tolist() == [5.0, 6.0]


def test_columns_without_a_cell_in_common_are_no_keys() -> None:
    columns = {"airports.csv": ["code", "source"], "routes.csv": ["Source", "to"]}
    every = {"airports.csv": {"source": ("register",)}}
    assert merges(columns, every, {"routes.csv": {"Source": ("ABE", "ABI")}}) == {}
    assert merges(columns, every, {"routes.csv": {"Source": ("ABE", "register")}}) != {}
    assert merges(columns, every, {"routes.csv": {"Source": ("", "")}}) != {}
    assert merges(columns, {"routes.csv": {"Source": ("ABE",)}}, {"airports.csv": {"source": ("register",)}}) == {}
    assert merges(columns, None, {"routes.csv": {"Source": ("ABE",)}}) != {}
