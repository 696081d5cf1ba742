from __future__ import annotations

import datetime
import decimal
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from analystd.data.base import FileInJail
from analystd.data.lru import LruCache
from analystd.data.positioned_file import PositionedFile, ProgressListener, ViewCancelledError
from analystd.data.typed import parquet_folder, partition_discovery
from analystd.data.typed.parquet_folder import ParquetFolder, open_parquet_folder
from analystd.data.typed.parquet_schemas import common_type
from analystd.data.typed.parquet_table import ParquetTable
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.data.worker_client import DataWorker
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.wire.arguments import Condition
from analystd.wire.errors import ResourceLimitError, WorkspaceError

pytestmark = pytest.mark.slow

Open = Callable[..., ParquetFolder]


@pytest.fixture
def sales(folder: Path) -> Path:
    """An empty folder in the workspace."""
    path = folder / "sales"
    path.mkdir()
    return path


@pytest.fixture
def opened(folder: Path) -> Open:
    """Opens a folder of the workspace, `sales` unless another is given."""
    workspace, known = Workspace(folder), LruCache(4)

    def open_folder(name: str = "sales", listener: ProgressListener | None = None) -> ParquetFolder:
        return open_parquet_folder(workspace, name, listener or ProgressListener(), known)

    return open_folder


def put(path: Path, columns: dict[str, Any] | pa.Table, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), path, **options)


def test_rows_come_in_the_order_of_paths_with_the_folders_values(sales: Path, opened: Open) -> None:
    put(sales / "year=2024/kind=b%2Fc/1.parquet", {"n": [4]})
    put(sales / "year=2023/kind=a/2.parquet", {"n": [2, 3]}, row_group_size=1)
    put(sales / "year=2023/kind=a/1.pq", {"n": [1]})
    put(sales / "year=__HIVE_DEFAULT_PARTITION__/kind=d/1.parquet", {"n": [5]})
    put(sales / "_temporary/1.parquet", {"other": [1]})
    (sales / ".hidden.parquet").write_text("no Parquet")
    (sales / "notes.txt").write_text("no table")
    table = opened()
    assert view(table, ViewRequest("schema"))["columns"] == [
        {"name": "n", "type": "int64"},
        {"name": "year", "type": "int64"},
        {"name": "kind", "type": "string"},
    ]
    every = [[1, 2023, "a"], [2, 2023, "a"], [3, 2023, "a"], [4, 2024, "b/c"], [5, None, "d"]]
    assert view(table, ViewRequest("head"))["rows"] == every
    assert view(table, ViewRequest("tail", n_rows=2))["rows"] == every[-2:]
    assert view(table, ViewRequest("rows", offset=2, n_rows=2, columns=("kind", "n")))["rows"] == [["a", 3], ["b/c", 4]]
    assert view(table, ViewRequest("shape"))["num_rows"] == 5
    parts = list(table.column_chunks([1, 0]))
    assert [(part.number, part.first_row, [each.to_pylist() for each in part.arrays]) for part in parts] == [
        (0, 0, [[2023], [1]]),
        (1, 1, [[2023], [2]]),
        (2, 2, [[2023], [3]]),
        (3, 3, [[2024], [4]]),
        (4, 4, [[None], [5]]),
    ]
    assert [part.number for part in table.column_chunks([0], start=3)] == [3, 4]


def test_a_dataset_written_by_pyarrow_is_read_as_it_reads_it(sales: Path, opened: Open) -> None:
    table = pa.table({"day": [1, 2, 1, 2], "price": [1.5, 2.5, None, 4.5]})
    pq.write_to_dataset(table, sales, partition_cols=["day"])
    expected = ds.dataset(sales, partitioning="hive").to_table().to_pylist()
    names = [column["name"] for column in opened().columns]
    assert [dict(zip(names, row, strict=True)) for row in opened().rows(0, 10, [0, 1]).cells] == expected


def test_numbers_in_folders_names_that_would_change_stay_text(sales: Path, opened: Open) -> None:
    put(sales / "month=01/x.parquet", {"n": [1]})
    put(sales / "month=12/x.parquet", {"n": [2]})
    assert opened().rows(0, 2, [1]).cells == [["01"], ["12"]]


