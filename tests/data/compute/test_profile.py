from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.query_tables import MemoryTable

from analystd.data import column_views as query_views
from analystd.data.compute import distinct
from analystd.data.compute import frequent_values as profile_top
from analystd.data.compute.distinct import DistinctCounter, hashes_of
from analystd.data.compute.frequent_values import TopValues
from analystd.data.compute.histogram import MOST_BINS, HistogramCounter
from analystd.data.compute.moments import Moments
from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile
from analystd.data.table import Table
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.arguments import Condition
from analystd.wire.results import ColumnProfile

pytestmark = pytest.mark.slow

OpenFile = Callable[..., PositionedFile]


def profile(table: Table, column: str = "x", **asked: Any) -> ColumnProfile:
    profiles = view(table, ViewRequest("profile", columns=(column,), **asked)).get("profiles")
    assert profiles is not None
    return profiles[0]


def test_a_profile_of_numbers_has_a_histogram(open_bytes: OpenFile) -> None:
    table = Formats().open_table(open_bytes(b"x,y\n1.50,\n3,\n2.25,\n,\n3,\n"))
    assert profile(table) == {
        "column": "x",
        "type": "number",
        "count": 4,
        "missing": 1,
        "strange": 0,
        "distinct": 3,
        "distinct_exact": True,
        "min": "1.50",
        "max": "3",
        "mean": 2.4375,
        "std": pytest.approx(statistics.stdev([1.5, 3, 2.25, 3])),
        "histogram": {
            "edges": pytest.approx([1.5 + at / 10 for at in range(17)]),
            "counts": [1, *[0] * 6, 1, *[0] * 7, 2],
        },
        "top": None,
        "top_exact": False,
    }


def test_a_profile_of_text_has_the_most_frequent_values(open_bytes: OpenFile) -> None:
    table = Formats().open_table(open_bytes("x,y\nb,\né,\nb,\nNA,\n\xe9,\na,\n".encode()))
    found = profile(table)
    assert (found["count"], found["missing"], found["distinct"], found["histogram"]) == (5, 1, 3, None)
    assert (found["top"], found["top_exact"]) == (
        [{"value": "b", "count": 2}, {"value": "é", "count": 2}, {"value": "a", "count": 1}],
        True,
    )


def test_typed_values_are_reported_as_cells() -> None:
    assert profile(MemoryTable({"x": pa.array([True, False, True, None])}))["top"] == [
        {"value": True, "count": 2},
        {"value": False, "count": 1},
    ]
    days = profile(MemoryTable({"x": pa.array([1, 0, 1], pa.date32())}))
    assert (days["top"], days["min"]) == (
        [{"value": "1970-01-02", "count": 2}, {"value": "1970-01-01", "count": 1}],
        "1970-01-01",
    )


def test_nested_columns_are_only_counted() -> None:
    found = profile(MemoryTable({"x": pa.array([[1], None])}))
    assert (found["count"], found["missing"], found["distinct"], found["top"]) == (1, 1, None, None)


def test_a_column_without_values_has_nothing_but_counts() -> None:
    found = profile(MemoryTable({"x": pa.array([None, None], pa.float64())}))
    assert (found["count"], found["missing"], found["distinct"]) == (0, 2, 0)
    assert [found[key] for key in ("min", "max", "mean", "std", "histogram")] == [None] * 5


def test_a_profile_can_cover_the_rows_that_meet_a_filter() -> None:
    table = MemoryTable({"x": pa.array([1, 2, 3, 4, 5]), "y": pa.array(["a", "b", "a", "b", "b"])})
    found = profile(table, filter=(Condition("y", "=", "b"),))
    assert (found["count"], found["min"], found["max"], found["distinct"]) == (3, 2, 5, 3)


def test_profiles_are_paged_by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_views, "MOST_COLUMNS", 3)
    table = MemoryTable({f"c{at}": pa.array([at]) for at in range(8)})
    found = view(table, ViewRequest("profile", offset=2, n_rows=100))
    assert [each["column"] for each in found["profiles"] or []] == ["c2", "c3", "c4"]
    assert (found["offset"], found["columns"]) == (2, table.columns[2:5])
    assert found["text"].startswith("Columns 2 to 4 of 8, counted from 0, over 1 rows:")
    assert view(table, ViewRequest("profile", offset=8)).get("profiles") == []


def test_the_text_is_for_people() -> None:
    table = MemoryTable({"x": pa.array([1, 2, 2, 3, 3, 3]), "y": pa.array(["a\n", "b", "b", None, "b", "b"])})
    assert view(table, ViewRequest("profile"))["text"].split("\n\n") == [
        "Columns 0 to 1 of 2, counted from 0, over 6 rows:",
        "x (int64)\n  values 6  missing 0  distinct 3\n  min 1  max 3  mean 2.33333  std 0.816497\n  1 ▕▃▅█▏ 4",
        "y (string)\n  values 5  missing 1  distinct 2\n  top b (4), a\\n (1)",
    ]


def counted(batches: list[list[float]], *, whole_numbers: bool = False) -> tuple[list[float], list[int]]:
    histogram = HistogramCounter(whole_numbers=whole_numbers)
    for batch in batches:
        histogram.add(np.array(batch, np.float64))
    return histogram.bins()


