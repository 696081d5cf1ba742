from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.viewer import Viewer, small_borders, table_in

from analystd.data import worker
from analystd.data.view_request import ViewRequest
from analystd.data.worker import DataDesk
from analystd.jail.workspace import Workspace
from analystd.wire.errors import AnalystdError
from analystd.wire.results import ViewResult
from analystd.workers.child import WorkerRequest

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
WIDE = 10_000


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "x.csv"
    yield path
    path.unlink(missing_ok=True)


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


PIECES = st.lists(
    st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"\r\n", b"x", b"22"]), max_size=12).map(b"".join), max_size=5
)


@given(pieces=PIECES, small=st.booleans())
@settings(max_examples=100, deadline=None)
def test_a_file_that_grows_is_read_as_if_it_were_new(
    pieces: Sequence[bytes], small: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "growing.csv"
    viewer = Viewer()
    text = b"name,value\n1,2"
    path.write_bytes(text)
    with small_borders() if small else nullcontext():
        for piece in [b"", *pieces]:
            append(path, piece)
            text += piece
            viewer.check(path, *table_in(text), delimiter=",")


@pytest.mark.parametrize(
    ("old_end", "piece"),
    [
        (b"1,2\n", b"3,4\n5,6\n"),
        (b"1,2", b"\n3,4\n"),
        (b"1,2", b"00,5\n3,4\n"),
        (b"1,2\r", b"\n3,4\r\n"),
        (b'1,"', b'x\ny"\n3,4\n'),
        (b'1,"x\n', b'\n"\n3,4\n'),
        (b'1,"x"', b'"y"\n3,4\n'),
        (b'1,"x"', b"y\n3,4\n"),
        (b"1,", b'"x\ny"\n'),
        (b"1", b'"x\n3,4"\n'),
        (b"1,2\n", b"\n\n"),
        (b"1,2\n\n", b"3"),
        (b"1,\xc3", b"\xa9\n"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("border", [-3, -1, 0, 1], ids=lambda at: f"{at:+d} bytes from a block's end")
def test_appended_bytes_are_indexed_wherever_the_old_end_was(
    border: int, old_end: bytes, piece: bytes, path: Path
) -> None:
    """The old end lies by the end of the second block."""
    filler = b"a,b\n" + b"x" * (WIDE - 6) + b",\n" + (b"y" * (WIDE - 3) + b",\n") * 208
    pad = 2 * MIB + border - len(filler) - len(old_end)
    filler += b"z" * (pad - 2) + b",\n"
    path.write_bytes(filler + old_end)
    assert path.stat().st_size == 2 * MIB + border
    viewer = Viewer()
    text = filler + old_end
    for addition in (b"", piece, b"7,8\n" * 3):
        append(path, addition)
        text += addition
        tail = table_in(b"a,b\n" + text[len(filler) :])[1]
        before = 1 + 208 + 1
        assert viewer.view(path, "shape")["num_rows"] == before + len(tail)
        assert viewer.view(path, "tail", n_rows=len(tail) or 1)["rows"] == tail
        for at, row in enumerate(tail):
            assert viewer.rows(path, offset=before + at, n_rows=1) == [row]
        assert viewer.rows(path, offset=before + len(tail)) == []


def test_a_file_that_was_empty_is_read_again_when_something_is_written(path: Path) -> None:
    viewer = Viewer()
    text = b""
    for piece in (b"", b"a", b",b", b"\n", b"1,2", b"\n3"):
        text += piece
        path.touch()
        append(path, piece)
        viewer.check(path, *table_in(text))


def test_a_truncated_header_is_read_again_when_it_is_whole(path: Path) -> None:
    viewer = Viewer()
    path.write_bytes(b"first,sec")
    assert viewer.names(path) == ["first", "sec"]
    append(path, b"ond,third\n1,2,3\n")
    viewer.check(path, ["first", "second", "third"], [["1", "2", "3"]])


def test_a_type_follows_the_rows_that_were_appended(path: Path) -> None:
    viewer = Viewer()
    path.write_bytes(b"a\n1\n")
    assert [column["type"] for column in viewer.view(path, "schema")["columns"] or []] == ["integer"]
    append(path, b"x\n")
    assert [column["type"] for column in viewer.view(path, "schema")["columns"] or []] == ["text"]


def table_by_csv(text: bytes) -> tuple[list[str], list[list[str | None]]]:
    """As `table_in`, for much text."""
    csv.field_size_limit(len(text))
    header, *rows = [row for row in csv.reader(io.StringIO(text.decode(), newline="")) if row]
    return header, [[*row, *([None] * (len(header) - len(row)))] for row in rows]


def rows_of(prefix: str, count: int) -> bytes:
    return b"".join(b"%s%07d,x\n" % (prefix.encode(), number) for number in range(count))


@pytest.mark.parametrize("keeps", ["nothing", "the header", "the beginning", "the end of what was there"])
def test_a_larger_rewritten_file_is_not_taken_for_one_that_grew(keeps: str, path: Path) -> None:
    count = 300_000
    old = b"name,n\n" + rows_of("a", count)
    viewer = Viewer()
    path.write_bytes(old)
    assert viewer.view(path, "shape")["num_rows"] == count
    other = b'"%s"\n' % (b"\n" * 8) * (len(old) // 11 + 1000)
    new = {
        "nothing": b"other,names,here\n" + other,
        "the header": b"name,n\n" + other,
        "the beginning": old[:100_000] + other + other,
        "the end of what was there": b"name,n\n" + b'"' + old[8:] + b'last"\n',
    }[keeps]
    assert len(new) > len(old)
    inode = path.stat().st_ino
    path.write_bytes(new)
    assert path.stat().st_ino == inode
    header, rows = table_by_csv(new)
    assert viewer.names(path) == header
    assert viewer.view(path, "shape")["num_rows"] == len(rows)
    for offset in {0, 1, 10_000, 100_000, len(rows) - 1}:
        assert viewer.rows(path, offset=offset, n_rows=1) == rows[offset : offset + 1]
    assert viewer.view(path, "tail", n_rows=1)["rows"] == rows[-1:]


def test_a_file_rewritten_at_once_with_the_same_size_is_another_file(path: Path) -> None:
    viewer = Viewer()
    for number in range(100):
        path.write_bytes(b"a,b\n%03d,2\n" % number if number % 2 else b"a,b\n%03d\n\n\n" % number)
        expected = [f"{number:03d}", "2" if number % 2 else None]
        assert viewer.rows(path, offset=0, n_rows=1) == [expected]
        assert viewer.view(path, "tail", n_rows=1)["rows"] == [expected]
        assert viewer.view(path, "shape")["num_rows"] == 1


def test_a_file_rewritten_twice_before_it_is_seen_is_the_last_one(path: Path) -> None:
    viewer = Viewer()
    for number in range(100):
        path.write_bytes(b"a,b\n1,2\n3,4\n")
        viewer.view(path, "shape")
        path.write_bytes(b"a,b\n%07d\n" % number)
        path.write_bytes(b"a,b\n1,%05d\n" % number)
        assert viewer.view(path, "shape")["num_rows"] == 1
        assert viewer.rows(path) == [["1", f"{number:05d}"]]


def test_a_file_that_was_cut_is_read_anew(path: Path) -> None:
    viewer = Viewer()
    path.write_bytes(b"name,n\n" + rows_of("a", 200_000))
    assert viewer.view(path, "shape")["num_rows"] == 200_000
    os.truncate(path, 7 + 11 * 150_000 + 3)
    assert viewer.view(path, "shape")["num_rows"] == 150_001
    assert viewer.rows(path, offset=149_999) == [["a0149999", "x"], ["a01", None]]
    os.truncate(path, 0)
    viewer.check(path, [], [])


def test_a_file_that_was_replaced_is_read_anew(path: Path, tmp_path: Path) -> None:
    viewer = Viewer()
    path.write_bytes(b"a,b\n1,2\n")
    viewer.check(path, ["a", "b"], [["1", "2"]])
    other = tmp_path / "other.csv"
    other.write_bytes(b"c,d\n5,6\n")
    other.replace(path)
    viewer.check(path, ["c", "d"], [["5", "6"]])


class Asked:
    """A request to the data worker that keeps the answer, and calls a function once during the work."""

    def __init__(self, path: Path, question: ViewRequest, meanwhile: Callable[[], None]) -> None:
        self.method = "view"
        self.params = {"source": path.name, "question": question.to_json()}
        self.descriptors = ()
        self.cancelled = threading.Event()
        self.result: ViewResult | None = None
        self.error: AnalystdError | None = None
        self.done = False
        self._meanwhile = meanwhile

    def emit(self, _event: dict[str, Any]) -> None:
        if not self.done:
            self.done = True
            self._meanwhile()

    def reply(self, result: ViewResult) -> None:
        self.result = result

    def fail(self, error: AnalystdError) -> None:
        self.error = error

    @property
    def seen(self) -> tuple[object, object]:
        assert self.result is not None
        return self.result["num_rows"], self.result["rows"]


@pytest.mark.parametrize("length", [1000, 500_000, 1_200_000])
@pytest.mark.parametrize("operation", ["shape", "rows", "tail"])
def test_a_file_rewritten_while_it_is_read_is_reported_or_right(
    operation: str, length: int, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_REPORT_SECONDS", 0)
    old = b"name,n\n" + b'"a%05d",x\n' % 0 * (20_000_000 // 11)
    new = b"name,n\n" + b'"%s",y\n' % (b"q\n" * 8) * length

    def ask(desk: DataDesk, meanwhile: Callable[[], None] = lambda: None) -> Asked:
        asked = Asked(path, ViewRequest(operation, n_rows=1, offset=20_000_000 // 11 - 1), meanwhile)
        desk.answer(cast(WorkerRequest, asked))
        return asked

    def rewrite() -> None:
        with path.open("r+b") as file:
            file.write(new)
            file.truncate()

    path.write_bytes(new)
    by_new = ask(desk_of(path)).seen
    path.write_bytes(old)
    by_old = ask(desk_of(path)).seen
    desk = desk_of(path)
    asked = ask(desk, rewrite)
    assert asked.done
    if asked.error is not None:
        assert "while it was read" in asked.error.message
    else:
        assert asked.result is not None
        assert asked.seen in (by_new, by_old) or asked.result["warnings"] != []
    assert ask(desk).seen[1] == by_new[1]


def desk_of(path: Path) -> DataDesk:
    return DataDesk(Workspace(path.parent, max_gb=1, min_free_ram_percent=0))
