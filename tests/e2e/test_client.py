"""The Python clients against a real daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.station import Station

import analystd
from analystd.client import RequestCancelledError
from analystd.errors import DaemonLostError, InvalidArgumentsError, WorkspaceError


@pytest.fixture(autouse=True)
def as_the_stations_user(station: Station, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "AGENT_MODEL_PATH"):
        monkeypatch.setenv(name, station.environment[name])
    monkeypatch.chdir(station.project)
    yield


async def test_a_script_asks_runs_and_looks(station: Station) -> None:
    (station.workspace / "t.csv").write_text("a,b\n01,x\n")
    async with await analystd.connect() as desk:
        assert desk.about["workspace"] == str(station.workspace)
        assert (await desk.exec_python("1 + 1"))["result"] == "2"
        assert (await desk.view_data("t.csv", "head"))["rows"] == [["01", "x"]]
        assert (await desk.write_file("new/n.txt", "hello\n"))["created"] is True
        assert (await desk.read_file("new/n.txt"))["text"] == "hello\n"
        assert [entry["name"] for entry in (await desk.list_files("new"))["entries"]] == ["n.txt"]


async def test_errors_arrive_as_what_they_are() -> None:
    async with await analystd.connect() as desk:
        with pytest.raises(WorkspaceError, match="Path is outside workspace"):
            await desk.view_data("../servr/api.py", "shape")
        with pytest.raises(InvalidArgumentsError, match="'drop' is not one of"):
            await desk.view_data("t.csv", "drop")


async def test_events_can_be_followed() -> None:
    async with await analystd.connect() as desk:
        running = asyncio.create_task(desk.exec_python("print('one')\nprint('two')"))
        kinds = []
        async with asyncio.timeout(20):
            async for event in desk.follow():
                kinds.append(event["kind"])
                if event["kind"] == "run_finished":
                    break
        assert kinds == ["run_queued", "run_started", "output", "run_finished"]
        assert (await running)["stdout"] == "one\ntwo\n"


async def test_cancelling_the_task_cancels_the_run() -> None:
    async with await analystd.connect() as desk:
        running = asyncio.create_task(desk.exec_python("import time; time.sleep(60)"))
        async with asyncio.timeout(20):
            async for event in desk.follow():
                if event["kind"] == "run_started":
                    running.cancel()
                if event["kind"] == "run_finished":
                    assert event["status"] == "interrupted"
                    break
        with pytest.raises((asyncio.CancelledError, RequestCancelledError)):
            await running


def test_the_plain_client_does_the_same_without_async() -> None:
    with analystd.connect_sync() as desk:
        desk.exec_python("plain = 5")
        assert desk.exec_python("plain")["result"] == "5"
        (variable,) = [each for each in desk.variables()["variables"] if each["name"] == "plain"]
        assert (variable["type"], variable["preview"]) == ("int", "5")
        assert desk.reset_session()["state"] in ("idle", "absent")
        assert desk.exec_python("'plain' in dir()")["result"] == "False"


def test_without_a_daemon_and_leave_to_start_one_it_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("none")))
    with pytest.raises(DaemonLostError, match="No analystd daemon is running"):
        analystd.connect_sync(start=False)
