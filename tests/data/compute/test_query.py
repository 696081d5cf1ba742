from __future__ import annotations

import csv
import datetime
import io
import math
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.query_tables import MemoryTable

from analystd.data.compute import order as query_order
from analystd.data.compute import query
from analystd.data.compute.order import Candidates, Direction
from analystd.data.compute.query import Query
from analystd.data.compute.selections import Selection, Selections
from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile, ProgressListener, ViewCancelledError
from analystd.data.text.csv_table import CsvTable
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.arguments import OPERATORS, Condition, SortKey
from analystd.wire.errors import InvalidArgumentsError, ResourceLimitError

pytestmark = pytest.mark.slow

OpenFile = Callable[..., PositionedFile]


def chosen(array: pa.Array, op: Any, value: Any = None) -> list[int]:
    """The rows of a column that meet a condition."""
    table = MemoryTable({"x": array})
    return numbers(table, filter=(Condition("x", op, value),))


def ordered(array: pa.Array, *, descending: bool = False) -> list[int]:
    return numbers(MemoryTable({"x": array}), sort=(SortKey("x", descending),))


def numbers(table: MemoryTable, **asked: Any) -> list[int]:
    return Query(table, ViewRequest("rows", **asked), Selection()).page(0, 10_000).numbers


def csv_table(open_bytes: OpenFile, content: bytes) -> CsvTable:
    table = Formats().open_table(open_bytes(content))
    assert isinstance(table, CsvTable)
    return table


@pytest.mark.parametrize(
    ("op", "value", "rows"),
    [
        ("=", 2, [1]),
        ("=", "2.0", [1]),
        ("!=", 2, [0, 2]),
        ("<", 2.5, [0, 1]),
        ("<=", "2", [0, 1]),
        (">", 1.5, [1, 2]),
        (">=", 2.5, [2]),
        ("in", [1, "3", 2.5], [0, 2]),
        ("=", 1.5, []),
        ("!=", 1.5, [0, 1, 2]),
        ("<", 10**30, [0, 1, 2]),
        (">", "-Infinity", [0, 1, 2]),
        ("=", "1e999999999", []),
        ("missing", None, [3]),
        ("present", None, [0, 1, 2]),
    ],
)
@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal128(21, 2)])
def test_numbers_compare_as_numbers_of_any_type(kind: pa.DataType, op: str, value: Any, rows: list[int]) -> None:
    assert chosen(pa.array([1, 2, 3, None]).cast(kind), op, value) == rows


def test_integers_and_decimals_compare_exactly() -> None:
    large = 2**53
    assert chosen(pa.array([large, large + 1, large + 2]), "=", large + 1) == [1]
    assert chosen(pa.array([large, large + 1, large + 2]), "in", [str(large + 1)]) == [1]
    cents = pa.array([Decimal("0.10"), Decimal("0.11")], pa.decimal128(38, 2))
    assert chosen(cents, "=", "0.10") == [0]
    assert chosen(cents, ">", "0.105") == [1]


def test_doubles_compare_with_the_double_next_to_the_value() -> None:
    assert chosen(pa.array([0.1, 0.2]), "=", "0.1") == [0]
    assert chosen(pa.array([0.1, 0.2], pa.float32()), "=", 0.1) == [0]
    assert chosen(pa.array([0.0, -0.0, 1.0]), "in", [0]) == [0, 1]


def test_what_is_not_a_number_is_missing() -> None:
    array = pa.array([1.0, math.nan, None])
    assert [chosen(array, "missing"), chosen(array, "present"), chosen(array, "!=", 5)] == [[1, 2], [0], [0]]


def test_text_compares_by_its_bytes() -> None:
    array = pa.array(["b", "a", "é", "", None, "B"])
    assert chosen(array, "<", "b") == [1, 3, 5]
    assert chosen(array, ">", "b") == [2]
    assert chosen(array, "in", ["é", "a"]) == [1, 2]
    assert chosen(pa.array(["7", "07"]), "=", 7) == [0]


def test_contains_ignores_case_and_starts_with_does_not() -> None:
    array = pa.array(["Zürich", "ZÜRICH", "Bern", None, "x.y"])
    assert chosen(array, "contains", "zür") == [0, 1]
    assert chosen(array, "contains", ".") == [4]
    assert chosen(array, "starts_with", "Z") == [0, 1]
    assert chosen(array, "starts_with", "z") == []


