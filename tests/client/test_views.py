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
