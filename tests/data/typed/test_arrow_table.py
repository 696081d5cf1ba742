from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from analystd.data.arrow_values import json_values
from analystd.data.formats import Formats
from analystd.data.lru import LruCache
from analystd.data.positioned_file import PositionedFile, ViewCancelledError
from analystd.data.typed.arrow_rows import GroupedTable
from analystd.data.typed.arrow_table import open_arrow
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.errors import WorkspaceError

pytestmark = pytest.mark.slow

OpenFile = Callable[..., PositionedFile]

ROWS = [[number, f"r{number}", ["a", "b", None][number % 3]] for number in range(100)]


def sample() -> pa.Table:
    return pa.table(
        {
            "n": [row[0] for row in ROWS],
            "s": [row[1] for row in ROWS],
            "d": pa.array([row[2] for row in ROWS]).dictionary_encode(),
        }
    )


def ipc_bytes(table: pa.Table, new: Any, rows: int = 7, **options: Any) -> bytes:
    stream = io.BytesIO()
    with new(stream, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return stream.getvalue()


def opened(file: PositionedFile) -> GroupedTable:
    table = open_arrow(file, LruCache(1))
    assert isinstance(table, GroupedTable)
    return table


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_files_and_streams_are_read_batch_by_batch(open_bytes: OpenFile, new: Any, compression: str | None) -> None:
    table = opened(open_bytes(ipc_bytes(sample(), new, compression=compression)))
    assert [column["type"] for column in table.columns][:2] == ["int64", "string"]
    assert table.count_rows() == 100
    assert table.rows(12, 4, [0, 1, 2]).cells == ROWS[12:16]
    assert table.rows(98, 10, [2, 0]).cells == [[row[2], row[0]] for row in ROWS[98:]]
    assert table.tail(3, [1]).cells == [[row[1]] for row in ROWS[-3:]]
    parts = list(table.column_chunks([2, 0], start=13))
    assert [(part.number, part.first_row, part.num_rows) for part in parts] == [(13, 91, 7), (14, 98, 2)]
    assert parts[1].arrays[0].to_pylist() == [row[2] for row in ROWS[98:]]


def test_only_the_requested_columns_of_the_requested_batches_are_read(open_bytes: OpenFile) -> None:
    wide = pa.table({f"c{number}": pa.array(range(10_000)) for number in range(50)})
    content = ipc_bytes(wide, pa.ipc.new_file, rows=1000)
    file = CountingFile.over(open_bytes(content))
    assert opened(file).rows(5_005, 2, [7]).cells == [[5005], [5006]]
    assert file.read_bytes[0] < 100_000 < len(content) // 30


class CountingFile(PositionedFile):
    """Counts what is read."""

    read_bytes: list[int]

    @classmethod
    def over(cls, file: PositionedFile) -> CountingFile:
        counting = cls(file.name, file.descriptor, file.key, file.listener)
        object.__setattr__(counting, "read_bytes", [0])
        return counting

    def read(self, offset: int, length: int) -> bytes:
        data = super().read(offset, length)
        self.read_bytes[0] += len(data)
        return data


def test_each_batch_of_a_stream_has_its_own_dictionaries(open_bytes: OpenFile) -> None:
    stream = io.BytesIO()
    schema = pa.schema([("d", pa.dictionary(pa.int32(), pa.string()))])
    columns = [["a", "b"], ["c"], ["a", "c"]]
    with pa.ipc.new_stream(stream, schema) as writer:
        for values in columns:
            writer.write_batch(pa.record_batch([pa.array(values).dictionary_encode()], schema=schema))
    table = opened(open_bytes(stream.getvalue()))
    assert table.rows(0, 9, [0]).cells == [["a"], ["b"], ["c"], ["a"], ["c"]]
    assert table.tail(1, [0]).cells == [["c"]]


def test_feather_of_pandas_is_read_as_pandas_reads_it(open_bytes: OpenFile, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.mktemp("feather") / "x.feather"
    frame = pd.DataFrame({"a": [1.5, None], "t": pd.to_datetime(["2024-01-01", "2024-01-02"]), "s": ["x", "y"]})
    frame.to_feather(path)
    result = view(Formats().open_table(open_bytes(path.read_bytes(), "x.feather")), ViewRequest("head"))
    assert [row[::2] for row in result["rows"] or []] == [[1.5, "x"], [None, "y"]]
    assert [row[1][:19] for row in result["rows"] or []] == ["2024-01-01T00:00:00", "2024-01-02T00:00:00"]


def test_a_stream_is_known_by_its_content_and_feather_1_is_refused(open_bytes: OpenFile) -> None:
    content = ipc_bytes(sample(), pa.ipc.new_stream)
    assert Formats().open_table(open_bytes(content, "download")).count_rows() == 100
    with pytest.raises(WorkspaceError, match=r"x\.feather is Feather of version 1"):
        Formats().open_table(open_bytes(b"FEA1" + bytes(100), "x.feather"))
    with pytest.raises(WorkspaceError, match=r"x\.arrow cannot be read as Arrow"):
        Formats().open_table(open_bytes(b"some text that is no Arrow", "x.arrow"))


def test_a_truncated_stream_shows_its_whole_batches_with_a_warning(open_bytes: OpenFile) -> None:
    content = ipc_bytes(sample(), pa.ipc.new_stream, rows=50)
    table = opened(open_bytes(content[:-300]))
    assert table.tail(1, [0]).cells == [[49]]
    assert table.warnings == [
        "The last record batch is incomplete and left out: the file is cut or still being written"
    ]


def test_a_file_that_is_cut_is_refused_with_the_reason(open_bytes: OpenFile) -> None:
    content = ipc_bytes(sample(), pa.ipc.new_file)
    for cut in range(8, len(content), 97):
        with pytest.raises(WorkspaceError, match="its end is missing"):
            opened(open_bytes(content[:cut]))


@pytest.mark.parametrize("new", [pa.ipc.new_file, pa.ipc.new_stream])
def test_damage_anywhere_is_an_error_or_another_value_but_never_a_crash(open_bytes: OpenFile, new: Any) -> None:
    content = ipc_bytes(sample(), new, rows=30)
    chance = random.Random(7)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 0x7F, 0xFF, chance.randrange(256)))
        try:
            table = opened(open_bytes(bytes(damaged)))
            table.rows(0, 100, range(len(table.columns)))
            list(table.column_chunks(range(len(table.columns))))
        except (WorkspaceError, MemoryError):
            refused += 1
    assert 30 < refused < 300


