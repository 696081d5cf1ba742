from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from analystd.data.files.writing import Room, write_file
from analystd.jail.workspace import Workspace
from analystd.wire.errors import InvalidArgumentsError, ResourceLimitError, WorkspaceError


@pytest.fixture
def room(folder: Path) -> Room:
    return Room(Workspace(folder, max_gb=0.001, min_free_ram_percent=0))


def test_a_file_is_replaced_whole_and_keeps_its_mode(room: Room, folder: Path) -> None:
    path = folder / "run.sh"
    path.write_text("old")
    path.chmod(0o750)
    with path.open() as old:
        assert write_file(room, "run.sh", "new é") == {
            "text": "Wrote 6 bytes to run.sh",
            "path": "run.sh",
            "size": 6,
            "created": False,
        }
        assert old.read() == "old"
    assert path.read_text("utf-8") == "new é"
    assert path.stat().st_mode & 0o777 == 0o750
    assert [each.name for each in folder.iterdir()] == ["run.sh"]


def test_a_link_is_written_through_and_stays(room: Room, folder: Path) -> None:
    (folder / "real.txt").write_text("old")
    (folder / "link.txt").symlink_to("real.txt")
    write_file(room, "link.txt", "new")
    assert (folder / "link.txt").is_symlink()
    assert (folder / "real.txt").read_text() == "new"


def test_a_write_that_fails_leaves_nothing_behind(room: Room, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(WorkspaceError, match=r"Cannot write x\.txt: No space left on device"):
        write_file(room, "x.txt", "text")
    assert list(folder.iterdir()) == []


def test_writes_in_a_row_cannot_slip_over_the_limit(room: Room, folder: Path) -> None:
    with pytest.raises(ResourceLimitError, match=r"would take the workspace to .* GB; its limit is 0\.001 GB"):
        for number in range(20):
            write_file(room, f"{number}.txt", "x" * 100_000)
    assert sum(each.stat().st_size for each in folder.iterdir()) <= 0.001 * 1024**3


def test_text_that_utf_8_cannot_write_is_invalid(room: Room) -> None:
    with pytest.raises(InvalidArgumentsError):
        write_file(room, "x.txt", "\ud800")


def test_a_write_over_the_limit_is_refused_before_anything_is_created(room: Room, folder: Path) -> None:
    with pytest.raises(ResourceLimitError, match=r"Writing new/x\.txt would take the workspace to"):
        write_file(room, "new/x.txt", "x" * 2_000_000)
    assert list(folder.iterdir()) == []


def test_a_hard_link_is_replaced_and_what_it_was_linked_to_stays(room: Room, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "original.txt").write_text("old")
    os.link(tmp_path / "original.txt", folder / "hard.txt")
    assert write_file(room, "hard.txt", "new")["created"] is False
    assert (folder / "hard.txt").read_text() == "new"
    assert (tmp_path / "original.txt").read_text() == "old"


def test_special_files_are_neither_written_to_nor_replaced(room: Room, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "a").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "sock"))
    for name in ("pipe", "sock", "a"):
        with pytest.raises(WorkspaceError):
            write_file(room, name, "text")
    assert sorted(each.name for each in folder.iterdir()) == ["a", "pipe", "sock"]
    assert (folder / "pipe").is_fifo()


def test_names_may_be_as_long_as_the_system_lets_them_be(room: Room, folder: Path) -> None:
    name = "é" * 127
    write_file(room, name, "text")
    assert (folder / name).read_text() == "text"
    with pytest.raises(WorkspaceError, match="The path is too long"):
        write_file(room, "é" * 128, "text")


def test_names_that_are_not_text_are_written_as_they_are(room: Room, folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    write_file(room, name, "text")
    assert (folder / name).read_text() == "text"


@pytest.mark.parametrize("path", ["boot/x", "BOOT/x", "a/Daemon/x", "daemon"])
def test_a_protected_name_is_not_written_in_whatever_case(room: Room, folder: Path, path: str) -> None:
    with pytest.raises(WorkspaceError, match="is blocked for safety"):
        write_file(room, path, "text")
    assert list(folder.iterdir()) == []
