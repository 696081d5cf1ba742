from __future__ import annotations

from collections.abc import Callable

import pytest

from analystd.data.csv_table import CsvTable, learn_csv
from analystd.data.describe import ColumnSummary, summarize
from analystd.data.question import Question
from analystd.data.random_file import RandomFile
from analystd.data.table import view
from analystd.protocol import ColumnInfo

OpenFile = Callable[[bytes], RandomFile]


def summary(kind: str, *batches: list[object]) -> list[object]:
    column = ColumnInfo(name="x", type=kind)
    return summarize([column], [[[cell] for cell in batch] for batch in batches])[0].row()[2:]


def test_numbers_have_a_mean_and_keep_the_text_of_their_extremes() -> None:
    assert summary("number", ["1.50", "10"], ["-2.0", "NA", ""]) == [3, 2, "-2.0", "10", pytest.approx(9.5 / 3)]


def test_dates_are_ordered_and_texts_are_only_counted() -> None:
    assert summary("date", ["2024-02-01", "2023-12-31", ""]) == [2, 1, "2023-12-31", "2024-02-01", None]
    assert summary("text", ["b", "a"]) == [2, 0, None, None, None]


def test_integers_that_travel_as_strings_are_numbers() -> None:
    assert summary("int64", [1, "9007199254740993", None]) == [2, 1, 1, "9007199254740993", 2.0**52]


def test_nothing_has_no_extremes_and_infinities_no_mean() -> None:
    assert summary("number", []) == [0, 0, None, None, None]
    assert summary("double", ["Infinity", "-Infinity"]) == [2, 0, "-Infinity", "Infinity", "nan"]


def test_values_that_are_no_numbers_are_left_out_and_counted() -> None:
    column = ColumnSummary(ColumnInfo(name="x", type="integer"))
    column.add(["1", "n.n.", "3"])
    assert (column.row()[2:], column.strange) == ([3, 0, "1", "3", 2.0], 1)


def test_a_description_is_a_table_of_the_columns(open_bytes: OpenFile) -> None:
    file = open_bytes(b"day,price,note\n2024-01-01,1.5,x\n2024-01-02,2.5,\n")
    described = view(CsvTable(file, learn_csv(file)), Question("describe", columns=("price", "day")))
    assert described["rows"] == [
        ["price", "number", 2, 0, "1.5", "2.5", 2.0],
        ["day", "date", 2, 0, "2024-01-01", "2024-01-02", None],
    ]
    assert described["text"].splitlines()[:2] == [
        "column  type    count  missing         min         max  mean",
        "price   number      2        0         1.5         2.5     2",
    ]
    assert [column["name"] for column in described["columns"] or []][:3] == ["column", "type", "count"]