def test_dictionaries_and_booleans_compare_as_what_they_hold() -> None:
    assert chosen(pa.array([True, False, None]), "=", True) == [0]
    assert chosen(pa.array([True, False, None]), "=", "False") == [1]


def test_times_compare_as_such() -> None:
    noon = datetime.datetime(2024, 1, 1, 12)
    array = pa.array([noon, noon + datetime.timedelta(seconds=1), None])
    assert chosen(array, ">", "2024-01-01T12:00:00") == [1]
    assert chosen(array, ">=", "2024-01-01") == [0, 1]
    assert chosen(array.cast(pa.timestamp("us", "UTC")), "=", "2024-01-01 12:00:00") == [0]
    assert chosen(array.cast(pa.timestamp("us", "UTC")), "=", "2024-01-01T13:00:00+01:00") == [0]
    assert chosen(array.cast(pa.date32()), "in", ["2024-01-01"]) == [0, 1]
    with pytest.raises(
        InvalidArgumentsError, match=r"Column 'x' cannot be compared with 'noon', which is not a timestamp\[us\]"
    ):
        chosen(array, "=", "noon")


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Condition("y", "=", 1), "There is no column 'y'"),
        (Condition("n", cast(Any, "~"), 1), "Unknown operator '~'"),
        (Condition("n", "=", "abc"), "Column 'n' cannot be compared with 'abc', which is not a number"),
        (Condition("n", "=", True), "cannot be compared with True, which is not a number"),
        (Condition("n", "=", "nan"), "cannot be compared with 'nan', which is not a number"),
        (Condition("n", "in", []), "takes a list of 1 to"),
        (Condition("n", "in", "5"), "takes a list of 1 to"),
        (Condition("n", "contains", "5"), "contains applies to text, but column 'n' is int64"),
        (Condition("t", "=", None), "cannot be compared with None, which is not text"),
        (Condition("l", "=", 1), "Column 'l' is list<.*>, which cannot be compared"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(condition: Condition, message: str) -> None:
    table = MemoryTable({"n": pa.array([1]), "t": pa.array(["a"]), "l": pa.array([[1]])})
    with pytest.raises(InvalidArgumentsError, match=message):
        numbers(table, filter=(condition,))


def test_nested_columns_can_be_missing_but_have_no_order() -> None:
    table = MemoryTable({"l": pa.array([[1], None])})
    assert numbers(table, filter=(Condition("l", "missing"),)) == [1]
    with pytest.raises(InvalidArgumentsError, match="cannot be sorted"):
        numbers(table, sort=(SortKey("l"),))


def test_all_conditions_must_hold() -> None:
    table = MemoryTable({"a": pa.array([1, 2, 3, 4]), "b": pa.array(["x", "y", "x", "y"])})
    assert numbers(table, filter=(Condition("a", ">", 1), Condition("b", "=", "x"))) == [2]
    assert numbers(table, filter=(Condition("a", ">", 1), Condition("a", "<", 4))) == [1, 2]


def test_the_first_page_reads_only_what_it_needs_and_the_next_continues() -> None:
    table = MemoryTable({"x": pa.array(range(30))})
    known = Selection()
    asked = Query(table, ViewRequest("rows", filter=(Condition("x", ">=", 4),)), known)
    assert asked.page(0, 4).numbers == [4, 5, 6, 7]
    assert (table.taken, table.closed, asked.total) == ([0, 1, 2], 1, None)
    table.taken.clear()
    assert asked.page(8, 4).numbers == [12, 13, 14, 15]
    assert table.taken == [3, 4, 5]
    table.taken.clear()
    assert asked.page(1, 2).numbers == [5, 6]
    assert table.taken == [1, 2]
    assert (asked.count(), asked.total) == (26, 26)
    table.taken.clear()
    assert (asked.page(26, 5).numbers, asked.tail(2).numbers, table.taken) == ([], [28, 29], [9])


def test_missing_values_come_last_in_both_directions_and_ties_keep_their_order() -> None:
    array = pa.array([2.0, None, 1.0, math.nan, 2.0, -0.0, 0.0])
    assert ordered(array) == [5, 6, 2, 0, 4, 1, 3]
    assert ordered(array, descending=True) == [0, 4, 2, 5, 6, 1, 3]


def test_several_keys_order_what_the_ones_before_leave_equal() -> None:
    table = MemoryTable({"a": pa.array(["x", "y", None, "x", "y"]), "b": pa.array([1, 2, 3, None, 5])})
    assert numbers(table, sort=(SortKey("a"), SortKey("b", True))) == [0, 3, 4, 1, 2]
    assert numbers(table, sort=(SortKey("a", True), SortKey("b")), filter=(Condition("b", "<", 5),)) == [1, 0, 2]


def test_an_order_is_computed_once() -> None:
    table = MemoryTable({"x": pa.array([3, 1, 2])})
    known = Selections()
    question = ViewRequest("rows", sort=(SortKey("x"),), n_rows=2)
    first = view(table, question, known.of("file", question))
    table.taken.clear()
    again = ViewRequest("rows", sort=(SortKey("x"),), offset=2)
    assert [first["rows"], view(table, again, known.of("file", again))["rows"]] == [[[1], [2]], [[3]]]
    assert table.taken == []
    view(table, again, known.of("changed file", again))
    assert table.taken == [0]


def test_a_page_further_on_has_more_candidates_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "_FEWEST_CANDIDATES", 4)
    table = MemoryTable({"x": pa.array([(7 * at) % 50 for at in range(50)])})
    asked = Query(table, ViewRequest("rows", sort=(SortKey("x"),)), Selection())
    pages = [asked.page(offset, 3).numbers for offset in range(0, 50, 3)]
    assert [number for page in pages for number in page] == sorted(range(50), key=lambda at: (7 * at) % 50)


