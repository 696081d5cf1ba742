"""The async client against a real daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.users import become_user
from tests.station import Station

import analystd
from analystd.client import RequestCancelledError, RequestTimeoutError
from analystd.wire.errors import DaemonLostError, InvalidArgumentsError, WorkspaceError

SECONDS = 60.0


@pytest.fixture(autouse=True)
def as_the_stations_user(station: Station, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    become_user(station, monkeypatch)
    yield


async def test_a_script_asks_runs_and_looks(station: Station) -> None:
    (station.workspace / "t.csv").write_text("a,b\n01,x\n")
    async with analystd.connect() as desk:
        assert desk.about.workspace == str(station.workspace)
        assert (await desk.exec_python("1 + 1")).result == "2"
        view = await desk.view_data("t.csv", "head")
        assert (view.rows, view.to_pandas().loc[0, "a"]) == ([["01", "x"]], "01")
        assert (await desk.write_file("new/n.txt", "hello\n")).created is True
        assert (await desk.read_file("new/n.txt")).text == "hello\n"
        assert [entry.name for entry in (await desk.list_files("new")).entries] == ["n.txt"]


async def test_what_can_be_asked_comes_back_typed(station: Station) -> None:
    (station.workspace / "t.csv").write_text("a,b\n01,x\n")
    async with analystd.connect() as desk:
        result = await desk.exec_python("x = 5\nx", session="typed")
        assert (result.status, result.displays, result.error) == ("ok", (), None)
        (variable,) = (await desk.variables("typed")).variables
        assert (variable.name, variable.type, variable.preview) == ("x", "int", "5")
        (run, *_) = await desk.list_runs(1)
        assert (run.run_id, run.kind, run.is_over) == (result.run_id, "python", True)
        assert (await desk.get_run(run.run_id)).events[-1].ends_run
        (profile,) = (await desk.view_data("t.csv", "profile", columns=["b"])).profiles or ()
        assert (profile.column, profile.distinct, profile.top and profile.top[0].value) == ("b", 1, "x")
        status = await desk.status()
        assert (status.version, len(status.desks)) == (analystd.__version__, 1)


async def test_a_client_can_be_had_without_a_block() -> None:
    desk = await analystd.connect()
    assert (await desk.exec_python("1 + 1"))["result"] == "2"
    await desk.aclose()
    await desk.aclose()
    with pytest.raises(DaemonLostError, match="client is closed"):
        await desk.status()


async def test_errors_arrive_as_what_they_are() -> None:
    async with analystd.connect() as desk:
        with pytest.raises(WorkspaceError, match="Path is outside workspace"):
            await desk.view_data("../servr/api.py", "shape")
        with pytest.raises(InvalidArgumentsError, match="'drop' is not one of"):
            await desk.view_data("t.csv", "drop")  # type: ignore[arg-type]


async def test_a_listener_that_raises_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(event: Any) -> None:
        raise ValueError("not that one")

    async with analystd.connect() as desk:
        stop = desk.on_event(refuse)
        assert (await desk.exec_python("1 + 1")).result == "2"
        stop()
    assert "a listener failed" in caplog.text


async def test_events_can_be_followed() -> None:
    async with analystd.connect() as desk:
        running = asyncio.create_task(desk.exec_python("print('one')\nprint('two')"))
        kinds = []
        async for event in desk.follow(timeout=SECONDS):
            kinds.append(event.kind)
            if event.ends_run:
                break
        assert kinds == ["run_queued", "run_started", "output", "run_finished"]
        assert (await running).stdout == "one\ntwo\n"


async def test_who_was_away_is_told_what_was_missed_and_then_what_comes() -> None:
    async with analystd.connect() as desk:
        before = desk.seq
        first = await desk.exec_python("1")
    async with analystd.connect() as desk:
        second = await desk.exec_python("2")
        ended = []
        async with desk.follow(after=before, timeout=SECONDS) as events:
            third = None
            async for event in events:
                if event.ends_run:
                    ended.append(event.run_id)
                if len(ended) == 2 and third is None:
                    third = await desk.start_python("3")
                if len(ended) == 3:
                    break
        assert third is not None
        assert ended == [first.run_id, second.run_id, third.id]
        assert events.seq == desk.seq


async def test_cancelling_the_task_cancels_the_run() -> None:
    async with analystd.connect() as desk:
        events = desk.follow(timeout=SECONDS)
        running = asyncio.create_task(desk.exec_python("import time; time.sleep(60)"))
        async for event in events:
            if event.kind == "run_started":
                running.cancel()
            if event.ends_run:
                assert event.status == "interrupted"
                break
        with pytest.raises((asyncio.CancelledError, RequestCancelledError)):
            await running


async def test_a_request_that_takes_too_long_is_cancelled_with_its_run() -> None:
    async with analystd.connect() as desk:
        events = desk.follow(timeout=SECONDS)
        with pytest.raises(RequestTimeoutError, match=r"analystd.execPython did not come within 0.3 s") as caught:
            await desk.exec_python("import time; time.sleep(60)", timeout=0.3)
        assert isinstance(caught.value, TimeoutError)
        async for event in events:
            if event.ends_run:
                assert event.status == "interrupted"
                break


async def test_an_iterator_that_waited_too_long_can_be_asked_again() -> None:
    async with analystd.connect() as desk:
        events = desk.follow(timeout=0.05)
        with pytest.raises(RequestTimeoutError):
            await anext(events)
        result = await desk.exec_python("1")
        assert (await anext(events)).run_id == result.run_id


async def test_a_client_that_is_forgotten_warns_and_hangs_up(station: Station) -> None:
    desk = await analystd.connect(name="forgotten")
    name = desk.about.client
    with pytest.warns(ResourceWarning, match="Client connected to .* was never closed"):
        del desk
    async with analystd.connect() as other, asyncio.timeout(SECONDS):
        while name in str((await other.status()).clients):
            await asyncio.sleep(0.01)


def test_without_a_daemon_and_leave_to_start_one_it_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("none")))
    with pytest.raises(DaemonLostError, match="No analystd daemon is running"):
        analystd.connect_sync(start=False)
