"""Workspaces that are removed, replaced or closed while their desks are open: nobody else notices, and nothing is pretended."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.e2e.wires import wire
from tests.station import Station, is_running

import analystd
from analystd.wire.errors import WorkspaceError


@pytest.fixture
def two_desks(fresh_station: Station) -> Iterator[tuple[Station, Path]]:
    """A station with a variable in its own workspace and one in another folder."""
    fresh_station.play([])
    other = fresh_station.home / "other"
    fresh_station.run("exec", "x = 1")
    fresh_station.run("exec", "--workspace", str(other), "y = 2")
    yield fresh_station, other


def _removed(folder: Path) -> None:
    shutil.rmtree(folder)


def _moved(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))


def _made_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


def _replaced(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _made_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.with_name("elsewhere").mkdir()
    folder.symlink_to(folder.with_name("elsewhere"))


WAYS: list[tuple[Callable[[Path], None], str]] = [
    (_removed, "is gone: it was removed, renamed or unmounted"),
    (_moved, "is gone: it was removed, renamed or unmounted"),
    (_made_a_file, "is no folder any more"),
    (_replaced, "Another folder has taken the place of the workspace"),
    (_made_a_link, "Another folder has taken the place of the workspace"),
]


@pytest.mark.parametrize(("lose", "said"), WAYS)
def test_a_lost_workspace_is_a_row_of_its_own_and_status_and_stop_work(
    two_desks: tuple[Station, Path], lose: Callable[[Path], None], said: str
) -> None:
    station, other = two_desks
    pid = station.daemon_pid()
    assert pid is not None
    lose(station.workspace)
    rows = {row["workspace"]: row for row in station.result("status")["desks"]}
    lost, well = rows[str(station.workspace)], rows[str(other)]
    assert said in lost["problem"]
    assert lost["hint"]
    assert well["problem"] is None
    assert "error" not in well["resources"]
    assert said in station.run("status").stdout
    assert station.run("exec", "--workspace", str(other), "print(y)").stdout == "2\n"
    stopped = station.run("stop").stdout
    assert f"main in {other} (1 variable)" in stopped
    assert stopped.endswith("has stopped.\n")
    assert not is_running(pid)


async def test_requests_to_a_lost_workspace_say_so_until_it_is_back(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    async with wire(station) as window:
        await window.initialize(station)
        await window.command("execPython", "first", code="x = 41")
        station.workspace.rename(station.project / "away")
        for number, (name, arguments) in enumerate(
            {
                "execPython": {"code": "x"},
                "listFiles": {},
                "readFile": {"path": "a"},
                "writeFile": {"path": "a", "content": "b"},
                "viewData": {"path": "a.csv", "operation": "head"},
                "runAgent": {"prompt": "?"},
                "resetSession": {},
            }.items()
        ):
            error = (await window.command(name, f"lost-{number}", **arguments))["error"]
            assert error["code"] == 4001, (name, error)
            assert f"The workspace {station.workspace} is gone" in error["message"]
            assert "mkdir" in error["data"]["hint"]
        assert (await window.command("variables", "kept"))["result"]["variables"][0]["name"] == "x"
        assert len((await window.command("listRuns", "runs"))["result"]["runs"]) == 1
        (station.project / "away").rename(station.workspace)
        assert (await window.command("execPython", "back", code="x + 1"))["result"]["result"] == "42"


async def test_a_folder_in_the_place_of_another_gets_a_desk_of_its_own(fresh_station: Station) -> None:
    station = fresh_station
    station.play([])
    async with wire(station) as window:
        await window.initialize(station)
        await window.command("execPython", "first", code="x = 41")
        _replaced(station.workspace)
        error = (await window.command("execPython", "former", code="x"))["error"]
        assert "Another folder has taken the place" in error["message"]
        code = "open('a.csv', 'w').write('a'); 'x' in globals()"
        while "error" in (answer := await window.command("execPython", "new", code=code)):
            assert answer["error"]["code"] in (4001, 4005, 4007), answer
            await asyncio.sleep(0.1)
        assert answer["result"]["result"] == "False"
        died = [message["params"] for message in window.heard if message.get("params", {}).get("kind") == "worker_died"]
        assert ["the variables of the Python session 'main' are lost" in event["text"] for event in died] == [True]
    assert [path.name for path in station.workspace.iterdir()] == ["a.csv"]


def test_a_command_after_the_folder_was_made_anew_works_in_it(two_desks: tuple[Station, Path]) -> None:
    station, other = two_desks
    _removed(station.workspace)
    station.run("exec", "open('a.csv', 'w').write('a')")
    assert [path.name for path in station.workspace.iterdir()] == ["a.csv"]
    assert station.run("exec", "--workspace", str(other), "print(y)").stdout == "2\n"


def test_a_missing_workspace_that_still_holds_variables_is_not_made_anew_by_the_daemon(
    two_desks: tuple[Station, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    station, _ = two_desks
    for name, value in station.environment.items():
        monkeypatch.setenv(name, value)
    with analystd.connect_sync(station.workspace) as desk:
        away = station.project / "away"
        station.workspace.rename(away)
        with pytest.raises(WorkspaceError, match="is gone"):
            desk.exec_python("x")
        away.rename(station.workspace)
        assert desk.exec_python("x").result == "1"


def test_a_desk_whose_state_was_removed_is_opened_anew(two_desks: tuple[Station, Path]) -> None:
    station, other = two_desks
    row = next(row for row in station.result("status")["desks"] if row["workspace"] == str(station.workspace))
    shutil.rmtree(Path(row["journal"]).parent)
    pid = station.daemon_pid()
    desks = [str(station.workspace)]
    while str(station.workspace) in desks:
        desks = [row["workspace"] for row in station.result("status")["desks"]]
    assert "was removed; its desk is closed" in station.log.read_text()
    assert station.run("exec", "print('x' in globals())").stdout == "False\n"
    assert len(station.result("runs")) == 1
    assert station.run("exec", "--workspace", str(other), "print(y)").stdout == "2\n"
    assert station.daemon_pid() == pid


def test_a_kernel_that_does_not_end_holds_nobody_up(two_desks: tuple[Station, Path]) -> None:
    station, _ = two_desks
    pid = station.daemon_pid()
    assert pid is not None
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            child.suspend()
    station.run("status")
    assert "has stopped" in station.run("stop", "--now").stdout
    assert not is_running(pid)
    assert list((station.state / "run").iterdir()) == []
