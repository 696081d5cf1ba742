from __future__ import annotations

import asyncio
import gzip
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.data.viewer import Viewer

from analystd.data.base import FileInJail
from analystd.data.view_request import ViewRequest
from analystd.data.worker_client import DataWorker
from analystd.jail.sandbox import Sandbox, measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.wire.errors import WorkspaceError

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
BARS = b"name,n\n" + b"".join(b"bar %07d,%d\n" % (number, number % 7) for number in range(300_000))


@pytest.fixture(scope="session")
def sandbox() -> Sandbox:
    return asyncio.run(measure_sandbox("auto"))


@pytest.fixture
async def data(folder: Path, tmp_path: Path, sandbox: Sandbox) -> AsyncIterator[DataWorker]:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    worker = DataWorker(Workspace(folder, max_gb=1, min_free_ram_percent=0), sandbox, runtime)
    yield worker
    await worker.aclose()


@pytest.fixture
def path(folder: Path) -> Iterator[Path]:
    path = folder / "x.csv.gz"
    yield path
    path.unlink(missing_ok=True)


def bar(number: int) -> list[str]:
    return [f"bar {number:07d}", str(number % 7)]


def members(content: bytes, size: int) -> bytes:
    """The content compressed in pieces, one after the other, as `cat a.gz b.gz` and bgzip do."""
    return b"".join(gzip.compress(content[at : at + size], 1) for at in range(0, len(content), size))


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "one member": gzip.compress,
    "many members": lambda content: members(content, 65_000),
    "members with nothing in them": lambda content: gzip.compress(b"") + members(content, MIB) + gzip.compress(b""),
    "zeros behind the end": lambda content: gzip.compress(content, 1) + bytes(512),
}


@pytest.mark.parametrize("packed", PACKED)
def test_compressed_text_is_seen_as_it_was(packed: str, path: Path) -> None:
    path.write_bytes(PACKED[packed](BARS))
    viewer = Viewer()
    assert viewer.names(path) == ["name", "n"]
    assert viewer.view(path, "head", n_rows=2)["rows"] == [bar(0), bar(1)]
    for offset in (1, 250_000, 3, 299_999, 65_000 // 14, 65_000 // 14 + 1, 0):
        assert viewer.rows(path, offset=offset, n_rows=2) == [bar(n) for n in (offset, offset + 1) if n < 300_000]
    assert viewer.view(path, "shape")["num_rows"] == 300_000
    assert viewer.view(path, "tail", n_rows=2)["rows"] == [bar(299_998), bar(299_999)]
    assert viewer.rows(path, offset=300_000) == []


def test_members_that_hold_much_in_few_bytes_are_all_read(path: Path) -> None:
    path.write_bytes(gzip.compress(b"name,n\n") + members(b"same,1\n" * 1_000_000 + b"last,2\n", 2 * MIB + 17))
    viewer = Viewer()
    assert viewer.rows(path, offset=999_999, n_rows=2) == [["same", "1"], ["last", "2"]]
    assert viewer.view(path, "shape")["num_rows"] == 1_000_001


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text", ["", "a;b\r\n", 'a;b\n1,5;"x\ny"\n', "# told\na;b\n1;2", "sep=;\na;b\n1,1;2\n"], ids=repr
)
def test_compressed_text_is_read_by_the_same_rules(text: str, coding: str, path: Path) -> None:
    plain = path.with_suffix("")
    plain.write_text(text, encoding=coding, newline="")
    path.write_bytes(gzip.compress(plain.read_bytes()))
    viewer = Viewer()
    for operation in ("columns", "head", "shape", "tail", "rows", "describe"):
        packed, unpacked = viewer.view(path, operation), viewer.view(plain, operation)
        assert (packed["columns"], packed["rows"], packed["warnings"]) == (
            unpacked["columns"],
            unpacked["rows"],
            unpacked["warnings"],
        )


def test_compressed_text_is_detected_by_its_magic_and_not_its_extension(folder: Path) -> None:
    (folder / "x.csv").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    Viewer().check(folder / "x.csv", ["a", "b"], [["1", "2"]])
    (folder / "y.tsv.gz").write_bytes(gzip.compress(b"a,x\tb\n1\t2\n"))
    Viewer().check(folder / "y.tsv.gz", ["a,x", "b"], [["1", "2"]])


@pytest.mark.parametrize("cut", [1, 4, 8, 9, 1000, 100_000], ids=lambda cut: f"{cut} bytes missing")
def test_truncated_compressed_text_is_reported(cut: int, path: Path) -> None:
    whole = gzip.compress(BARS, 1)
    path.write_bytes(whole[:-cut])
    viewer = Viewer()
    assert viewer.view(path, "head", n_rows=1)["rows"] == [bar(0)]
    for operation in ("shape", "tail", "describe"):
        told_as_damaged(viewer, path, operation)
    assert viewer.view(path, "head", n_rows=1)["rows"] == [bar(0)]


