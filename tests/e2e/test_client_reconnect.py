"""Clients whose daemon dies, is stopped, or comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.e2e.users import become_user, kill_daemon
from tests.station import Station

import analystd
from analystd.client import Client, PythonResult, Run
from analystd.client.results import Failure
from analystd.wire.errors import DaemonLostError

SECONDS = 60.0
WAIT = "import time\nprint('waits', flush=True)\nwhile True: time.sleep(0.05)"


@pytest.fixture
def home(fresh_station: Station, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    fresh_station.play([])
    become_user(fresh_station, monkeypatch)
    yield fresh_station


async def waiting_run(desk: Client) -> Run[PythonResult]:
    run = await desk.start_python(WAIT)
    async for event in run.events(timeout=SECONDS):
        if event.kind == "output":
            break
    return run


async def test_what_is_pending_fails_and_the_next_request_connects_anew(home: Station) -> None:
    async with analystd.connect() as desk:
        pending = asyncio.create_task(desk.exec_python(WAIT))
        async for event in desk.follow(timeout=SECONDS):
            if event.kind == "output":
                break
        first = desk.about
        kill_daemon(home)
        with pytest.raises(DaemonLostError, match="The daemon ended"):
            await pending
        assert (await desk.exec_python("1 + 1", timeout=SECONDS)).result == "2"
        assert desk.about.seq > first.seq


async def test_the_end_of_the_daemon_is_told_each_time_and_ones_own_leave_is_not(home: Station) -> None:
    lost: asyncio.Queue[int] = asyncio.Queue()

    def fail() -> None:
        raise ZeroDivisionError

    async with analystd.connect() as desk:
        desk.on_lost(fail)
        stop = desk.on_lost(lambda: lost.put_nowait(1))
        for _ in range(2):
            kill_daemon(home)
            assert await asyncio.wait_for(lost.get(), SECONDS) == 1
            await desk.status(timeout=SECONDS)
        stop()
        desk.on_lost(lambda: lost.put_nowait(2))
    assert lost.empty()


async def test_a_client_that_shall_not_reconnect_stays_lost(home: Station) -> None:
    async with analystd.connect(reconnect=False) as desk:
        events = desk.follow(timeout=SECONDS)
        kill_daemon(home)
        with pytest.raises(DaemonLostError):
            await anext(events)
        with pytest.raises(DaemonLostError, match="The daemon ended"):
            await desk.status()
    assert home.run("status", check=3)


async def test_a_client_that_may_not_start_a_daemon_says_that_there_is_none(home: Station) -> None:
    async with analystd.connect(), analystd.connect(start=False) as desk:
        kill_daemon(home)
        with pytest.raises(DaemonLostError):
            await desk.status()
            await desk.status()
        with pytest.raises(DaemonLostError, match="No analystd daemon is running"):
            await desk.status()


async def test_a_run_that_died_with_its_daemon_is_told_as_such(home: Station) -> None:
    async with analystd.connect() as desk:
        run = await waiting_run(desk)
        result = asyncio.create_task(run.result(timeout=SECONDS))
        events = asyncio.create_task(_all(run))
        await asyncio.sleep(0)
        kill_daemon(home)
        with pytest.raises(DaemonLostError, match="The daemon ended while this run was under way") as caught:
            await result
        assert caught.value.run_id == run.id
        *_, end = await events
        assert end.status == "failed"
        assert isinstance(end.error, Failure)
        assert (end.error.kind, len({event.seq for event in await events})) == ("daemon_lost", len(await events))


async def test_followers_go_on_where_they_were_without_loss_or_duplicates(home: Station) -> None:
    async with analystd.connect() as desk, analystd.connect() as other:
        events = desk.follow(timeout=SECONDS)
        followed = asyncio.create_task(_until_runs_ended(events, 6))
        ran: list[str] = []
        for _ in range(3):
            ran += [(await other.exec_python(f"print({number})")).run_id for number in range(2)]
            if len(ran) < 6:
                kill_daemon(home)
                with pytest.raises(DaemonLostError):
                    await other.status()
        assert await followed == ran
        everything = (await other.events(0)).events
        assert [event.seq for event in everything] == list(range(1, len(everything) + 1))


async def test_every_event_reaches_a_follower_once_and_in_order_over_a_restart(home: Station) -> None:
    async with analystd.connect() as desk:
        await desk.exec_python("1")
        seen: list[int] = []
        async with desk.follow(after=0, timeout=SECONDS) as events:
            async for event in events:
                seen.append(event.seq)
                if event.ends_run and len(seen) < 6:
                    kill_daemon(home)
                    asyncio.get_running_loop().create_task(_again(desk))
                elif event.ends_run:
                    break
        assert seen == list(range(1, len(seen) + 1))


async def test_a_follower_starts_no_daemon_that_was_stopped_but_hears_the_next(home: Station) -> None:
    async with analystd.connect() as desk:
        events = desk.follow()
        hearing = asyncio.create_task(anext(events))
        home.stop()
        await asyncio.wait([hearing], timeout=1.5)
        assert not hearing.done()
        assert home.daemon_pid() is None
        run_id = home.result("exec", "1")["run_id"]
        async with asyncio.timeout(SECONDS):
            assert (await hearing).run_id == run_id


async def test_a_stream_that_is_not_read_forgets_what_it_can_read_again(
    home: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analystd.client.feed.MAX_WAITING", 5)
    async with analystd.connect() as desk:
        events = desk.follow(timeout=SECONDS)
        ran = [(await desk.exec_python(f"print({number})")).run_id for number in range(6)]
        assert len(events._coming) <= 5
        assert await _until_runs_ended(events, 6) == ran


async def test_clients_that_all_lost_their_daemon_share_the_next(home: Station) -> None:
    async with analystd.connect() as one, analystd.connect() as two:
        kill_daemon(home)
        await asyncio.gather(one.status(), two.status(), return_exceptions=True)
        asked = [desk.status(timeout=SECONDS) for desk in (one, two) for _ in range(4)]
        assert len({status.pid for status in await asyncio.gather(*asked)}) == 1


async def _again(desk: Client) -> None:
    try:
        await desk.exec_python("2")
    except DaemonLostError:
        await desk.exec_python("2")


async def _all(run: Run[PythonResult]) -> list[analystd.client.Event]:
    return [event async for event in run.events(timeout=SECONDS)]


async def _until_runs_ended(events: analystd.client.EventStream, count: int) -> list[str | None]:
    ended: list[str | None] = []
    async for event in events:
        if event.ends_run:
            ended.append(event.run_id)
        if len(ended) == count:
            break
    return ended
