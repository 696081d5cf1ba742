from __future__ import annotations

import codecs
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analystd.data.files import reading as files
from analystd.data.positioned_file import PositionedFile, ViewCancelledError
from analystd.data.worker_client import DataWorker
from analystd.jail.workspace import Workspace
from analystd.tools.base import ToolContext
from analystd.tools.files import file_tools
from analystd.wire.errors import InvalidArgumentsError, WorkspaceError
from analystd.wire.results import FileListing, FileText

OpenFile = Callable[..., PositionedFile]


@pytest.fixture
def workspace(folder: Path) -> Workspace:
    return Workspace(folder, max_gb=0.001, min_free_ram_percent=0)


def names(listing: FileListing) -> list[str]:
    return [entry["name"] for entry in listing["entries"]]


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


def test_names_that_are_not_text_are_shown_escaped(workspace: Workspace, folder: Path) -> None:
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


def test_folders_that_do_not_match_do_not_count_in_a_listing(
    workspace: Workspace, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_ENTRIES", 2)
    for number in range(5):
        (folder / f"{number}").mkdir()
        (folder / f"{number}/x.csv").write_text("")
    listing = files.list_files(workspace, ".", pattern="*.csv", recursive=True)
    assert (names(listing), listing["truncated"]) == (["0/x.csv", "1/x.csv"], True)
    assert names(files.list_files(workspace, ".", pattern="[34]")) == ["3", "4"]


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
        "byte_offset": {1: 0, 2: 4, 3: 9}.get(offset, 14),
        "bytes": len(text),
        "size": 14,
        "truncated": truncated,
        "encoding": "utf-8",
    }


def test_a_long_file_is_read_in_parts_that_fit_together(open_bytes: OpenFile) -> None:
    content = "".join(f"line {number}\n" for number in range(5000))
    file = open_bytes(content.encode())
    parts, offset = "", 1
    while (part := files.read_file(file, offset=offset))["text"]:
        assert part["lines"] is not None
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


def test_a_binary_file_is_not_text(open_bytes: OpenFile) -> None:
    with pytest.raises(WorkspaceError, match=r"model\.bin is a binary file of 4 bytes"):
        files.read_file(open_bytes(b"a\0b\n", "model.bin"))


def test_lines_below_1_are_invalid(open_bytes: OpenFile) -> None:
    with pytest.raises(InvalidArgumentsError):
        files.read_file(open_bytes(b""), offset=0)
    with pytest.raises(InvalidArgumentsError):
        files.read_file(open_bytes(b""), limit=0)


@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        ("open;größe\n1;2\n".encode(), "utf-8"),
        ("größe\n".encode("utf-8-sig"), "utf-8-sig"),
        ("größe\n".encode("utf-16"), "utf-16"),
        (codecs.BOM_UTF16_BE + "größe\n".encode("utf-16-be"), "utf-16"),
        ("größe\n".encode("utf-32"), "utf-32"),
        ("größe\n".encode("windows-1252"), "windows-1252"),
        ("größe\x81\n".encode("latin-1"), "latin-1"),
    ],
)
def test_the_encoding_is_reported_and_its_mark_is_not_text(open_bytes: OpenFile, content: bytes, encoding: str) -> None:
    read = files.read_file(open_bytes(content))
    assert read["encoding"] == encoding
    assert read["text"].startswith(("größe", "open;größe"))
    assert read["truncated"] is False
    assert content.decode(read["encoding"]) == read["text"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32"])
def test_lines_of_wide_characters_are_found(
    open_bytes: OpenFile, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_CHUNK_BYTES", 5)
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    # U+0A00 to U+0AFF hold the byte of a newline where no line ends.
    file = open_bytes(mark + "".join(f"{number}\u0a0a\U0001f600\n" for number in range(50)).encode(encoding))
    for line in range(1, 51):
        read = files.read_file(file, offset=line, limit=1)
        assert (read["text"], read["lines"]) == (f"{line - 1}\u0a0a\U0001f600\n", 1)
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 40)
    assert files.read_file(file)["text"].endswith("\U0001f600\n")


def test_one_wrong_byte_makes_no_other_encoding(open_bytes: OpenFile) -> None:
    read = files.read_file(open_bytes("größer und größer ".encode() + b"\xff\n"))
    assert (read["text"], read["encoding"]) == ("größer und größer \ufffd\n", "utf-8")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "windows-1252"])
def test_ranges_of_bytes_fit_together(open_bytes: OpenFile, encoding: str) -> None:
    content = "aé€ßz\n" * 3 if encoding == "windows-1252" else "aé€\U0001f600z\n" * 3
    file = open_bytes(content.encode(encoding))
    parts, at = "", 0
    while (part := files.read_file(file, byte_offset=at, byte_limit=5))["text"]:
        assert part["bytes"] <= 5
        assert part["truncated"] == (part["byte_offset"] + part["bytes"] < file.size)
        parts, at = parts + part["text"], part["byte_offset"] + part["bytes"]
    assert parts == content


def test_a_range_that_begins_within_a_character_begins_after_it(open_bytes: OpenFile) -> None:
    file = open_bytes("€uro".encode(), "x.txt")
    assert files.read_file(file, byte_offset=1, byte_limit=4) == {
        "text": "uro",
        "path": "x.txt",
        "offset": None,
        "lines": None,
        "byte_offset": 3,
        "bytes": 3,
        "size": 6,
        "truncated": False,
        "encoding": "utf-8",
    }
    wide = open_bytes("a\U0001f600!".encode("utf-16"))
    assert files.read_file(wide, byte_offset=6)["text"] == "!"
    assert files.read_file(wide, byte_offset=3)["text"] == "\U0001f600!"
    assert files.read_file(open_bytes("20°C".encode("latin-1")), byte_offset=2)["text"] == "°C"


