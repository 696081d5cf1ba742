from __future__ import annotations

from typing import Any

import pytest

from analystd.client import ViewResult


def view(**members: Any) -> ViewResult:
    names = ("text", "columns", "rows", "num_rows", "num_columns", "offset")
    return ViewResult.of({"operation": "rows", "warnings": [], **dict.fromkeys(names), **members})


def test_cells_come_into_pandas_as_they_are() -> None:
    columns = [{"name": "id", "type": "int64"}, {"name": "note", "type": "string"}]
    rows = [["007", "NA"], ["12345678901234567890", None], ["", "1E5"]]
    frame = view(columns=columns, rows=rows, offset=40).to_pandas()
    assert list(frame.columns) == ["id", "note"]
    assert frame.astype(object).to_numpy().tolist() == rows
    assert list(frame.index) == [40, 41, 42]
    assert set(frame.dtypes.astype(str)) == {"object"}


def test_an_empty_page_keeps_its_columns() -> None:
    frame = view(columns=[{"name": "a", "type": "int64"}], rows=[]).to_pandas()
    assert (list(frame.columns), len(frame)) == (["a"], 0)


def test_a_view_without_rows_says_which_operations_have_some() -> None:
    with pytest.raises(ValueError, match="'shape' has no rows; 'head', 'tail' and 'rows' have"):
        view(operation="shape", num_rows=3).to_pandas()


def test_rows_of_any_length_come_into_pandas_with_columns_of_their_own() -> None:
    columns = [{"name": "x", "type": "integer"}, {"name": "y", "type": "integer"}]
    frame = view(columns=columns, rows=[["1", "2"], ["3", "4", "5"], ["6", None], ["7"]]).to_pandas()
    assert list(frame.columns) == ["x", "y", "column_3"]
    assert frame.to_numpy().tolist() == [["1", "2", None], ["3", "4", "5"], ["6", None, None], ["7", None, None]]


def test_columns_of_one_name_are_called_in_pandas_as_they_are_asked_for() -> None:
    columns = [
        {"name": "a", "type": "integer"},
        {"name": "a", "type": "integer", "address": "a_2"},
        {"name": "", "type": "text", "address": "column_3"},
    ]
    frame = view(columns=columns, rows=[["1", "2", "x", "more"]]).to_pandas()
    assert list(frame.columns) == ["a", "a_2", "column_3", "column_4"]
    assert frame["a_2"].tolist() == ["2"]
