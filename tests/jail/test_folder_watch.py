"""The kernel tells of what is made in a workspace, and a look follows at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jail.conftest import offered_or_skip
from tests.jail.live import LiveJail

from analystd.jail.folder_watch import FolderWatch
from analystd.jail.survey import survey
from analystd.jail.trusted_names import TrustedNames

NAMES = TrustedNames()

MOMENT_SECONDS = 0.5
"""An editor looks at a new repository half a second after it appeared."""

HIDE_AND_SEEK = """
import os, time
if os.fork() == 0:
    time.sleep(3)
    os.mkdir('.git')
    begun = time.monotonic()
    while os.path.exists('.git'):
        time.sleep(0.001)
    open('seconds', 'w').write(str(time.monotonic() - begun))
    os._exit(0)
"""


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[FolderWatch]:
    watch = FolderWatch(lambda name: NAMES.group(name) is not None)
    survey(tmp_path, NAMES, folders=watch)
    yield watch
    watch.close()


def test_trusted_names_and_new_folders_are_reported_but_data_is_not(folders: FolderWatch, tmp_path: Path) -> None:
    assert not folders.has_events()
    (tmp_path / "prices.csv").touch()
    assert folders.has_events()
    assert not folders.read()
    (tmp_path / "x").touch()
    (tmp_path / "x").rename(tmp_path / ".envrc")
    assert folders.read()
    (tmp_path / "sub").mkdir()
    assert folders.read()
    assert not folders.has_events()


def test_a_watch_of_too_many_folders_is_incomplete(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).mkdir()
    watch = FolderWatch(lambda _name: True, most=3)
    survey(tmp_path, NAMES, folders=watch)
    assert not watch.is_complete
    watch.close()


def test_a_wait_ends_when_it_is_told_to(folders: FolderWatch) -> None:
    folders.wake()
    begun = time.monotonic()
    folders.wait(30)
    assert time.monotonic() - begun < 10


def test_what_a_sleeping_process_plants_is_gone_before_an_editor_looks(tmp_path: Path) -> None:
    with LiveJail(offered_or_skip("full"), tmp_path) as jail:
        jail.run(HIDE_AND_SEEK)
        deadline = time.monotonic() + 30
        while not (jail.workspace / "seconds").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.05)
        assert float((jail.workspace / "seconds").read_text()) < MOMENT_SECONDS