def test_a_range_beyond_the_end_is_empty(open_bytes: OpenFile) -> None:
    read = files.read_file(open_bytes(b"abc"), byte_offset=99)
    assert (read["text"], read["byte_offset"], read["truncated"]) == ("", 3, False)


@pytest.mark.parametrize(
    "asked",
    [
        {"offset": 1, "byte_offset": 0},
        {"limit": 1, "byte_limit": 10},
        {"byte_offset": -1},
        {"byte_limit": 3},
    ],
)
def test_lines_and_bytes_together_and_numbers_below_the_first_are_invalid(
    open_bytes: OpenFile, asked: dict[str, int]
) -> None:
    with pytest.raises(InvalidArgumentsError):
        files.read_file(open_bytes(b"abc"), **asked)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x1f\x8b\x08\xff", "gzip"),
        (b"PAR1\0", "Parquet"),
        (b"\x89PNG\r\n\x1a\n\0", "PNG"),
        (b"PK\x03\x04\xff", "ZIP"),
    ],
)
def test_a_binary_file_is_called_what_its_first_bytes_say(open_bytes: OpenFile, content: bytes, kind: str) -> None:
    with pytest.raises(
        WorkspaceError, match=f"is a binary file of {len(content)} bytes .judging by its first bytes, .*{kind}"
    ):
        files.read_file(open_bytes(content))


def test_text_that_only_begins_like_a_binary_file_is_text(open_bytes: OpenFile) -> None:
    assert files.read_file(open_bytes(b"PAR1 and BZh\n"))["text"] == "PAR1 and BZh\n"


def test_a_file_is_listed_alone(workspace: Workspace, folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a/x.csv").write_text("12345")
    listing = files.list_files(workspace, "a/x.csv")
    assert (listing["text"], names(listing), listing["truncated"]) == ("x.csv  5 bytes", ["x.csv"], False)
    assert names(files.list_files(workspace, "a/x.csv", pattern="*.txt")) == []
    os.mkfifo(folder / "pipe")
    for path in ("pipe", "missing", "boot/x", "a/x.csv/y"):
        with pytest.raises(WorkspaceError):
            files.list_files(workspace, path)


def test_special_files_are_listed_as_special_and_never_opened(workspace: Workspace, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "sock"))
    listing = files.list_files(workspace, ".")
    assert [(entry["name"], entry["type"], entry["size"]) for entry in listing["entries"]] == [
        ("pipe", "special", None),
        ("sock", "special", None),
    ]


def test_the_longest_names_are_listed(workspace: Workspace, folder: Path) -> None:
    (folder / ("n" * 255)).write_text("")
    assert names(files.list_files(workspace, ".")) == ["n" * 255]
    with pytest.raises(WorkspaceError, match="The path is too long"):
        files.list_files(workspace, "n" * 256)


@pytest.mark.parametrize("name", ["boot", "BOOT", "Boot", "dAEMON"])
def test_a_protected_name_is_closed_in_whatever_case(workspace: Workspace, folder: Path, name: str) -> None:
    (folder / name).mkdir()
    (folder / name / "secret.csv").write_text("")
    assert names(files.list_files(workspace, ".", recursive=True)) == [name]
    for path in (name, f"{name}/secret.csv", f"{name.swapcase()}/secret.csv"):
        with pytest.raises(WorkspaceError, match="is blocked for safety"):
            files.list_files(workspace, path)


async def test_the_model_is_informed_that_a_file_continues(folder: Path) -> None:
    class Files(DataWorker):
        def __init__(self) -> None: ...

        async def read_file(self, path: str, **asked: int | None) -> FileText:
            descriptor = os.open(folder / path, os.O_RDONLY)
            try:
                return files.read_file(PositionedFile.of_descriptor(path, descriptor), **asked)
            finally:
                os.close(descriptor)

    (folder / "x.txt").write_text("one\ntwo\nthree")
    (folder / "old.txt").write_bytes(b"caf\xe9")
    (folder / "long.txt").write_text("x" * 300_000)
    (folder / "none.txt").write_text("")
    read = next(tool for tool in file_tools(Files()) if tool.spec.name == "read_file")
    context = ToolContext("main", lambda _: None)

    async def reported(**arguments: Any) -> str:
        result = await read.run(arguments, context)
        assert "…" not in result.data["text"]
        return result.text

    assert await reported(path="x.txt") == "one\ntwo\nthree"
    assert await reported(path="x.txt", offset=2, limit=1) == (
        "two\n… [the file of 13 bytes goes on: read_file with offset 3 reads on]"
    )
    assert (await reported(path="x.txt", byte_offset=4, byte_limit=5)).endswith(
        "\n… [the file of 13 bytes goes on: read_file with byte_offset 9 reads on]"
    )
    assert (await reported(path="long.txt")).endswith("read_file with byte_offset 200000 reads on]")
    assert await reported(path="old.txt") == "café\n… [the file's encoding is windows-1252]"
    assert await reported(path="none.txt") == "… [nothing here: the file has 0 bytes]"
