from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from analystd.client import connect
from analystd.data.base import FileInJail, OpenFile
from analystd.data.view_request import ViewRequest
from analystd.data.worker_client import DataWorker
from analystd.jail.sandbox import Sandbox, measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.wire.errors import DaemonLostError, WorkerDiedError, WorkspaceError

pytestmark = pytest.mark.slow

OPERATIONS = ("head", "tail", "shape", "rows", "columns", "schema", "describe")
GIB = 1024**3


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return asyncio.run(measure_sandbox("auto"))


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    path = tmp_path / "runtime"
    path.mkdir()
    return path


@pytest.fixture
async def data(folder: Path, runtime: Path, sandbox: Sandbox) -> AsyncIterator[DataWorker]:
    worker = DataWorker(Workspace(folder, max_gb=1, min_free_ram_percent=0), sandbox, runtime)
    yield worker
    await worker.aclose()


@pytest.fixture
def endless(folder: Path) -> Path:
    """A file whose count takes a minute, though it takes no room on the disk."""
    path = folder / "endless.csv"
    path.write_bytes(b"reading\n1\n2")
    os.truncate(path, 400 * GIB)
    return path


async def test_every_view_refuses_irregular_files_at_once(data: DataWorker, folder: Path) -> None:
    os.mkfifo(folder / "pipe.csv")
    (folder / "folder.csv").mkdir()
    (folder / "zero.csv").symlink_to("/dev/zero")
    (folder / "loop.csv").symlink_to("loop.csv")
    (folder / "gone.csv").symlink_to("missing.csv")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket.csv"))
        for name in ("pipe.csv", "folder.csv", "zero.csv", "loop.csv", "gone.csv", "socket.csv"):
            for operation in OPERATIONS:
                with pytest.raises(WorkspaceError) as caught:
                    await asyncio.wait_for(data.view(FileInJail(name), ViewRequest(operation)), 10)
                assert "Error" not in caught.value.message


async def test_a_device_among_the_read_only_paths_is_refused(folder: Path, runtime: Path, sandbox: Sandbox) -> None:
    workspace = Workspace(folder, max_gb=1, min_free_ram_percent=0, read_only_paths=(Path("/dev/zero"),))
    worker = DataWorker(workspace, sandbox, runtime)
    try:
        with pytest.raises(WorkspaceError):
            await asyncio.wait_for(worker.view(FileInJail("/dev/zero"), ViewRequest("head")), 10)
    finally:
        await worker.aclose()


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null"])
async def test_a_device_that_comes_as_a_descriptor_is_refused(path: str, data: DataWorker) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(WorkspaceError, match="Not a regular file"):
            await data.view(OpenFile("x.csv", descriptor), ViewRequest("head"))
    finally:
        os.close(descriptor)


async def test_a_file_that_may_not_be_read_is_refused_in_a_sentence(data: DataWorker, folder: Path) -> None:
    """The worker has no capabilities, so this holds for root, too."""
    path = folder / "secret.csv"
    path.write_text("a\n1\n")
    path.chmod(0)
    with pytest.raises(WorkspaceError) as caught:
        await data.view(FileInJail("secret.csv"), ViewRequest("head"))
    assert "secret.csv" in caught.value.message
    assert "ermission" in caught.value.message
    path.chmod(0o600)
    assert (await data.view(FileInJail("secret.csv"), ViewRequest("head")))["rows"] == [["1"]]


async def test_a_file_that_shrinks_while_it_is_counted_is_reported_or_read_again(
    data: DataWorker, endless: Path
) -> None:
    heard = asyncio.Event()
    count = asyncio.create_task(data.view(FileInJail("endless.csv"), ViewRequest("shape"), lambda part: heard.set()))
    await heard.wait()
    os.truncate(endless, 10)
    try:
        view = await asyncio.wait_for(count, 30)
    except WorkspaceError as error:
        assert "while it was read" in error.message
    else:
        assert view["num_rows"] == 1
    assert (await data.view(FileInJail("endless.csv"), ViewRequest("shape")))["num_rows"] == 1


async def test_a_file_that_is_replaced_while_it_is_counted_harms_nobody(data: DataWorker, endless: Path) -> None:
    heard = asyncio.Event()
    count = asyncio.create_task(data.view(FileInJail("endless.csv"), ViewRequest("shape"), lambda part: heard.set()))
    await heard.wait()
    other = endless.with_name("other.csv")
    other.write_text("a,b\n1,2\n3,4\n")
    other.replace(endless)
    assert (await data.view(FileInJail("endless.csv"), ViewRequest("shape")))["num_rows"] == 2
    assert not count.done()
    count.cancel()
    with pytest.raises(asyncio.CancelledError):
        await count


