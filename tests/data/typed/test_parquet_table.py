from __future__ import annotations

import base64
import datetime
import decimal
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from analystd.data.arrow_values import clock_text, date_text, json_values, timestamp_text
from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile, ViewCancelledError
from analystd.data.typed.parquet_table import ParquetTable
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.arguments import Condition, SortKey
from analystd.wire.errors import WorkspaceError

OpenFile = Callable[[bytes], PositionedFile]


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def round_trip(open_bytes: OpenFile, array: pa.Array) -> list[Any]:
    """The column's values as they come out of a file, through JSON."""
    table = ParquetTable(open_bytes(parquet_bytes(pa.table({"x": array}))))
    return [row[0] for row in json.loads(json.dumps(table.rows(0, 100, [0]).cells, allow_nan=False))]


def test_integers_are_numbers_as_long_as_json_holds_them_exactly(open_bytes: OpenFile) -> None:
    values = [2**53, 2**53 + 1, -(2**63), None]
    assert round_trip(open_bytes, pa.array(values)) == [2**53, "9007199254740993", "-9223372036854775808", None]
    assert round_trip(open_bytes, pa.array([2**64 - 1], pa.uint64())) == ["18446744073709551615"]


def test_non_finite_numbers_are_named_and_only_null_is_null(open_bytes: OpenFile) -> None:
    values = pa.array([1.5, float("nan"), float("inf"), float("-inf"), None])
    assert round_trip(open_bytes, values) == [1.5, "NaN", "Infinity", "-Infinity", None]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([decimal.Decimal("1.50"), None]), ["1.50", None]),
        (pa.array([True, None]), [True, None]),
        (pa.array(["a", ""]), ["a", ""]),
        (pa.array([b"\x00\xff"]), ["0x00ff"]),
        (pa.array([datetime.date(2024, 2, 29)]), ["2024-02-29"]),
        (pa.array([datetime.time(9, 30, 1, 5)]), ["09:30:01.000005"]),
        (pa.array([0, 1_500], pa.timestamp("ms")), ["1970-01-01T00:00:00", "1970-01-01T00:00:01.500"]),
        (pa.array([1], pa.timestamp("ns", "Europe/Berlin")), ["1970-01-01T00:00:00.000000001Z"]),
        (pa.array([5], pa.duration("ms")), ["5 ms"]),
        (pa.array([[1, None], None, []]), [[1, None], None, []]),
        (pa.array([{"a": 2**60, "b": "x"}, None]), [{"a": str(2**60), "b": "x"}, None]),
        (pa.array([[("k", 1.0)], None], pa.map_(pa.string(), pa.float64())), [[["k", 1.0]], None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.nulls(2), [None, None]),
    ],
)
def test_every_type_has_exact_json(open_bytes: OpenFile, array: pa.Array, expected: list[Any]) -> None:
    assert round_trip(open_bytes, array) == expected
    assert json_values(array.slice(1)) == expected[1:]


def test_timestamps_outside_of_iso_8601_keep_their_number() -> None:
    assert timestamp_text(2**62, "s", None) == "4611686018427387904 s since 1970"
    assert timestamp_text(-1, "ns", None) == "1969-12-31T23:59:59.999999999"
    assert date_text(10**8) == "100000000 days since 1970"
    assert clock_text(0, "s") == "00:00:00"


def test_invalid_utf_8_does_not_stop_a_view(open_bytes: OpenFile) -> None:
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff"))
    assert json_values(broken) == ["a\ufffd"]


def test_windows_are_found_across_row_groups(open_bytes: OpenFile) -> None:
    content = parquet_bytes(pa.table({"n": range(100), "s": [str(n) for n in range(100)]}), row_group_size=7)
    table = ParquetTable(open_bytes(content))
    assert table.rows(12, 4, [1, 0]).cells == [[str(n), n] for n in range(12, 16)]
    assert table.rows(98, 10, [0]).cells == [[98], [99]]
    assert table.rows(100, 10, [0]).cells == []
    assert table.tail(2, [0]).cells == [[98], [99]]
    assert table.count_rows() == 100