def test_rows_too_far_into_an_order_are_refused() -> None:
    asked = Query(MemoryTable({"x": pa.array([1])}), ViewRequest("rows", sort=(SortKey("x"),)), Selection())
    with pytest.raises(InvalidArgumentsError, match="only its first 2000000 rows are available"):
        asked.page(2_000_000, 1)


def test_only_so_many_candidates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = Candidates([Direction()], 10)
    for begin in range(1000, 0, -5):
        candidates.add([pa.array(range(begin, begin + 5))], pa.array(range(5)).to_numpy())
        assert candidates._rows <= 25
    assert len(candidates.rows()) == 10
    monkeypatch.setattr(query_order, "MOST_KEY_BYTES", 100)
    with pytest.raises(ResourceLimitError, match="The values to sort by take"):
        Candidates([Direction()], 10).add([pa.array(["x" * 100] * 30)], pa.array(range(30)).to_numpy())


def test_numbers_of_different_types_are_ordered_together() -> None:
    candidates = Candidates([Direction()], 2)
    rows = pa.array([0, 1, 2]).to_numpy()
    candidates.add([pa.array([5, 3, 8])], rows)
    candidates.add([pa.array([4.5, 2.5, None])], rows + 3)
    candidates.add([pa.array([Decimal(2**64), Decimal(1), None], pa.decimal128(38, 0))], rows + 6)
    assert candidates.rows().tolist() == [7, 4]


def test_cells_are_shown_as_the_file_has_them(open_bytes: OpenFile) -> None:
    table = csv_table(open_bytes, b"id,price\n007,1.50\n008,10\n009,NA\n010,2.0\n")
    rows = view(table, ViewRequest("rows", sort=(SortKey("price", True),)))
    assert rows["rows"] == [["008", "10"], ["010", "2.0"], ["007", "1.50"], ["009", "NA"]]
    assert rows["text"].splitlines()[0] == "Rows 0 to 3 of 4, by price descending, counted from 0:"
    found = view(table, ViewRequest("rows", filter=(Condition("price", "<", "9"),), n_rows=1, offset=1))
    assert (found["rows"], found["num_rows"], found["offset"]) == ([["010", "2.0"]], None, 1)
    assert found["text"].splitlines()[0] == "Rows 1 to 1 that meet the filter, counted from 0:"


