from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from tests.data.query_tables import MemoryTable

from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile
from analystd.data.table import Table
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.arguments import Condition

OpenFile = Callable[..., PositionedFile]


def summary(table: Table, column: str = "x") -> list[object]:
    described = view(table, ViewRequest("describe", columns=(column,)))
    assert described["rows"] is not None
    return described["rows"][0][2:]


def typed(array: pa.Array) -> list[object]:
    return summary(MemoryTable({"x": array}))


def text(open_bytes: OpenFile, *cells: str) -> list[object]:
    lines = "".join(f"{cell},\n" for cell in cells)
    return summary(Formats().open_table(open_bytes(f"x,y\n{lines}".encode())))


def test_numbers_have_a_mean_and_keep_the_text_of_their_extremes(open_bytes: OpenFile) -> None:
    found = text(open_bytes, "1.50", "10", "-2.0", "NA", "")
    assert found == [3, 2, "-2.0", "10", pytest.approx(9.5 / 3)]


def test_dates_are_ordered_and_texts_are_only_counted(open_bytes: OpenFile) -> None:
    assert text(open_bytes, "2024-02-01", "2023-12-31", "") == [2, 1, "2023-12-31", "2024-02-01", None]
    assert text(open_bytes, "b", "a") == [2, 0, None, None, None]


def test_extremes_of_typed_columns_are_exact() -> None:
    assert typed(pa.array([1, 2**53 + 1, None])) == [2, 1, 1, "9007199254740993", 2.0**52]
    assert typed(pa.array([3, 1], pa.timestamp("ns"))) == [
        2,
        0,
        "1970-01-01T00:00:00.000000001",
        "1970-01-01T00:00:00.000000003",
        None,
    ]


def test_of_equal_extremes_the_first_is_reported(open_bytes: OpenFile) -> None:
    assert text(open_bytes, "1.0", "1", "1.00")[2:4] == ["1.0", "1.0"]


def test_nothing_has_no_extremes_and_infinities_no_mean() -> None:
    assert typed(pa.array([], pa.float64())) == [0, 0, None, None, None]
    assert typed(pa.array([float("inf"), float("-inf"), float("nan")])) == [2, 1, "-Infinity", "Infinity", "NaN"]


def test_values_that_are_not_numbers_are_excluded_and_reported(open_bytes: OpenFile) -> None:
    table = Formats().open_table(open_bytes(b"x,y\n" + b"1,\n" * 300 + b"n.n.,\n3,\n"))
    described = view(table, ViewRequest("describe", columns=("x",)))
    assert described["rows"] == [["x", "integer", 302, 0, "1", "3", pytest.approx(303 / 301)]]
    assert described["warnings"] == ["1 values of 'x' are not numbers; minimum, maximum and mean exclude them"]


def test_a_description_is_a_table_of_the_columns(open_bytes: OpenFile) -> None:
    table = Formats().open_table(open_bytes(b"day,price,note\n2024-01-01,1.5,x\n2024-01-02,2.5,\n"))
    described = view(table, ViewRequest("describe", columns=("price", "day")))
    assert described["rows"] == [
        ["price", "number", 2, 0, "1.5", "2.5", 2.0],
        ["day", "date", 2, 0, "2024-01-01", "2024-01-02", None],
    ]
    assert described["text"].splitlines()[:2] == [
        "column  type    count  missing         min         max  mean",
        "price   number      2        0         1.5         2.5     2",
    ]
    assert [column["name"] for column in described["columns"] or []][:3] == ["column", "type", "count"]
    assert described["num_rows"] == 2


def test_a_description_can_cover_the_rows_that_meet_a_filter() -> None:
    table = MemoryTable({"x": pa.array([5, 1, 9, 3]), "y": pa.array(["a", "b", "b", "b"])})
    described = view(table, ViewRequest("describe", columns=("x",), filter=(Condition("y", "=", "b"),)))
    assert described["rows"] == [["x", "int64", 3, 0, 1, 9, pytest.approx(13 / 3)]]
