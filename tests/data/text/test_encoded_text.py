from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest
from tests.data.viewer import Viewer

from analystd.wire.errors import WorkspaceError

MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.csv"


@pytest.mark.parametrize("coding", MARKS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_utf_16_with_a_mark_is_read_as_text(coding: str, line_end: str, path: Path) -> None:
    lines = ["größe;name", '1,5;"x ""y""', 'z"', "2;🦆", "਍;਀", "3;"]
    path.write_bytes(MARKS[coding] + line_end.join(lines).encode(coding))
    rows = [["1,5", f'x "y"{line_end}z'], ["2", "🦆"], ["਍", "਀"], ["3", ""]]
    Viewer().check(path, ["größe", "name"], rows)


@pytest.mark.parametrize("coding", MARKS)
@pytest.mark.parametrize("size", [8 * 1024, 64 * 1024, 1024 * 1024, 2 * 1024 * 1024])
def test_utf_16_is_right_across_every_border(coding: str, size: int, path: Path) -> None:
    count = size // 20 + 3000
    text = "name,n\n" + "".join(f'"é{number:06d}🦆",x\n' for number in range(count))
    path.write_bytes(MARKS[coding] + text.encode(coding))
    viewer = Viewer()
    assert viewer.view(path, "shape")["num_rows"] == count
    for offset in (0, 1, count // 2, count - 1):
        assert viewer.rows(path, offset=offset, n_rows=1) == [[f"é{offset:06d}🦆", "x"]]
    near = range(max(0, size // 26 - 1500), min(count, size // 26 + 1500))
    rows = viewer.rows(path, offset=near.start, n_rows=len(near))
    assert rows == [[f"é{number:06d}🦆", "x"] for number in near]
    assert viewer.view(path, "tail", n_rows=2)["rows"] == [[f"é{count - 2:06d}🦆", "x"], [f"é{count - 1:06d}🦆", "x"]]


@pytest.mark.parametrize(
    "end", [b"\n", b"\x00\xd8", b"x"], ids=["half a character", "half a pair of surrogates", "an odd byte"]
)
def test_truncated_utf_16_is_reported_or_shown_with_a_mark(end: bytes, path: Path) -> None:
    path.write_bytes(codecs.BOM_UTF16_LE + "name,n\nx,1\ny,2".encode("utf-16-le") + end)
    try:
        view = Viewer().view(path, "head")
    except WorkspaceError as error:
        assert "UTF-16" in error.message
    else:
        assert view["rows"] in ([["x", "1"], ["y", "2\ufffd"]], [["x", "1"], ["y", "2"]])
        assert view["warnings"] != []


def test_a_mark_alone_is_an_empty_table(path: Path) -> None:
    for mark in MARKS.values():
        path.write_bytes(mark)
        Viewer().check(path, [], [])


def test_utf_16_that_grows_is_read_to_its_new_end(path: Path) -> None:
    viewer = Viewer()
    path.write_bytes(codecs.BOM_UTF16_LE + "a,b\n1,2\n".encode("utf-16-le"))
    viewer.check(path, ["a", "b"], [["1", "2"]])
    with path.open("ab") as file:
        file.write("3,é\n".encode("utf-16-le"))
        os.fsync(file.fileno())
    viewer.check(path, ["a", "b"], [["1", "2"], ["3", "é"]])


@pytest.mark.parametrize("content", [b"name\0value\0\0\0", bytes(range(256)) * 4, b"\x7fELF\x02\x01\x01\0\0\0\0\0"])
def test_a_binary_file_with_the_ending_of_a_table_does_no_harm(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    for operation in ("head", "shape", "tail", "describe"):
        try:
            view = Viewer().view(path, operation)
        except WorkspaceError as error:
            assert "binary" in error.message or "no table" in error.message
        else:
            assert view["num_columns"] is not None