def test_shape_and_tail_are_of_what_meets_the_filter(open_bytes: OpenFile) -> None:
    table = csv_table(open_bytes, b"x\n" + b"".join(b"%d\n" % at for at in range(20)))
    even = (Condition("x", "in", list(range(0, 20, 2))),)
    shape = view(table, ViewRequest("shape", filter=even))
    assert (shape["num_rows"], shape["text"].splitlines()[0]) == (10, "Shape: 10 of 20 rows × 1 columns")
    tail = view(table, ViewRequest("tail", filter=even, n_rows=2))
    assert (tail["rows"], tail["offset"], tail["num_rows"]) == ([["16"], ["18"]], 8, 10)
    last = view(table, ViewRequest("tail", filter=even, sort=(SortKey("x", True),), n_rows=2))
    assert (last["rows"], last["offset"]) == ([["2"], ["0"]], 8)
    assert view(table, ViewRequest("head", filter=even, n_rows=2))["rows"] == [["0"], ["2"]]
    assert view(table, ViewRequest("rows", filter=even, offset=10))["text"].startswith(
        "No rows from 10 of 10 that meet"
    )


def test_mismatched_values_are_reported(open_bytes: OpenFile) -> None:
    content = b"x,y\n" + b"1,a\n" * 300 + b"n.n.,a\n2,a\n"
    shown = view(csv_table(open_bytes, content), ViewRequest("tail", sort=(SortKey("x"),), n_rows=2))
    assert (shown["rows"], shown["warnings"][-1:]) == (
        [["2", "a"], ["n.n.", "a"]],
        ["1 value does not fit the type of 'x', which is guessed from the first rows; treated as missing"],
    )


def test_a_view_is_cancelled_between_chunks() -> None:
    listener = ProgressListener(threading.Event())

    class Cancelled(MemoryTable):
        def column_chunks(self, columns: Any, start: int = 0) -> Any:
            for chunk in super().column_chunks(columns, start):
                if listener.cancelled.is_set():
                    raise ViewCancelledError("cancelled")
                yield chunk
                if chunk.number == 3:
                    listener.cancelled.set()

    table = Cancelled({"x": pa.array(range(30))})
    known = Selection()
    with pytest.raises(ViewCancelledError):
        view(table, ViewRequest("shape", filter=(Condition("x", ">", 5),)), known)
    assert (known.matches.complete, table.closed) == (False, 1)
    with pytest.raises(ViewCancelledError):
        view(table, ViewRequest("rows", sort=(SortKey("x"),)), known)
    assert known.first is None


NUMBERS = st.one_of(st.none(), st.integers(-3, 3), st.integers(2**53 - 2, 2**53 + 2), st.integers(-(2**63), 2**63 - 1))
DOUBLES = st.one_of(st.none(), st.floats(width=64), st.sampled_from([0.0, -0.0, 1.0]))
TEXTS = st.one_of(st.none(), st.text(alphabet='aAbéß",\n☃', min_size=1, max_size=3))


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _meets(value: Any, op: str, other: Any) -> bool:
    if _is_missing(value) or op == "missing":
        return op == "missing" and _is_missing(value)
    key: Any
    against: Any
    key, against = (value.encode(), other.encode()) if isinstance(value, str) else (value, other)
    found: dict[str, bool] = {
        "=": key == against,
        "!=": key != against,
        "<": key < against,
        "<=": key <= against,
        ">": key > against,
        ">=": key >= against,
        "in": key == against,
        "present": True,
    }
    return found[op]


