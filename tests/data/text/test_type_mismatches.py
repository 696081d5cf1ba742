from __future__ import annotations

from analystd.data.text.type_mismatches import NAMED, misfits
from analystd.wire.results import ColumnInfo

COLUMNS = [ColumnInfo(name="n", type="integer"), ColumnInfo(name="t", type="text"), ColumnInfo(name="d", type="date")]


def test_cells_that_fit_or_are_missing_are_not_worth_a_word() -> None:
    assert misfits([["1", "x", "2024-01-01"], [" NA ", "", None], ["-2"]], COLUMNS, 0) == []


def test_cells_that_do_not_fit_are_told_with_their_place() -> None:
    assert misfits([["1", "x", "today"], ["abc", "x", ""]], COLUMNS, 5000122) == [
        "Row 5000123: 'abc' in column 'n' is not an integer; types are guessed from the first rows",
        "Row 5000122: 'today' in column 'd' is not a date; types are guessed from the first rows",
    ]


def test_only_the_first_are_told_and_a_place_that_is_not_known_is_counted_among_those_shown() -> None:
    told = misfits([["x"]] * 10, COLUMNS[:1], None)
    assert (len(told), told[0].split(":")[0]) == (NAMED, "A shown row, number 0")
