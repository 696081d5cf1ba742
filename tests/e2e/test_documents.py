"""What a window may look at by `uri`: the files of its folders, whatever links are put in their place meanwhile."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.bytewise import Wire, opened
from tests.station import Station

VIEWS = 500
"""Of each of four kinds of swapped paths."""

MINE, SECRET = "mine\nshown\n", "secret\nleaked\n"


@pytest.fixture
async def window(station: Station) -> AsyncIterator[Wire]:
    async with opened(station) as wire:
        yield wire


@pytest.fixture
def outside(station: Station) -> Path:
    """A folder beside the project, with a table that no window may show."""
    folder = station.project.parent / f"{station.project.name}-outside"
    folder.mkdir(exist_ok=True)
    (folder / "table.csv").write_text(SECRET)
    return folder


@contextmanager
def swapping(*pairs: tuple[Path, Path]) -> Iterator[None]:
    """Exchange the names of each pair as fast as it goes, as code in a session can; afterwards they are as they were."""
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            for one, other in pairs * 2:
                spare = one.with_name(f"{one.name}-spare")
                one.rename(spare)
                other.rename(one)
                spare.rename(other)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


async def seen(window: Wire, path: Path) -> str:
    """The first column's name, or the error's message."""
    answer = await window.command("viewData", uri=path.as_uri(), operation="head")
    if "error" in answer:
        return str(answer["error"]["message"])
    result: dict[str, Any] = answer["result"]
    return str(result["columns"][0]["name"])


async def test_a_path_that_is_swapped_while_it_is_looked_at_shows_nothing_of_outside(
    station: Station, window: Wire, outside: Path
) -> None:
    base = station.workspace / "swapped"
    (base / "folder/deep").mkdir(parents=True)
    for name in ("table.csv", "folder/table.csv", "folder/deep/table.csv"):
        (base / name).write_text(MINE)
    (outside / "deep").mkdir(exist_ok=True)
    (outside / "deep/table.csv").write_text(SECRET)
    (base / "to-table").symlink_to(outside / "table.csv")
    (base / "to-folder").symlink_to(outside)
    (base / "alias").symlink_to("table.csv")
    (base / "to-outside").symlink_to(outside / "table.csv")
    pairs = [(base / name, base / other) for name, other in (("table.csv", "to-table"), ("folder", "to-folder"))]
    asked = [base / name for name in ("table.csv", "folder/table.csv", "folder/deep/table.csv", "alias")]
    names: list[str] = []
    with swapping(*pairs, (base / "alias", base / "to-outside")):
        for _ in range(VIEWS):
            names += [await seen(window, path) for path in asked]
    assert "secret" not in names
    # Each was seen often enough, and refused when it led outside.
    assert names.count("mine") > VIEWS / 10
    assert any("outside this window's folders" in name for name in names)


async def test_a_folder_of_the_window_that_becomes_a_link_opens_nothing_else(station: Station, outside: Path) -> None:
    """A window on a folder inside of the workspace: code in the session can put a link in its place."""
    inner = station.workspace / "inner"
    inner.mkdir()
    (inner / "table.csv").write_text(MINE)
    async with opened(station) as wire:
        folders = {"added": [{"uri": inner.as_uri(), "name": "inner"}], "removed": []}
        await wire.notify("workspace/didChangeWorkspaceFolders", {"event": folders})
        assert await seen(wire, inner / "table.csv") == "mine"
        inner.rename(station.workspace / "moved")
        inner.symlink_to(outside)
        assert "outside this window's folders" in await seen(wire, inner / "table.csv")


async def test_links_inside_the_windows_folders_are_followed(station: Station, window: Wire) -> None:
    (station.project / "data").mkdir()
    (station.project / "data/table.csv").write_text(MINE)
    (station.project / "latest").symlink_to("data/table.csv")
    (station.project / "folder").symlink_to("data")
    for name in ("data/table.csv", "latest", "folder/table.csv"):
        assert await seen(window, station.project / name) == "mine"


async def test_protected_names_are_refused_by_uri_too(station: Station, window: Wire) -> None:
    for name in ("boot", "Daemon/inner"):
        (station.project / name).mkdir(parents=True)
        (station.project / name / "table.csv").write_text(MINE)
    (station.project / "innocent.csv").symlink_to("boot/table.csv")
    for name in ("boot/table.csv", "innocent.csv"):
        assert await seen(window, station.project / name) == "Access to 'boot/' is blocked for safety"
    assert "Access to 'daemon/'" in await seen(window, station.project / "Daemon/inner/table.csv")


async def test_what_is_no_file_is_named_as_what_it_is(station: Station, window: Wire) -> None:
    os.mkfifo(station.project / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(station.project / "socket.csv"))
        assert "is a socket" in await seen(window, station.project / "socket.csv")
    assert "is a named pipe" in await seen(window, station.project / "pipe.csv")
    assert "is a folder, no file" in await seen(window, station.project)
    assert "No such file" in await seen(window, station.project / "nowhere.csv")
    (station.project / "circle.csv").symlink_to("circle.csv")
    assert "circle" in await seen(window, station.project / "circle.csv")