def test_names_within_structs_that_are_no_utf_8_are_damage(open_bytes: OpenFile) -> None:
    content = ipc_bytes(pa.table({"x": [{"inner-name": 1}]}), pa.ipc.new_file)
    with pytest.raises(WorkspaceError, match="cannot be read as Arrow"):
        opened(open_bytes(content.replace(b"inner-name", b"inner\xffname"))).rows(0, 1, [0])


def test_offsets_outside_of_the_file_are_detected(open_bytes: OpenFile) -> None:
    offsets = (0).to_bytes(4, "little") + (2**30).to_bytes(4, "little")
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, pa.schema([("s", pa.string())])) as writer:
        writer.write_batch(pa.record_batch([pa.array(["a" * 4])], ["s"]))
    whole = stream.getvalue()
    at = whole.index(b"aaaa") - 64
    damaged = whole[:at] + offsets + whole[at + 8 :]
    with pytest.raises(WorkspaceError, match="cannot be read as Arrow"):
        opened(open_bytes(damaged)).rows(0, 1, [0])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array(["a", "é", None], pa.string_view()), ["a", "é", None]),
        (pa.array([b"\x01"], pa.binary_view()), ["0x01"]),
        (pa.array([[1], None], pa.list_view(pa.int64())), [[1], None]),
        (pc.run_end_encode(pa.array([1, 1, 2**60])), [1, 1, str(2**60)]),
        (pa.array([(1, 2, 3)], pa.month_day_nano_interval()), ["MonthDayNano(months=1, days=2, nanoseconds=3)"]),
        (pa.array([b"0123456789abcdef"], pa.uuid()), ["0x30313233343536373839616263646566"]),
        (
            pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([2**60, 0]), pa.array(["", "a"])]),
            [str(2**60), "a"],
        ),
    ],
)
def test_types_that_only_arrow_has_are_shown_exactly(
    open_bytes: OpenFile, array: pa.Array, expected: list[Any]
) -> None:
    assert json_values(array) == expected
    content = ipc_bytes(pa.table({"x": array}), pa.ipc.new_stream)
    table = opened(open_bytes(content))
    assert table.rows(0, 9, [0]).cells == [[value] for value in expected]
    assert table.rows_at([len(expected) - 1, 0], [0]).cells == [[expected[-1]], [expected[0]]]


def test_tables_without_rows_batches_or_columns_are_tables(open_bytes: OpenFile) -> None:
    for new in (pa.ipc.new_file, pa.ipc.new_stream):
        empty = opened(open_bytes(ipc_bytes(pa.table({"x": pa.array([], pa.int8())}), new)))
        assert (empty.count_rows(), empty.rows(0, 5, [0]).cells, list(empty.column_chunks([0]))) == (0, [], [])
        assert opened(open_bytes(ipc_bytes(pa.table({}), new))).columns == []


def test_a_cancelled_view_stops(open_bytes: OpenFile) -> None:
    file = open_bytes(ipc_bytes(sample(), pa.ipc.new_file))
    table = opened(file)
    file.listener.cancelled.set()
    with pytest.raises(ViewCancelledError):
        table.rows(0, 10, [0])