def test_columns_are_found_though_names_repeat_or_hold_dots(open_bytes: OpenFile) -> None:
    arrays = [pa.array([1]), pa.array([{"b": 2}]), pa.array([3]), pa.array([4])]
    table = ParquetTable(open_bytes(parquet_bytes(pa.Table.from_arrays(arrays, ["x", "a", "a.b", "x"]))))
    assert table.rows(0, 1, [3, 1, 2, 0]).cells == [[4, {"b": 2}, 3, 1]]
    assert view(table, ViewRequest("head", columns=("x_2", "a.b", "x")))["rows"] == [[4, 3, 1]]


def test_a_table_without_columns_has_rows_all_the_same(open_bytes: OpenFile) -> None:
    table = ParquetTable(open_bytes(parquet_bytes(pa.table({"n": [1, 2]}))))
    assert table.rows(0, 5, []).cells == [[], []]


@pytest.mark.parametrize("cut", [0, 4, 20, -1])
def test_a_broken_file_is_named_with_the_reason(open_bytes: OpenFile, cut: int) -> None:
    content = parquet_bytes(pa.table({"n": [1, 2]}))[:cut]
    with pytest.raises(WorkspaceError, match=r"x\.csv cannot be read as Parquet: "):
        ParquetTable(open_bytes(content))


def test_damaged_data_is_named_with_the_reason(open_bytes: OpenFile) -> None:
    content = bytearray(parquet_bytes(pa.table({"n": range(1000)})))
    content[4:200] = b"\xff" * 196
    with pytest.raises(WorkspaceError, match=r"x\.csv cannot be read as Parquet: "):
        ParquetTable(open_bytes(bytes(content))).rows(0, 10, [0])


def test_a_cancelled_view_stops(open_bytes: OpenFile) -> None:
    file = open_bytes(parquet_bytes(pa.table({"n": range(1000)})))
    table = ParquetTable(file)
    file.listener.cancelled.set()
    with pytest.raises(ViewCancelledError):
        table.rows(0, 10, [0])


class KeptKeys(pe.KmsClient):  # type: ignore[misc]
    """Keys that are wrapped by nothing: what counts is that the file is encrypted."""

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)


@pytest.mark.parametrize("whole", [True, False])
def test_an_encrypted_file_says_so_and_shows_what_is_not_encrypted(open_bytes: OpenFile, whole: bool) -> None:
    factory = pe.CryptoFactory(lambda _: KeptKeys())
    settings = pe.EncryptionConfiguration(footer_key="k", column_keys={"k": ["secret"]}, plaintext_footer=not whole)
    properties = factory.file_encryption_properties(pe.KmsConnectionConfig(), settings)
    table = pa.table({"secret": [1, 2], "open": [3, 4]})
    content = parquet_bytes(table, encryption_properties=properties)
    for name in ("x.parquet", "x.bin"):
        file = replace(open_bytes(content), name=name)
        with pytest.raises(WorkspaceError, match="is encrypted, at least in part: keys are not supported") as caught:
            view(Formats().open_table(file), ViewRequest("head"))
        assert "decryption_properties" in (caught.value.hint or "")
    if not whole:
        assert view(ParquetTable(open_bytes(content)), ViewRequest("head", columns=("open",)))["rows"] == [[3], [4]]


def test_columns_of_one_name_are_distinguished(open_bytes: OpenFile) -> None:
    table = pa.Table.from_arrays(
        [pa.array([1, 2, 3]), pa.array([30, 20, 10]), pa.array(["x", "y", "z"])], ["a", "a", ""]
    )
    found = ParquetTable(open_bytes(parquet_bytes(table)))

    def rows(**more: Any) -> Any:
        return view(found, ViewRequest("head", **more))["rows"]

    assert rows(filter=(Condition("a_2", "<", 25),), sort=(SortKey("a_2"),)) == [[3, 10, "z"], [2, 20, "y"]]
    assert rows(columns=("a_2", "column_3"), filter=(Condition("a", "=", 1),)) == [[30, "x"]]
