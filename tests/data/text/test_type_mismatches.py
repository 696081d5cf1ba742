from __future__ import annotations

from analystd.data.text.type_mismatches import NAMED, mismatch_warnings
from analystd.wire.results import ColumnInfo

COLUMNS = [ColumnInfo(name="n", type="integer"), ColumnInfo(name="t", type="text"), ColumnInfo(name="d", type="date")]


def test_matching_and_missing_cells_are_not_reported() -> None:
    assert mismatch_warnings([["1", "x", "2024-01-01"], [" NA ", "", None], ["-2"]], COLUMNS, 0) == []


def test_mismatched_cells_are_reported_with_their_place() -> None:
    assert mismatch_warnings([["1", "x", "today"], ["abc", "x", ""]], COLUMNS, 5000122) == [
        "Row 5000123: 'abc' in column 'n' is not an integer; types are guessed from the first rows",
        "Row 5000122: 'today' in column 'd' is not a date; types are guessed from the first rows",
    ]


def test_only_the_first_mismatches_are_reported_without_a_first_row_by_place_shown() -> None:
    reported = mismatch_warnings([["x"]] * 10, COLUMNS[:1], None)
    assert (len(reported), reported[0].split(":")[0]) == (NAMED, "Row 0 of those shown")
