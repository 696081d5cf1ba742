from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from analystd.data import files
from analystd.data.random_file import RandomFile, ViewCancelledError
from analystd.errors import InvalidArgumentsError, WorkspaceError
from analystd.jail.workspace import Workspace

OpenFile = Callable[..., RandomFile]


@pytest.fixture
def workspace(folder: Path) -> Workspace:
    return Workspace(folder, max_gb=0.001, min_free_ram_percent=0)


def names(listing: dict[str, object]) -> list[str]:
    entries = listing["entries"]
    assert isinstance(entries, list)
    return [entry["name"] for entry in entries]


def test_a_listing_is_sorted_and_marks_folders(workspace: Workspace, folder: Path) -> None:
    (folder / "b.csv").write_text("12345")
    (folder / "a").mkdir()
    (folder / "link").symlink_to("/etc")
    listing = files.list_files(workspace, ".")
    assert listing["text"] == "a/\nb.csv  5 bytes\nlink   link"
    assert [(entry["name"], entry["type"], entry["size"]) for entry in listing["entries"]] == [
        ("a", "folder", None),
        ("b.csv", "file", 5),
        ("link", "link", None),
    ]


def test_a_listing_goes_into_folders_when_asked_but_not_through_links(workspace: Workspace, folder: Path) -> None:
    (folder / "a/b").mkdir(parents=True)
    (folder / "a/b/x.csv").write_text("")
    (folder / "boot").mkdir()
    (folder / "boot/secret.csv").write_text("")
    (folder / "z").symlink_to("/etc")
    assert names(files.list_files(workspace, ".", recursive=True)) == ["a", "a/b", "a/b/x.csv", "boot", "z"]
    assert names(files.list_files(workspace, "a", pattern="*.csv", recursive=True)) == ["b/x.csv"]


def test_a_pattern_is_for_names(workspace: Workspace, folder: Path) -> None:
    for name in ("a.csv", "b.txt", "c.CSV"):
        (folder / name).write_text("")
    assert names(files.list_files(workspace, ".", pattern="*.csv")) == ["a.csv"]
    assert files.list_files(workspace, ".", pattern="*.xlsx")["text"] == ".: no files"


def test_names_that_are_no_text_are_shown_escaped(workspace: Workspace, folder: Path) -> None:
    for name in (b"caf\xe9.csv", b"two\nlines", "日経.csv".encode()):
        (folder / os.fsdecode(name)).write_text("")
    assert names(files.list_files(workspace, ".")) == ["caf\\xe9.csv", "two\\nlines", "日経.csv"]


def test_a_long_listing_is_cut_and_says_so(workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_ENTRIES", 3)
    for number in range(5):
        (folder / f"{number}.csv").write_text("")
    listing = files.list_files(workspace, ".")
    assert (names(listing), listing["truncated"]) == (["0.csv", "1.csv", "2.csv"], True)
    assert listing["text"].endswith("… only the first 3 are listed")


def test_a_listing_goes_no_deeper_than_anyone_reads(workspace: Workspace, folder: Path) -> None:
    (folder / "/".join(["d"] * 70)).mkdir(parents=True)
    deepest = names(files.list_files(workspace, ".", recursive=True))[-1]
    assert len(deepest.split("/")) == files.MAX_DEPTH + 1


def test_a_cancelled_listing_stops(workspace: Workspace, folder: Path) -> None:
    (folder / "a").mkdir()
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(ViewCancelledError):
        files.list_files(workspace, ".", recursive=True, cancelled=cancelled)


@pytest.mark.parametrize(
    ("offset", "limit", "text", "lines", "truncated"),
    [
        (1, None, "one\ntwo\r\nthree", 3, False),
        (2, None, "two\r\nthree", 2, False),
        (2, 1, "two\r\n", 1, True),
        (3, 1, "three", 1, False),
        (4, None, "", 0, False),
        (99, 5, "", 0, False),
    ],
)
def test_lines_are_counted_from_1_and_kept_as_they_are(
    open_bytes: OpenFile, offset: int, limit: int | None, text: str, lines: int, truncated: bool
) -> None:
    read = files.read_file(open_bytes(b"one\ntwo\r\nthree", "x.txt"), offset=offset, limit=limit)
    assert read == {
        "text": text,
        "path": "x.txt",
        "offset": offset,
        "lines": lines,
        "size": 14,
        "truncated": truncated,
    }


def test_a_long_file_is_read_in_parts_that_fit_together(open_bytes: OpenFile) -> None:
    content = "".join(f"line {number}\n" for number in range(5000))
    file = open_bytes(content.encode())
    parts, offset = "", 1
    while (part := files.read_file(file, offset=offset))["text"]:
        assert part["lines"] <= files.MAX_LINES
        parts, offset = parts + part["text"], offset + part["lines"]
    assert parts == content


def test_a_line_far_into_a_large_file_is_found(open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_CHUNK_BYTES", 3)
    file = open_bytes(b"".join(b"%d\n" % number for number in range(100)))
    for line in range(1, 101):
        assert files.read_file(file, offset=line, limit=1)["text"] == f"{line - 1}\n"


def test_long_lines_are_bounded_by_bytes(open_bytes: OpenFile) -> None:
    read = files.read_file(open_bytes("é".encode() * 150_000))
    assert (len(read["text"]), read["truncated"]) == (100_000, True)
    read = files.read_file(open_bytes(b"short\n" + b"x" * 300_000))
    assert (read["text"], read["lines"], read["truncated"]) == ("short\n", 1, True)


def test_a_binary_file_is_no_text(open_bytes: OpenFile) -> None:
    with pytest.raises(WorkspaceError, match=r"model\.bin is a binary file of 4 bytes"):
        files.read_file(open_bytes(b"a\0b\n", "model.bin"))


def test_lines_below_1_are_invalid(open_bytes: OpenFile) -> None:
    with pytest.raises(InvalidArgumentsError):
        files.read_file(open_bytes(b""), offset=0)
    with pytest.raises(InvalidArgumentsError):
        files.read_file(open_bytes(b""), limit=0)
