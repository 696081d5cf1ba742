from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analystd.data.base import FileInJail, OpenFile
from analystd.data.view_request import ViewRequest
from analystd.data.worker_client import DataWorker
from analystd.jail.sandbox import Sandbox, measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.wire.errors import InvalidArgumentsError, ResourceLimitError, WorkerDiedError, WorkspaceError

pytestmark = pytest.mark.slow

BARS = """timestamp,open,high,low,close,volume
2024-01-01 00:00,100.10,100.50,99.90,100.20,007
2024-01-01 00:01,100.20,100.60,100.00,NA,1E5
2024-01-01 00:02,100.30,100.70,100.10,100.40,12
"""


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return asyncio.run(measure_sandbox("auto"))


@pytest.fixture
async def data(folder: Path, tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[DataWorker]:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    worker = DataWorker(Workspace(folder, max_gb=0.01, min_free_ram_percent=0), sandbox, runtime)
    yield worker
    await worker.aclose()


@pytest.fixture
def bars(folder: Path) -> FileInJail:
    (folder / "bars.csv").write_text(BARS)
    return FileInJail("bars.csv")


@pytest.fixture
def endless(folder: Path) -> FileInJail:
    """A file whose count takes a minute, though it takes no room on the disk: its first row does not end."""
    path = folder / "endless.csv"
    path.write_bytes(b"reading\n1")
    os.truncate(path, 400 * 1024**3)
    return FileInJail("endless.csv")


async def test_columns_are_shown_as_the_seed_shows_them(data: DataWorker, bars: FileInJail) -> None:
    view = await data.view(bars, ViewRequest("columns"))
    assert view["text"] == ("Columns (6):\n  1. timestamp\n  2. open\n  3. high\n  4. low\n  5. close\n  6. volume")
    assert view["num_columns"] == 6


async def test_a_shape_counts_rows_without_the_header(data: DataWorker, bars: FileInJail) -> None:
    view = await data.view(bars, ViewRequest("shape"))
    assert view["text"] == "Shape: 3 rows × 6 columns\nColumns: timestamp, open, high, low, close, volume"
    assert (view["num_rows"], view["num_columns"], view["rows"]) == (3, 6, None)


async def test_a_head_gives_the_files_own_text(data: DataWorker, bars: FileInJail) -> None:
    view = await data.view(bars, ViewRequest("head", n_rows=2))
    assert view["rows"] == [
        ["2024-01-01 00:00", "100.10", "100.50", "99.90", "100.20", "007"],
        ["2024-01-01 00:01", "100.20", "100.60", "100.00", "NA", "1E5"],
    ]
    assert view["text"].splitlines() == [
        "timestamp           open    high     low   close  volume",
        "2024-01-01 00:00  100.10  100.50   99.90  100.20  007",
        "2024-01-01 00:01  100.20  100.60  100.00      NA  1E5",
    ]


async def test_tail_and_rows_give_the_last_rows(data: DataWorker, bars: FileInJail) -> None:
    tail = await data.view(bars, ViewRequest("tail", n_rows=1, columns=("close", "timestamp")))
    assert tail["rows"] == [["100.40", "2024-01-01 00:02"]]
    rows = await data.view(bars, ViewRequest("rows", offset=1, n_rows=100))
    assert [row[0] for row in rows["rows"] or []] == ["2024-01-01 00:01", "2024-01-01 00:02"]
    assert rows["offset"] == 1


async def test_a_description_sums_up_each_column(data: DataWorker, bars: FileInJail) -> None:
    view = await data.view(bars, ViewRequest("describe", columns=("close",)))
    assert view["rows"] == [["close", "number", 2, 1, "100.20", "100.40", pytest.approx(100.3)]]


async def test_a_parquet_file_is_viewed_in_the_same_way(data: DataWorker, folder: Path) -> None:
    table = pa.table({"id": pa.array([2**53 + 1, 7, None]), "price": [1.5, float("nan"), 2.0]})
    pq.write_table(table, folder / "x.parquet", row_group_size=2)
    source = FileInJail("x.parquet")
    assert (await data.view(source, ViewRequest("shape")))["text"] == "Shape: 3 rows × 2 columns\nColumns: id, price"
    assert (await data.view(source, ViewRequest("head")))["rows"] == [
        ["9007199254740993", 1.5],
        [7, "NaN"],
        [None, 2.0],
    ]
    assert (await data.view(source, ViewRequest("tail", n_rows=1)))["rows"] == [[None, 2.0]]
    assert (await data.view(source, ViewRequest("schema")))[
        "text"
    ] == "Schema (2 columns):\n  1. id     int64\n  2. price  double"


async def test_an_open_file_travels_as_a_descriptor(data: DataWorker, tmp_path: Path) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text(BARS)
    descriptor = os.open(outside, os.O_RDONLY)
    try:
        view = await data.view(OpenFile("outside.csv", descriptor), ViewRequest("shape"))
        assert view["num_rows"] == 3
        os.fstat(descriptor)
    finally:
        os.close(descriptor)
    with pytest.raises(WorkspaceError, match="Path is outside workspace"):
        await data.view(FileInJail(str(outside)), ViewRequest("shape"))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("../outside.csv", "Path is outside workspace"),
        ("/etc/passwd", "Path is outside workspace"),
        ("link.csv", "Path is outside workspace"),
        ("boot/x.csv", "Access to 'boot/' is blocked for safety"),
        ("missing.csv", "No such file: missing.csv"),
        ("sub", "sub is a folder without Parquet files"),
        ("pipe.csv", "Not a regular file: pipe.csv is a named pipe"),
        ("notes.md", "notes.md cannot be viewed as a table"),
        ("bad.parquet", "bad.parquet cannot be read as Parquet"),
    ],
)
async def test_files_that_are_not_tables_in_the_jail_are_refused(
    data: DataWorker, folder: Path, path: str, message: str
) -> None:
    (folder / "sub").mkdir()
    (folder / "link.csv").symlink_to("/etc/passwd")
    (folder / "notes.md").write_text("# Notes")
    (folder / "bad.parquet").write_text("PAR1 and no more")
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(WorkspaceError) as caught:
        await data.view(FileInJail(path), ViewRequest("head"))
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("asked", [{"n_rows": 0}, {"n_rows": 10_001}, {"offset": -1}, {"columns": ["nope"]}])
async def test_arguments_out_of_range_are_invalid(data: DataWorker, bars: FileInJail, asked: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentsError):
        await data.view(bars, ViewRequest("rows", **asked))  # type: ignore[arg-type]


