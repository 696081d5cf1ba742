from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analystd.wire.column_names import addressed, addresses, position_of, positions_of
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ColumnInfo


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["a_2", "a", "a"], ["a_2", "a", "a_3"]),
        (["", "x", ""], ["column_1", "x", "column_3"]),
        (["column_2", ""], ["column_2", "column_2_2"]),
        (["A", "a"], ["A", "a"]),
        (["x.y", "new\nline", "😀", "😀"], ["x.y", "new\nline", "😀", "😀_2"]),
        ([], []),
    ],
)
def test_a_column_is_asked_for_by_its_name_or_by_one_that_no_other_has(names: list[str], found: list[str]) -> None:
    assert addresses(names) == found


NAMES = st.lists(st.sampled_from(["", "a", "a_2", "a_3", "a_2_2", "column_1", "column_2", "b"]), max_size=12)


@given(NAMES)
def test_each_column_has_an_address_of_its_own(names: list[str]) -> None:
    found = addresses(names)
    assert len(set(found)) == len(names)
    assert "" not in found
    columns = [ColumnInfo(name=name, type="text") for name in names]
    assert positions_of(columns, found) == list(range(len(names)))
    # The first column of a name has the name as its address, even if the name is empty.
    assert [position_of(columns, name) for name in dict.fromkeys(names)] == [
        names.index(name) for name in dict.fromkeys(names)
    ]


def test_only_what_is_not_the_name_is_told() -> None:
    columns = [ColumnInfo(name=name, type="text") for name in ("a", "b", "a")]
    assert addressed(columns) == [*columns[:2], {"name": "a", "type": "text", "address": "a_2"}]


def test_a_name_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(InvalidArgumentsError, match="There is no column 'c'") as caught:
        position_of([ColumnInfo(name="a", type="text"), ColumnInfo(name="a", type="text")], "c")
    assert caught.value.hint == "The columns are: a, a_2"