def test_a_histogram_has_round_edges() -> None:
    edges, counts = counted([[0.3, 0.1, 0.2], [0.4]])
    assert edges == [at / 50 for at in range(5, 22)]
    assert [edge for edge, count in zip(edges, counts, strict=False) if count] == [0.1, 0.2, 0.3, 0.4]
    edges, counts = counted([[1.0, 2.0, 3.0], [1000.0]], whole_numbers=True)
    assert (edges[0], edges[1], edges[-1], counts[0], counts[-1], sum(counts)) == (0, 100, 1100, 3, 1, 4)


def test_whole_numbers_have_bins_of_at_least_one() -> None:
    assert counted([[0, 1, 1], [1]], whole_numbers=True) == ([0, 1, 2], [1, 3])


def test_one_value_alone_is_one_bin() -> None:
    edges, counts = counted([[5.0], [5.0, math.inf]])
    assert counts == [2]
    assert edges[0] <= 5 < edges[1]
    assert counted([[math.nan, math.inf]]) == ([], [])


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.integers(-1000, 1000).map(lambda each: each / 100),
                st.floats(-1e6, 1e6),
                st.floats(allow_nan=False, allow_infinity=False),
                st.just(0.3),
            ),
            min_size=1,
            max_size=6,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_histogram_counts_each_value_between_its_edges(batches: list[list[float]]) -> None:
    values = [value for batch in batches for value in batch]
    edges, counts = counted(batches)
    assert 1 <= len(counts) <= MOST_BINS
    assert len(edges) == len(counts) + 1
    assert sum(counts) == len(values)
    if max(map(abs, values)) < 1e290 and (min(abs(each) for each in values if each) if any(values) else 1) > 1e-280:
        expected = np.histogram(np.array(values), np.array([*edges[:-1], math.nextafter(edges[-1], -math.inf)]))[0]
        assert counts == expected.tolist()


def test_few_distinct_values_are_counted_exactly_and_many_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MOST_EXACT", 1000)
    counter = DistinctCounter()
    for begin in range(0, 1000, 100):
        counter.add(hashes_of(pa.array([*range(begin, begin + 100), *range(begin, begin + 100)])))
    assert (counter.count(), counter.exact) == (1000, True)
    for begin in range(1000, 200_000, 1000):
        counter.add(hashes_of(pa.array(range(begin, begin + 1000))))
    assert not counter.exact
    assert counter.count() == pytest.approx(200_000, rel=0.15)


def test_equal_numbers_have_the_same_hash_whatever_their_type() -> None:
    kinds = [
        pa.array([5]),
        pa.array([5.0], pa.float32()),
        pa.array([5.0]),
        pa.array([Decimal(5)], pa.decimal128(38, 0)),
    ]
    assert len({int(hashes_of(array)[0]) for array in kinds}) == 1
    assert hashes_of(pa.array([0.0]))[0] == hashes_of(pa.array([-0.0]))[0]
    large = [2**53, 2**53 + 1, 2**63 - 1]
    assert len(set(hashes_of(pa.array(large)).tolist())) == 3


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.binary(max_size=20), st.binary(max_size=2).map(lambda each: each * 3000))))
def test_texts_have_the_same_hash_only_if_they_are_equal(values: list[bytes | None]) -> None:
    there = [value for value in values if value is not None]
    hashes = hashes_of(pa.array([b"before", *values], pa.binary()).slice(1)).tolist()
    assert len(hashes) == len(there)
    assert len(set(zip(there, hashes, strict=True))) == len(set(there)) == len(set(hashes))


def test_with_too_many_values_the_frequent_ones_are_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_top, "_MOST_VALUES", 100)
    monkeypatch.setattr(profile_top, "_FREQUENT", 20)
    top = TopValues()
    for begin in range(0, 1000, 50):
        top.add(pa.array([*(f"{at}" for at in range(begin, begin + 50)), "often", "often", "often", None]))
    assert not top.exact
    best = top.top(text=False)[0]
    assert best["value"] == "often"
    assert 0 < best["count"] <= 60


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.sampled_from(["a", "b", "é", "", "☃", "d"]), min_size=1), min_size=1, max_size=5))
def test_top_values_are_what_python_counts(batches: list[list[str]]) -> None:
    top = TopValues()
    for batch in batches:
        top.add(pa.array([value.encode() for value in batch], pa.binary()))
    counts = Counter(value for batch in batches for value in batch)
    expected = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))
    assert top.top(text=True) == [{"value": value, "count": count} for value, count in expected]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.floats(-1e9, 1e9), max_size=5), max_size=5))
def test_moments_are_what_python_finds(batches: list[list[float]]) -> None:
    moments = Moments()
    for batch in batches:
        moments.add(np.array(batch, np.float64))
    values = [value for batch in batches for value in batch]
    near = max(map(abs, values), default=0.0)
    assert moments.mean == (pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-9 * near) if values else None)
    many = len(values) > 1
    assert moments.std == (
        pytest.approx(statistics.stdev(values), rel=1e-6, abs=1e-7 * near + 1e-100) if many else None
    )
