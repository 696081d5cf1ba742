from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from analystd import __version__
from analystd.desk.desk_lock import DeskLock, wait_until_free
from analystd.wire.errors import DeskInUseError


def test_a_desk_is_one_daemons_at_a_time(tmp_path: Path) -> None:
    state = DeskLock.claim(tmp_path / "desks", tmp_path / "jail")
    with pytest.raises(DeskInUseError, match=rf"pid {os.getpid()}, version {__version__}"):
        DeskLock.claim(tmp_path / "desks", tmp_path / "jail")
    state.release()
    state.release()
    again = DeskLock.claim(tmp_path / "desks", tmp_path / "jail")
    assert again.folder == state.folder
    again.release()


def test_who_wants_a_desk_that_another_has_is_told_its_plan(tmp_path: Path) -> None:
    state = DeskLock.claim(tmp_path / "desks", tmp_path / "jail")
    state.announce("it ends when its runs have")
    state.announce("it ends soon")
    with pytest.raises(DeskInUseError, match=rf"\(pid {os.getpid()}, version {__version__}; it ends soon\)"):
        DeskLock.claim(tmp_path / "desks", tmp_path / "jail")
    state.release()


async def test_a_desk_that_is_let_go_of_is_waited_for_and_one_that_is_not_only_so_long(tmp_path: Path) -> None:
    desks, root = tmp_path / "desks", tmp_path / "jail"
    state = DeskLock.claim(desks, root)
    await wait_until_free(desks, root, 0.1)
    waiting = asyncio.create_task(wait_until_free(desks, root, 60))
    await asyncio.sleep(0)
    assert not waiting.done()
    state.release()
    await asyncio.wait_for(waiting, 30)


def test_desks_of_other_folders_are_apart(tmp_path: Path) -> None:
    one, two = (DeskLock.claim(tmp_path / "desks", tmp_path / name) for name in ("one", "two"))
    assert one.folder != two.folder
    assert (one.folder / "workspace").read_text() == f"{tmp_path / 'one'}\n"
    one.release()
    two.release()


def test_a_desk_that_cannot_be_claimed_is_left_to_the_next_try(tmp_path: Path) -> None:
    state = DeskLock.claim(tmp_path / "desks", tmp_path / "jail")
    state.release()
    (state.folder / "workspace").unlink()
    (state.folder / "workspace").mkdir()
    with pytest.raises(OSError):
        DeskLock.claim(tmp_path / "desks", tmp_path / "jail")
    (state.folder / "workspace").rmdir()
    DeskLock.claim(tmp_path / "desks", tmp_path / "jail").release()
