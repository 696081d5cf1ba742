from __future__ import annotations

import pytest

from analystd.data.text.cell_types import guessed_type


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "-2", "0"], "integer"),
        (["1", "", "NA", "null"], "integer"),
        (["1", "2.5", "1e5", ".5", "-inf"], "number"),
        (["007", "008"], "text"),
        (["0.5", "0"], "number"),
        (["true", "FALSE"], "boolean"),
        (["2024-01-01"], "date"),
        (["2024-01-01", "2024-01-01 09:30"], "timestamp"),
        (["2024-01-01T09:30:00.123456+01:00", "2024-01-01 09:30:00Z"], "timestamp"),
        (["09:30", "16:00:00.5"], "time"),
        (["1,5"], "text"),
        (["1", "x"], "text"),
        (["", "NaN"], "empty"),
        ([], "empty"),
        (["١"], "text"),
    ],
)
def test_a_type_is_the_narrowest_that_all_cells_fit(cells: list[str], expected: str) -> None:
    assert guessed_type(cells) == expected