def test_files_columns_are_put_together_by_name(sales: Path, opened: Open) -> None:
    put(sales / "1.parquet", {"a": pa.array([1], pa.int32()), "b": ["x"]})
    put(sales / "2.parquet", {"b": pa.array(["y"]).dictionary_encode(), "a": pa.array([2**40])})
    put(sales / "3.parquet", {"a": pa.nulls(1), "c": [0.5]})
    table = opened()
    assert [column["type"] for column in table.columns] == ["int64", "string", "double"]
    assert table.rows(0, 3, [0, 1, 2]).cells == [[1, "x", None], [2**40, "y", None], [None, None, 0.5]]
    assert [part.arrays[0].type for part in table.column_chunks([0])] == [pa.int64()] * 3


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pa.int8(), pa.int32(), pa.int32()),
        (pa.uint32(), pa.int8(), pa.int64()),
        (pa.uint64(), pa.int64(), None),
        (pa.int32(), pa.float64(), pa.float64()),
        (pa.float32(), pa.int32(), pa.float64()),
        (pa.int64(), pa.float64(), None),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.string(), pa.int64(), None),
        (pa.null(), pa.date32(), pa.date32()),
        (pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("ns")),
        (pa.timestamp("s", "UTC"), pa.timestamp("s"), None),
        (pa.decimal128(10, 2), pa.decimal128(38, 0), pa.decimal256(40, 2)),
        (pa.list_(pa.int8()), pa.list_(pa.int16()), pa.large_list(pa.int16())),
        (pa.bool_(), pa.int8(), None),
    ],
)
def test_types_are_widened_only_where_nothing_is_lost(
    one: pa.DataType, other: pa.DataType, expected: pa.DataType | None
) -> None:
    assert common_type(one, other) == expected
    assert common_type(other, one) == expected


def test_columns_that_no_type_holds_are_named(sales: Path, opened: Open) -> None:
    put(sales / "1.parquet", {"a": [1]})
    put(sales / "2.parquet", {"a": ["x"]})
    message = r"Column 'a' of sales/2\.parquet has the type string, in the files before it int64"
    with pytest.raises(WorkspaceError, match=message):
        opened()
    put(sales / "2.parquet", pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]))
    with pytest.raises(WorkspaceError, match=r"sales/2\.parquet has several columns called 'a'"):
        opened()


def test_values_survive_their_widening(sales: Path, opened: Open) -> None:
    put(sales / "1.parquet", {"d": [decimal.Decimal("1.50")], "t": pa.array([1], pa.timestamp("s"))})
    put(sales / "2.parquet", {"d": [decimal.Decimal("123.4567")], "t": [datetime.datetime(2024, 1, 1, 0, 0, 0, 5)]})
    cells = opened().rows(0, 2, [0, 1]).cells
    assert cells == [["1.5000", "1970-01-01T00:00:01"], ["123.4567", "2024-01-01T00:00:00.000005"]]


def test_a_value_that_cannot_be_widened_is_reported_with_its_file(sales: Path, opened: Open) -> None:
    put(sales / "1.parquet", {"t": pa.array([2**40], pa.timestamp("s"))})
    put(sales / "2.parquet", {"t": pa.array([1], pa.timestamp("ns"))})
    with pytest.raises(WorkspaceError, match=r"sales/1\.parquet cannot be read as Parquet: Casting from timestamp"):
        opened().rows(0, 2, [0])
    assert opened().tail(1, [0]).cells == [["1970-01-01T00:00:00.000000001"]]


def test_a_name_in_files_and_folders_shows_the_files_values(sales: Path, opened: Open) -> None:
    put(sales / "n=7/1.parquet", {"n": [1]})
    assert opened().rows(0, 1, [0]).cells == [[1]]
    assert opened().warnings == ["'n' is a column of the files and also in folders' names; the files' values are shown"]


