from __future__ import annotations

import os
from pathlib import Path

import pytest

from analystd.data.file_writing import Room, write_file
from analystd.errors import InvalidArgumentsError, ResourceLimitError, WorkspaceError
from analystd.jail.workspace import Workspace


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
