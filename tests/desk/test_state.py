from __future__ import annotations

import os
from pathlib import Path

import pytest

from analystd import __version__
from analystd.desk.state import DeskState
from analystd.errors import DeskInUseError


def test_a_desk_is_one_daemons_at_a_time(tmp_path: Path) -> None:
    state = DeskState.claim(tmp_path / "desks", tmp_path / "jail")
    with pytest.raises(DeskInUseError, match=rf"pid {os.getpid()}, version {__version__}"):
        DeskState.claim(tmp_path / "desks", tmp_path / "jail")
    state.release()
    state.release()
    again = DeskState.claim(tmp_path / "desks", tmp_path / "jail")
    assert again.folder == state.folder
    again.release()


def test_desks_of_other_folders_are_apart(tmp_path: Path) -> None:
    one, two = (DeskState.claim(tmp_path / "desks", tmp_path / name) for name in ("one", "two"))
    assert one.folder != two.folder
    assert (one.folder / "workspace").read_text() == f"{tmp_path / 'one'}\n"
    one.release()
    two.release()


def test_a_desk_that_cannot_be_claimed_is_left_to_the_next_try(tmp_path: Path) -> None:
    state = DeskState.claim(tmp_path / "desks", tmp_path / "jail")
    state.release()
    (state.folder / "workspace").unlink()
    (state.folder / "workspace").mkdir()
    with pytest.raises(OSError):
        DeskState.claim(tmp_path / "desks", tmp_path / "jail")
    (state.folder / "workspace").rmdir()
    DeskState.claim(tmp_path / "desks", tmp_path / "jail").release()
