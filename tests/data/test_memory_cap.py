from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analystd.data.base import FileInJail
from analystd.data.view_request import ViewRequest
from analystd.data.worker_client import DataWorker
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.wire.errors import ResourceLimitError

pytestmark = pytest.mark.slow

MEBIBYTE = 1024**2


@pytest.fixture
async def data(folder: Path, tmp_path: Path) -> AsyncIterator[DataWorker]:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    worker = DataWorker(Workspace(folder, min_free_ram_percent=0), await measure_sandbox("auto"), runtime)
    yield worker
    await worker.aclose()


def resident(data: DataWorker) -> int:
    """The memory of the worker, in bytes."""
    return sum(each.memory_info().rss for each in [process(data), *process(data).children(recursive=True)])


def process(data: DataWorker) -> psutil.Process:
    assert data.pid is not None
    return psutil.Process(data.pid)


@pytest.fixture
def bomb(folder: Path) -> FileInJail:
    """33 kB that are a cell of 1 GiB; reading it takes that twice and more."""
    cell = pa.array([b"\0" * 2**30], pa.large_binary())
    pq.write_table(pa.table({"x": cell}), folder / "bomb.parquet", compression="zstd", use_dictionary=False)
    return FileInJail("bomb.parquet")


async def test_a_bomb_costs_one_answer_and_the_worker_lives_on(
    data: DataWorker, folder: Path, bomb: FileInJail
) -> None:
    pq.write_table(pa.table({"x": [1]}), folder / "small.parquet")
    small = FileInJail("small.parquet")
    assert (await data.view(small, ViewRequest("head")))["rows"] == [[1]]
    pid, before = data.pid, resident(data)
    for operation in ("head", "describe"):
        with pytest.raises(ResourceLimitError, match=r"bomb\.parquet needs more memory than the limit of \d+ MiB"):
            await data.view(bomb, ViewRequest(operation))
        assert (await data.view(small, ViewRequest("head")))["rows"] == [[1]]
    assert (await data.view(bomb, ViewRequest("shape")))["num_rows"] == 1
    assert data.pid == pid
    assert resident(data) < before + 64 * MEBIBYTE