async def test_a_killed_worker_fails_the_pending_call_and_serves_the_next_one(
    data: DataWorker, endless: Path, folder: Path
) -> None:
    (folder / "x.csv").write_text("a,b\n1,2\n")
    heard = asyncio.Event()
    counts = [
        asyncio.create_task(data.view(FileInJail("endless.csv"), ViewRequest("shape"), lambda part: heard.set()))
        for _ in range(2)
    ]
    await heard.wait()
    assert data.pid is not None
    os.kill(data.pid, signal.SIGKILL)
    for count in counts:
        with pytest.raises(WorkerDiedError, match="SIGKILL"):
            await asyncio.wait_for(count, 10)
    assert (await data.view(FileInJail("x.csv"), ViewRequest("shape")))["num_rows"] == 1


async def test_many_views_at_once_are_each_right(data: DataWorker, folder: Path) -> None:
    count = 400_000
    for name in ("one", "two"):
        rows = "".join(f'{name} {number},"{number % 7}\n"\n' for number in range(count))
        (folder / f"{name}.csv").write_text(f"id,n\n{rows}")

    async def look(name: str, at: int) -> None:
        source = FileInJail(f"{name}.csv")
        window = await data.view(source, ViewRequest("rows", offset=at, n_rows=2))
        assert window["rows"] == [[f"{name} {number}", f"{number % 7}\n"] for number in (at, at + 1)]
        assert (await data.view(source, ViewRequest("shape")))["num_rows"] == count
        tail = await data.view(source, ViewRequest("tail", n_rows=1))
        assert tail["rows"] == [[f"{name} {count - 1}", f"{(count - 1) % 7}\n"]]

    places = [0, 1, 399_000, 100_000, 250_000, 399_998]
    await asyncio.gather(*(look(name, at) for at in places for name in ("one", "two")))


async def test_cancelling_while_the_worker_starts_affects_no_other_call(data: DataWorker, folder: Path) -> None:
    (folder / "x.csv").write_text("a,b\n1,2\n")
    for turns in range(4):
        gone = asyncio.create_task(data.view(FileInJail("x.csv"), ViewRequest("shape")))
        for _ in range(turns):
            await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
    assert (await data.view(FileInJail("x.csv"), ViewRequest("shape")))["num_rows"] == 1


async def test_cancelling_does_not_affect_the_count_of_another_request(data: DataWorker, folder: Path) -> None:
    path = folder / "x.csv"
    path.write_bytes(b"a\n" * (32 * 1024 * 1024 + 1))
    source = FileInJail("x.csv")
    await data.view(source, ViewRequest("columns"))
    first, second = (asyncio.create_task(data.view(source, ViewRequest("shape"))) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)["num_rows"] == 32 * 1024 * 1024
    with pytest.raises(asyncio.CancelledError):
        await first
    path.unlink()


async def test_a_long_reply_reaches_its_caller_whole(data: DataWorker, folder: Path) -> None:
    long_cell = "é" * (25 * 1024 * 1024)
    path = folder / "x.csv"
    path.write_text(f"id,note\n1,{long_cell}\n2,short\n")
    view = await data.view(FileInJail("x.csv"), ViewRequest("rows", n_rows=1))
    assert view["rows"] == [["1", long_cell]]
    assert len(view["text"]) < 100_000
    assert (await data.view(FileInJail("x.csv"), ViewRequest("shape")))["num_rows"] == 2
    path.unlink()


async def test_two_concurrent_clients_do_not_affect_each_other(
    endless: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "script.jsonl").touch()
    monkeypatch.setenv("AGENT_MODEL_PATH", str(tmp_path / "script.jsonl"))
    monkeypatch.setenv("AGENT_MIN_FREE_RAM_PERCENT", "0")
    monkeypatch.setenv("AGENT_WORKSPACE_MAX_GB", "1000")
    (folder / "x.csv").write_text("a,b\n" + "".join(f"{number},x\n" for number in range(10_000)))
    async with await connect(folder) as one, await connect(folder) as two:
        try:
            count = asyncio.create_task(one.view_data("endless.csv", "shape"))
            for offset in range(0, 10_000, 500):
                seen = await asyncio.gather(
                    *(client.view_data("x.csv", "rows", offset=offset, n_rows=1) for client in (one, two))
                )
                assert [view["rows"] for view in seen] == [[[str(offset), "x"]]] * 2
            with pytest.raises(WorkspaceError):
                await two.view_data("missing.csv", "shape")
            assert not count.done()
            await one.aclose()
            assert (await two.view_data("x.csv", "shape"))["num_rows"] == 10_000
            with pytest.raises(DaemonLostError):
                await count
        finally:
            await two.shutdown(now=True)