@pytest.mark.parametrize("at", [0.3, 0.7, 0.99])
def test_corrupt_compressed_text_is_reported(at: float, path: Path) -> None:
    whole = bytearray(gzip.compress(BARS, 1))
    place = int(len(whole) * at)
    whole[place : place + 20] = bytes(20)
    path.write_bytes(whole)
    told_as_damaged(Viewer(), path, "shape")


def test_a_wrong_checksum_is_reported(path: Path) -> None:
    whole = bytearray(gzip.compress(BARS, 1))
    whole[-8] ^= 1
    path.write_bytes(whole)
    told_as_damaged(Viewer(), path, "shape")


@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f\x8b", b"\x1f\x8b\x08\x00 and so on", b"\0\0x"], ids=repr)
def test_garbage_after_compressed_text_is_reported_or_ignored_but_not_a_row(garbage: bytes, path: Path) -> None:
    path.write_bytes(gzip.compress(b"a,b\n1,2\n") + garbage)
    try:
        shape = Viewer().view(path, "shape")
    except WorkspaceError as error:
        assert "x.csv.gz" in error.message
    else:
        assert shape["num_rows"] == 1


@pytest.mark.parametrize(
    "content",
    [b"\x1f\x8b", b"\x1f\x8b\x08", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03", b"\x1f\x8bxxxxxxxxxxx"],
    ids=repr,
)
def test_what_only_begins_as_compressed_text_is_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(WorkspaceError):
        Viewer().view(path, "head")


def test_compressed_text_that_grows_by_a_member_is_read_to_its_new_end(path: Path) -> None:
    viewer = Viewer()
    path.write_bytes(gzip.compress(b"a,b\n1,2\n"))
    viewer.check(path, ["a", "b"], [["1", "2"]])
    with path.open("ab") as file:
        file.write(gzip.compress(b"3,4\n"))
    viewer.check(path, ["a", "b"], [["1", "2"], ["3", "4"]])


def told_as_damaged(viewer: Viewer, path: Path, operation: str) -> None:
    """An error that names the file, or an answer with a warning."""
    try:
        view = viewer.view(path, operation)
    except WorkspaceError as error:
        assert "x.csv.gz" in error.message
    else:
        assert view["warnings"] != []


def family_memory(worker: DataWorker) -> int:
    assert worker.pid is not None
    process = psutil.Process(worker.pid)
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])


@pytest.mark.parametrize("filling", [b"\n", b"x,1\n", b"\0"], ids=["blank lines", "rows", "zeros"])
async def test_a_bomb_shows_its_head_and_its_count_can_be_ended(filling: bytes, path: Path, data: DataWorker) -> None:
    """10 GB of text in a few MB."""
    piece = gzip.compress(filling * (64 * MIB // len(filling)), 1)
    with path.open("wb") as file:
        file.write(gzip.compress(b"name,n\n" + b"first,1\n" * 20))
        for _ in range(160):
            file.write(piece)
    assert path.stat().st_size < 60 * MIB
    bomb = FileInJail("x.csv.gz")
    assert (await data.view(bomb, ViewRequest("head")))["rows"] == [["first", "1"]] * 10
    idle = family_memory(data)
    pid = data.pid
    heard = asyncio.Event()
    count = asyncio.create_task(data.view(bomb, ViewRequest("shape"), lambda part: heard.set()))
    await asyncio.wait([count, asyncio.ensure_future(heard.wait())], return_when=asyncio.FIRST_COMPLETED)
    assert not count.done()
    most = 0
    until = time.monotonic() + 1.5
    while time.monotonic() < until and not count.done():
        most = max(most, family_memory(data))
        await asyncio.sleep(0.05)
    assert most - idle < 200 * MIB
    count.cancel()
    with pytest.raises(asyncio.CancelledError):
        await count
    assert (await data.view(bomb, ViewRequest("rows", n_rows=1)))["rows"] == [["first", "1"]]
    assert data.pid == pid


async def test_a_bomb_of_one_row_is_a_clear_error(path: Path, data: DataWorker) -> None:
    piece = gzip.compress(b"x" * (64 * MIB), 1)
    path.write_bytes(gzip.compress(b"name,n\n") + piece * 4)
    with pytest.raises(WorkspaceError, match="longer than 64 MiB"):
        await data.view(FileInJail("x.csv.gz"), ViewRequest("head"))
    assert family_memory(data) < 1500 * MIB
    os.truncate(path, 0)
