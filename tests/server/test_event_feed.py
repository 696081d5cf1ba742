from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.desk.desks import Office, by

from analystd.desk.desk import Desk
from analystd.server import event_feed as feed_module
from analystd.server.event_feed import EventFeed, wishes
from analystd.server.send_queue import SendQueue
from analystd.wire import framing
from analystd.wire.arguments import ExecPython
from analystd.wire.names import Subscription


class Listener:
    """A client of a desk over a real socket."""

    def __init__(self, reader: asyncio.StreamReader, outbox: SendQueue, feed: EventFeed) -> None:
        self.feed = feed
        self.outbox = outbox
        self._reader = reader

    async def next(self) -> dict[str, Any]:
        body = await asyncio.wait_for(framing.read_body(self._reader), 20)
        assert body is not None
        message: dict[str, Any] = json.loads(body)
        return message

    async def numbers_up_to(self, last: int) -> list[int]:
        numbers: list[int] = []
        while not numbers or numbers[-1] < last:
            numbers.append((await self.next())["params"]["seq"])
        return numbers


class Listeners:
    """Opens clients of a desk, and closes them at the end."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._open: list[tuple[EventFeed, SendQueue, asyncio.StreamWriter]] = []

    async def come(self, client: str = "a", wish: Subscription = "all", after: int | None = None) -> Listener:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_unix_connection(sock=ours)
        reader, other = await asyncio.open_unix_connection(sock=theirs, limit=1 << 22)
        outbox = SendQueue(writer, client, 1 << 26)
        feed = EventFeed(self.desk, outbox, client, wish, self.desk.journal.seq if after is None else after)
        self._open.append((feed, outbox, other))
        return Listener(reader, outbox, feed)

    async def aclose(self) -> None:
        for feed, outbox, other in self._open:
            feed.close()
            await outbox.aclose()
            other.close()
            await asyncio.gather(other.wait_closed(), return_exceptions=True)


@pytest.fixture
async def listeners(tmp_path: Path) -> AsyncIterator[Listeners]:
    desk, _ = Office(tmp_path).open(["Fine."])
    listeners = Listeners(desk)
    yield listeners
    await listeners.aclose()
    await desk.aclose()


async def work(desk: Desk, client: str, times: int = 1) -> None:
    for number in range(times):
        await desk.start_python(ExecPython(code=f"{number}"), by(client)).result()


async def test_who_comes_back_is_told_all_that_it_missed_and_then_what_happens(listeners: Listeners) -> None:
    await work(listeners.desk, "a", 5)
    listener = await listeners.come(after=3)
    listener.feed.begin()
    working = asyncio.create_task(work(listeners.desk, "b", 30))
    await working
    last = listeners.desk.journal.seq
    assert await listener.numbers_up_to(last) == list(range(4, last + 1))


async def test_nothing_is_told_twice_or_left_out_while_the_desk_goes_on(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = listeners.desk
    real_page = desk.journal.page

    async def small_page(after: int, **how: Any) -> Any:
        await work(desk, "b")
        return await real_page(after, limit=9)

    await work(desk, "a", 20)
    monkeypatch.setattr(desk.journal, "page", small_page)
    many = [await listeners.come(after=after) for after in (0, 1, 40)]
    for listener in many:
        listener.feed.begin()
    reading = [asyncio.create_task(listener.numbers_up_to(desk.journal.seq + 20)) for listener in many]
    await work(desk, "b", 20)
    for after, numbers in zip((0, 1, 40), await asyncio.gather(*reading), strict=True):
        assert numbers == list(range(after + 1, numbers[-1] + 1))


async def test_before_it_begins_a_client_is_told_nothing_and_then_misses_nothing(listeners: Listeners) -> None:
    listener = await listeners.come()
    await work(listeners.desk, "b", 2)
    await asyncio.sleep(0)
    assert listener.outbox.waiting_bytes == 0
    listener.feed.begin()
    last = listeners.desk.journal.seq
    assert await listener.numbers_up_to(last) == list(range(1, last + 1))


async def test_mine_are_the_events_of_the_runs_that_this_client_asked_for_and_of_sessions(
    listeners: Listeners,
) -> None:
    desk = listeners.desk
    await work(desk, "a")
    await work(desk, "b")
    listener = await listeners.come("a", "mine", after=0)
    listener.feed.begin()
    await work(desk, "b")
    await desk.reset_session("main", by("b"))
    await work(desk, "a")
    told = [(await listener.next())["params"] for _ in range(9)]
    assert [event["client_id"] for event in told] == [*["a"] * 4, "b", *["a"] * 4]
    assert told[4]["kind"] == "session_reset"


async def test_who_wants_none_hears_none_until_it_wants_all(listeners: Listeners) -> None:
    desk = listeners.desk
    await work(desk, "a")
    listener = await listeners.come("a", "none", after=0)
    listener.feed.begin()
    await work(desk, "a")
    since = listener.feed.subscribe("all")
    assert since == desk.journal.seq
    await work(desk, "b")
    assert await listener.numbers_up_to(desk.journal.seq) == list(range(since + 1, desk.journal.seq + 1))


async def test_what_is_too_long_ago_is_a_snapshot_and_then_what_happens(
    listeners: Listeners, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = listeners.desk
    await work(desk, "a", 4)
    monkeypatch.setattr(feed_module, "MAX_REPLAYED", 10)
    listener = await listeners.come(after=2)
    listener.feed.begin()
    snapshot = await listener.next()
    assert snapshot["method"] == "analystd/snapshot"
    assert (snapshot["params"]["seq"], snapshot["params"]["first_seq"]) == (16, 1)
    assert [run["client_id"] for run in snapshot["params"]["runs"]] == ["a"] * 4
    assert [session["name"] for session in snapshot["params"]["sessions"]] == ["main"]
    await work(desk, "b")
    assert await listener.numbers_up_to(20) == [17, 18, 19, 20]


async def test_a_number_that_the_desk_never_gave_out_is_answered_by_a_snapshot(listeners: Listeners) -> None:
    await work(listeners.desk, "a")
    listener = await listeners.come(after=1000)
    listener.feed.begin()
    assert (await listener.next())["params"]["seq"] == 4


async def test_a_replay_goes_at_the_pace_of_its_reader(listeners: Listeners) -> None:
    desk = listeners.desk
    for _ in range(40):
        await desk.start_python(ExecPython(code="x" * 200_000), by("a")).result()
    listener = await listeners.come(after=0)
    listener.feed.begin()
    while listener.outbox.waiting_bytes == 0:
        await work(desk, "b")
    await work(desk, "b", 20)
    assert listener.outbox.waiting_bytes < 3_000_000
    assert await listener.numbers_up_to(desk.journal.seq) == list(range(1, desk.journal.seq + 1))


def test_wishes_that_cannot_be_are_told_and_the_default_is_used() -> None:
    assert wishes(None) == ("all", None, [])
    assert wishes({"events": "mine", "events_after": 7}) == ("mine", 7, [])
    subscription, after, problems = wishes({"events": "some", "events_after": -1})
    assert (subscription, after) == ("all", None)
    assert problems == [
        "`events` is 'some', not one of 'all', 'mine', 'none'; 'all' is used",
        "`events_after` is -1, not the number of an event; events are told from now on",
    ]
    assert wishes({"events": ["all"], "events_after": True})[:2] == ("all", None)