def _sorted(values: list[Any], rows: list[int], *, descending: bool) -> list[int]:
    there = [row for row in rows if not _is_missing(values[row])]
    keys = {row: values[row].encode() if isinstance(values[row], str) else values[row] for row in there}
    # Sorting in reverse keeps the order of what is equal.
    first = sorted(there, key=keys.__getitem__, reverse=descending)
    return first + [row for row in rows if _is_missing(values[row])]


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.tuples(st.just(pa.int64()), st.lists(NUMBERS, min_size=1, max_size=12)),
        st.tuples(st.just(pa.float64()), st.lists(DOUBLES, min_size=1, max_size=12)),
        st.tuples(st.just(pa.string()), st.lists(TEXTS, min_size=1, max_size=12)),
        st.tuples(st.just(pa.large_string()), st.lists(TEXTS, min_size=1, max_size=12)),
    ),
    st.sampled_from([op for op in OPERATORS if op not in ("contains", "starts_with")]),
    st.data(),
)
def test_filters_and_orders_are_what_python_finds(typed: Any, op: Any, data: st.DataObject) -> None:
    kind, values = typed
    table = MemoryTable({"x": pa.array(values, kind)}, part_rows=data.draw(st.integers(1, 5)))
    present = [value for value in values if not _is_missing(value)]
    value = data.draw(st.sampled_from(present)) if present else 0 if kind != pa.string() else "a"
    if not present and pa.types.is_large_string(kind):
        value = "a"
    given_value = None if op in ("missing", "present") else [value] if op == "in" else value
    condition = (Condition("x", op, given_value),)
    expected = [row for row, each in enumerate(values) if _meets(each, op, value)]
    assert numbers(table, filter=condition) == expected
    descending = data.draw(st.booleans())
    in_order = _sorted(values, expected, descending=descending)
    asked: dict[str, Any] = {"filter": condition, "sort": (SortKey("x", descending),)}
    assert numbers(table, **asked) == in_order
    for question in (ViewRequest("rows", **asked), ViewRequest("rows", filter=condition)):
        wanted = in_order if question.sort else expected
        paged = Query(table, question, Selection())
        pages = [paged.page(offset, 2) for offset in range(0, len(wanted) + 1, 2)]
        assert [number for page in pages for number in page.numbers] == wanted
        tail = Query(table, question, Selection()).tail(3)
        assert (tail.numbers, tail.offset) == (wanted[-3:], max(0, len(wanted) - 3))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.one_of(st.none(), st.sampled_from("abc"))),
        min_size=1,
        max_size=40,
    ),
    st.booleans(),
    st.booleans(),
    st.integers(1, 6),
    st.booleans(),
)
def test_few_candidates_find_the_same_rows_as_a_whole_sort(
    rows: list[tuple[int | None, str | None]], first: bool, second: bool, most: int, last: bool
) -> None:
    candidates = Candidates([Direction(first), Direction(second)], most, last=last)
    for begin in range(0, len(rows), 3):
        some = rows[begin : begin + 3]
        keys = [pa.array([row[0] for row in some], pa.int64()), pa.array([row[1] for row in some], pa.string())]
        candidates.add(keys, pa.array(range(begin, begin + len(some))).to_numpy())
    whole = list(range(len(rows)))
    whole = _sorted([row[1] for row in rows], whole, descending=second)
    whole = _sorted([row[0] for row in rows], whole, descending=first)
    assert candidates.rows().tolist() == (whole[::-1] if last else whole)[:most]


CELLS = st.one_of(
    st.sampled_from(["", "NA", "-0.0", "0", "1e3", "inf", "9007199254740993", "x"]),
    st.integers(-3, 3).map(str),
    st.floats(-5, 5).map(str),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(CELLS, st.text(alphabet='aé",\n', max_size=3)), min_size=1, max_size=15),
    st.booleans(),
    st.integers(1, 7),
)
def test_files_of_text_are_filtered_and_sorted_as_python_does(
    open_bytes: OpenFile, rows: list[tuple[str, str]], descending: bool, page: int
) -> None:
    # The first rows decide that x is a column of numbers, whatever follows.
    every = [("0.5", "first")] * 200 + rows
    out = io.StringIO()
    csv.writer(out).writerows([("x", "t"), *every])
    table = csv_table(open_bytes, out.getvalue().encode())
    keys = [float(cell) if cell not in ("", "NA", "x") else None for cell, _ in every]
    expected = _sorted(keys, list(range(len(every))), descending=descending)
    sort = (SortKey("x", descending),)
    found = view(table, ViewRequest("rows", sort=sort, n_rows=1000))["rows"]
    assert found == [list(every[row]) for row in expected]
    above = (Condition("x", ">=", 1), Condition("t", "contains", "A"))
    expected = [row for row, key in enumerate(keys) if key is not None and key >= 1 and "a" in every[row][1]]
    known = Selection()
    pages = [
        view(table, ViewRequest("rows", filter=above, offset=offset, n_rows=page), known)["rows"] or []
        for offset in range(0, len(expected) + page, page)
    ]
    assert [row for each in pages for row in each] == [list(every[row]) for row in expected]


def test_a_plain_view_of_text_does_not_load_pyarrow(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    code = (
        "import os, sys; from analystd.data import worker; from analystd.data.formats import Formats; "
        "from analystd.data.view_request import ViewRequest; from analystd.data.positioned_file import PositionedFile; "
        "from analystd.data.views import view; "
        "file = PositionedFile.of_descriptor('x.csv', os.open(sys.argv[1], os.O_RDONLY)); "
        "[view(Formats().open_table(file), ViewRequest(each)) for each in ('head', 'tail', 'rows', 'shape', 'schema')]; "
        "print('pyarrow' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code, path], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "False"