async def test_a_worker_that_dies_during_a_call_fails_only_that_call(data: DataWorker, endless: FileInJail) -> None:
    await data.list_files(".")
    count = asyncio.create_task(data.view(endless, ViewRequest("shape")))
    assert data.pid is not None
    await data.list_files(".")
    os.kill(data.pid, signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match="The data worker was ended by SIGKILL"):
        await count
    assert (await data.list_files("."))["entries"][0]["name"] == "endless.csv"


async def test_a_long_count_delays_no_other_request_and_ends_when_cancelled(
    data: DataWorker, endless: FileInJail, bars: FileInJail
) -> None:
    count = asyncio.create_task(data.view(endless, ViewRequest("shape")))
    assert (await data.view(bars, ViewRequest("shape")))["num_rows"] == 3
    assert (await data.view(endless, ViewRequest("columns")))["num_columns"] == 1
    assert not count.done()
    count.cancel()
    with pytest.raises(asyncio.CancelledError):
        await count
    pid = data.pid
    assert (await data.view(bars, ViewRequest("shape")))["num_rows"] == 3
    assert data.pid == pid


async def test_files_are_written_read_and_listed(data: DataWorker) -> None:
    written = await data.write_file("data/x.csv", "a,b\n1,2\n")
    assert written == {"text": "Wrote 8 bytes to data/x.csv", "path": "data/x.csv", "size": 8, "created": True}
    assert (await data.read_file("data/x.csv", offset=2))["text"] == "1,2\n"
    assert (await data.list_files("."))["text"] == "data/"
    assert (await data.list_files("data"))["text"] == "x.csv  8 bytes"


async def test_a_file_that_does_not_fit_is_not_begun(data: DataWorker, folder: Path) -> None:
    with pytest.raises(ResourceLimitError, match=r"its limit is 0\.01 GB"):
        await data.write_file("big.txt", "x" * 11_000_000)
    assert list(folder.iterdir()) == []


async def test_closing_twice_is_harmless_and_final(data: DataWorker) -> None:
    await data.list_files(".")
    await data.aclose()
    await data.aclose()
    with pytest.raises(WorkerDiedError):
        await data.list_files(".")