def test_footers_are_read_again_only_when_a_file_changed(
    sales: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(sales / "1.parquet", {"n": [1]})
    read: list[str] = []

    class CountedTable(ParquetTable):
        def __init__(self, file: PositionedFile) -> None:
            read.append(file.name)
            super().__init__(file)

    monkeypatch.setattr(parquet_folder, "ParquetTable", CountedTable)
    assert (opened().known_rows, opened("./sales/").known_rows, read) == (1, 1, ["sales/1.parquet"])
    put(sales / "2.parquet", {"n": [2, 3]})
    assert (opened().known_rows, read[1:]) == (3, ["sales/1.parquet", "sales/2.parquet"])


def test_a_file_that_changes_while_the_folder_is_read_is_named(sales: Path, opened: Open) -> None:
    put(sales / "1.parquet", {"n": [1]})
    put(sales / "2.parquet", {"n": [2]})
    table = opened()
    put(sales / "2.parquet", {"n": [3, 4]})
    with pytest.raises(WorkspaceError, match=r"sales/2\.parquet changed while sales was read"):
        table.rows(0, 2, [0])


def test_members_that_are_no_good_are_named(sales: Path, opened: Open, tmp_path: Path) -> None:
    put(tmp_path / "outside.parquet", {"secret": [1]})
    put(sales / "1.parquet", {"n": [1]})
    hostile = sales / "x.parquet"
    hostile.symlink_to(tmp_path / "outside.parquet")
    with pytest.raises(WorkspaceError, match="Path is outside workspace"):
        opened()
    hostile.unlink()
    os.mkfifo(hostile)
    with pytest.raises(WorkspaceError, match=r"Not a regular file: sales/x\.parquet is a named pipe"):
        opened()
    hostile.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(hostile))
        with pytest.raises(WorkspaceError, match=r"sales/x\.parquet is a socket or a device"):
            opened()
    hostile.unlink()
    hostile.write_bytes(b"PAR1 and no more")
    with pytest.raises(WorkspaceError, match=r"sales/x\.parquet cannot be read as Parquet"):
        opened()


def test_links_to_folders_are_ignored_and_reported(sales: Path, opened: Open) -> None:
    put(sales / "a/1.parquet", {"n": [1]})
    (sales / "circle").symlink_to(sales)
    (sales / "b.parquet").symlink_to(sales / "a/1.parquet")
    assert opened().known_rows == 2
    assert opened().warnings == ["Links to folders are left out: circle"]


def test_a_folder_without_parquet_files_is_not_a_table(sales: Path, opened: Open) -> None:
    (sales / "notes.txt").write_text("")
    with pytest.raises(WorkspaceError, match="sales is a folder without Parquet files"):
        opened()


def test_too_much_in_a_folder_is_refused_with_the_limit(
    sales: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        put(sales / f"{number}.parquet", {"n": [number]})
    monkeypatch.setattr(partition_discovery, "MAX_FILES", 2)
    with pytest.raises(ResourceLimitError, match="sales holds more than 2 Parquet files"):
        opened()
    deep = sales / "/".join("d" * (partition_discovery.MAX_DEPTH + 1))
    deep.mkdir(parents=True)
    monkeypatch.undo()
    with pytest.raises(ResourceLimitError, match="more than 32 folders"):
        opened()


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_two_thousand_files_are_one_table(sales: Path, opened: Open) -> None:
    put(sales / "0000.parquet", {"n": [1, 2]})
    content = (sales / "0000.parquet").read_bytes()
    for number in range(1, 2000):
        (sales / f"{number:04}.parquet").write_bytes(content)
    before = open_descriptors()
    table = opened()
    assert table.count_rows() == 4000
    assert table.rows(3997, 10, [0]).cells == [[2], [1], [2]]
    assert sum(part.num_rows for part in table.column_chunks([0], start=1990)) == 20
    assert open_descriptors() == before


def test_cancelling_stops_the_walk(sales: Path, opened: Open) -> None:
    put(sales / "1.parquet", {"n": [1]})
    listener = ProgressListener()
    listener.cancelled.set()
    with pytest.raises(ViewCancelledError):
        opened(listener=listener)


async def test_the_worker_views_folders_and_refuses_hostile_ones(folder: Path, tmp_path: Path) -> None:
    for number in range(300):
        put(folder / f"many/day={number:03}x/part.parquet", {"n": [number]})
    put(tmp_path / "outside.parquet", {"secret": [1]})
    put(folder / "hostile/1.parquet", {"n": [1]})
    (folder / "hostile/2.parquet").symlink_to(tmp_path / "outside.parquet")
    (folder / "link").symlink_to(tmp_path)
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    data = DataWorker(Workspace(folder, min_free_ram_percent=0), await measure_sandbox("auto"), runtime)
    try:
        many = FileInJail("many")
        assert (await data.view(many, ViewRequest("shape")))["num_rows"] == 300
        assert (await data.view(many, ViewRequest("tail", n_rows=1)))["rows"] == [[299, "299x"]]
        filtered = await data.view(many, ViewRequest("head", filter=(Condition("day", "=", "007x"),)))
        assert filtered["rows"] == [[7, "007x"]]
        for path in ("hostile", "link", "..", "/"):
            with pytest.raises(WorkspaceError, match="Path is outside workspace"):
                await data.view(FileInJail(path), ViewRequest("head"))
        assert (await data.view(many, ViewRequest("head", n_rows=1)))["rows"] == [[0, "000x"]]
    finally:
        await data.aclose()
