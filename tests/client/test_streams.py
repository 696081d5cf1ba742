"""Test streams of events at moments that a real daemon cannot be made to reach: events that come while an answer is on its way."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from analystd.client._reconnecting import ReconnectingLink
from analystd.client.errors import EventsGoneError
from analystd.client.events import Event, Snapshot
from analystd.client.feed import EventStream, Feed, ReplayPage, StreamFilter
from analystd.wire.errors import DaemonLostError
from analystd.wire.names import EVENT_METHOD


class StandInLink:
    """A link that is connected. It records the subscriptions requested, and answers them unless `hangs`."""

    is_up = True

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.hangs = False

    async def connection(self) -> StandInLink:
        return self

    async def come_back(self) -> None:
        pass

    async def execute(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(arguments["events"])
        if self.hangs:
            await asyncio.sleep(3600)
        return {**arguments, "seq": 5}


def event(seq: int) -> dict[str, Any]:
    return {
        "seq": seq,
        "run_id": None,
        "kind": "session_reset",
        "at": 0.0,
        "client": None,
        "client_id": None,
        "session": "s",
    }


def stream(link: StandInLink, feed: Feed, missed: Any, after: int) -> EventStream:
    theme = StreamFilter(lambda _event: True, lambda _event: False, "all", starts_daemon=False)
    return EventStream(cast(ReconnectingLink, link), feed, theme, missed, after=after, timeout=5)


async def test_what_comes_with_a_snapshot_is_read_again_after_it() -> None:
    feed, asked = Feed("all"), []

    async def missed(after: int) -> ReplayPage:
        asked.append(after)
        if after > 100:
            feed.hear(EVENT_METHOD, event(8))
            return ReplayPage((), more=False, snapshot=Snapshot(seq=7, first_seq=1, runs=(), sessions=()))
        return ReplayPage((Event.of(event(8)),), more=False)

    events = stream(StandInLink(), feed, missed, 10**9)
    with pytest.raises(EventsGoneError):
        await anext(events)
    assert [(await anext(events)).seq, asked] == [8, [10**9, 7]]


async def test_a_subscription_whose_answer_never_came_is_asked_for_again() -> None:
    link, feed = StandInLink(), Feed("none")

    async def missed(after: int) -> ReplayPage:
        return ReplayPage((Event.of(event(after + 1)),), more=False)

    events = stream(link, feed, missed, 0)
    link.hangs = True
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(events), 0.05)
    assert not feed.hears("mine")
    link.hangs = False
    await anext(events)
    assert link.asked == ["all", "all"]
    assert feed.hears("all")


async def test_a_question_that_ends_each_connection_is_given_up() -> None:
    feed = Feed("all")

    async def missed(_after: int) -> ReplayPage:
        feed.lose()
        raise DaemonLostError("gone")

    events = stream(StandInLink(), feed, missed, 0)
    for _ in range(2):
        with pytest.raises(DaemonLostError, match="gone"):
            await asyncio.wait_for(anext(events), 5)
