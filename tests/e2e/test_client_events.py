"""Which events a client is sent, what it hears when it asks for more, and what it is told when they are gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.e2e.users import become_user, kill_daemon
from tests.station import Station

import analystd
from analystd.client import Client, Event, EventsGoneError, EventStream
from analystd.wire.errors import DaemonLostError
from analystd.wire.names import SNAPSHOT_METHOD

SECONDS = 60.0


@pytest.fixture(autouse=True)
def as_the_stations_user(station: Station, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    become_user(station, monkeypatch)
    yield


def heard_by(desk: Client) -> list[Event]:
    """What comes unasked, as it comes."""
    heard: list[Event] = []
    desk.on_event(heard.append)
    return heard


async def subscription_of(desk: Client, other: Client) -> str:
    """Which events the daemon sends to a client."""
    (info,) = [info for info in (await other.status()).clients if info["id"] == desk.id]
    return str(info["events"])


async def first_end(events: EventStream) -> str | None:
    """Which run is the next to end."""
    async for event in events:
        if event.ends_run:
            return event.run_id
    return None


async def test_a_client_that_wants_none_is_sent_none_and_hears_what_it_asks_for() -> None:
    async with analystd.connect(events="none") as desk, analystd.connect() as other:
        heard = heard_by(desk)
        await other.exec_python("1")
        run = await desk.start_python("print('mine')")
        assert (await run.result(timeout=SECONDS)).stdout == "mine\n"
        assert [event.kind async for event in run.events(timeout=SECONDS)][-1] == "run_finished"
        assert {event.run_id for event in heard} <= {run.id}
        async with desk.follow(timeout=SECONDS) as events:
            asking = asyncio.create_task(first_end(events))
            async with asyncio.timeout(SECONDS):
                while await subscription_of(desk, other) != "all":
                    await asyncio.sleep(0.01)
            result = await other.exec_python("2")
            assert await asking == result.run_id
        assert await subscription_of(desk, other) == "none"
        heard.clear()
        await other.exec_python("3")
        await desk.exec_python("4")
        assert heard == []


async def test_a_client_that_wants_its_own_is_not_sent_those_of_others() -> None:
    async with analystd.connect(events="mine") as desk, analystd.connect() as other:
        heard = heard_by(desk)
        theirs = await other.exec_python("1")
        mine = await desk.exec_python("2")
        assert {event.run_id for event in heard} == {mine.run_id}
        assert {event.client_id for event in heard} == {desk.id}
        assert [event.kind async for event in desk.run(theirs.run_id).events(timeout=SECONDS)][-1] == "run_finished"


async def test_a_follower_of_its_own_is_told_of_no_others() -> None:
    async with analystd.connect(events="none") as desk, analystd.connect() as other:
        before = (await desk.events(desk.seq)).seq
        await other.exec_python("1")
        mine = await desk.exec_python("2")
        events = desk.follow(after=before, mine=True, timeout=SECONDS)
        assert await first_end(events) == mine.run_id


async def test_what_is_mine_stays_mine_when_the_daemon_is_replaced(fresh_station: Station) -> None:
    fresh_station.play([])
    with pytest.MonkeyPatch.context() as patch:
        become_user(fresh_station, patch)
        async with analystd.connect(events="mine", name="steady") as desk:
            first = await desk.exec_python("1")
            events = desk.follow(after=0, mine=True, timeout=SECONDS)
            assert await first_end(events) == first.run_id
            kill_daemon(fresh_station)
            with pytest.raises(DaemonLostError):
                await desk.status()
            second = await desk.exec_python("2")
            assert await first_end(events) == second.run_id
            assert {run.client_id for run in await desk.list_runs()} == {desk.id}
            assert desk.about.client.startswith("steady-")


async def test_a_follower_hears_what_comes_after_the_call_though_it_is_read_later() -> None:
    async with (
        analystd.connect(events="none") as desk,
        analystd.connect() as other,
        desk.follow(timeout=SECONDS) as now,
    ):
        reading = asyncio.create_task(first_end(now))
        async with asyncio.timeout(SECONDS):
            while await subscription_of(desk, other) != "all":
                await asyncio.sleep(0.01)
        later = desk.follow(timeout=SECONDS)
        result = await other.exec_python("1")
        assert [await first_end(later), await reading] == [result.run_id] * 2


async def test_who_asks_for_events_that_are_gone_is_given_a_snapshot_and_goes_on_after_it() -> None:
    async with analystd.connect() as desk:
        run = await desk.exec_python("1")
        events = desk.follow(after=10**9, timeout=SECONDS)
        with pytest.raises(EventsGoneError, match="are not kept any more") as gone:
            await anext(events)
        assert gone.value.snapshot.runs[0].run_id == run.run_id
        assert events.seq == gone.value.snapshot.seq
        after = await desk.exec_python("2")
        assert await first_end(events) == after.run_id


async def test_events_that_the_daemon_left_out_are_read_in_its_journal() -> None:
    async with analystd.connect() as desk:
        events = desk.follow(timeout=SECONDS)
        result = await desk.exec_python("1")
        events._coming.clear()
        desk._feed.hear(SNAPSHOT_METHOD, {})
        assert await first_end(events) == result.run_id
