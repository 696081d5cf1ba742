"""Deliver the events that a client receives: to listeners as they come, and to streams without loss or duplicates.

A stream that has missed events (it began later, the connection was lost, or it was not read for long) requests those after the last one
that it yielded from the daemon's journal, whatever the reason was.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

from analystd.client._connection import tell
from analystd.client._reconnecting import ReconnectingLink
from analystd.client._timeouts import within
from analystd.client.errors import EventsGoneError
from analystd.client.events import Event, Snapshot, SubscribeResult
from analystd.wire.errors import AnalystdError, DaemonLostError
from analystd.wire.names import EVENT_METHOD, SNAPSHOT_METHOD, Command, Subscription

MAX_WAITING = 10_000
"""A stream for which more events wait drops them, and reads them from the journal when it is read again."""

MAX_LOST_IN_A_ROW = 5
"""A stream gives up after this many connections in a row that were lost during the same request."""

_BREADTH: dict[Subscription, int] = {"none": 0, "mine": 1, "all": 2}

EventListener = Callable[[Event], None]


@dataclass(frozen=True)
class StreamFilter:
    """Which events a stream yields, which of them is the last, and which subscription that needs."""

    wants: Callable[[Event], bool]
    ends: Callable[[Event], bool]
    subscription: Subscription
    starts_daemon: bool
    """Whether the stream starts a daemon in order to continue; if not, it waits for one."""


@dataclass(frozen=True)
class ReplayPage:
    """A page of the events that a stream has missed: events, whether there are more, and a snapshot in place of events that are no longer kept."""

    events: tuple[Event, ...]
    more: bool
    snapshot: Snapshot | None = None
    is_all: bool = False
    """Whether no event can follow these."""


class Feed:
    """The listeners and streams of a client, and the subscription that they need."""

    def __init__(self, subscription: Subscription) -> None:
        self.seq = 0
        """The greatest event number that is known."""
        self._base: Subscription = subscription
        self._in_force: Subscription | None = subscription
        self._listeners: dict[object, EventListener] = {}
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()

    def hear(self, method: str, params: Any) -> None:
        """Handle a notification."""
        if method == SNAPSHOT_METHOD:
            # Events were left out; streams read those that they need from the journal.
            self.lose()
        if method != EVENT_METHOD:
            return
        event = Event.of(params)
        self.seq = max(self.seq, event.seq)
        for listener in list(self._listeners.values()):
            tell(listener, event)
        for stream in list(self._streams):
            stream.hear(event)

    def lose(self) -> None:
        """Note a gap before the next event: the connection is lost, or events were left out."""
        for stream in list(self._streams):
            stream.lose()

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with every event that comes; return a function that ends this."""
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def add(self, stream: EventStream) -> None:
        """Pass all further events to a stream, for as long as there is a reference to it."""
        self._streams.add(stream)

    def discard(self, stream: EventStream) -> None:
        """Pass no more events to a stream. Harmless when repeated."""
        self._streams.discard(stream)

    def wanted(self) -> Subscription:
        """Return the subscription that the listeners and streams need now, with which a new connection begins."""
        self._in_force = needed = self._needed()
        return needed

    async def settle(self, link: ReconnectingLink) -> int:
        """Subscribe to what is needed, and return the number of the event after which that applies; the errors are those of a request."""
        connection = await link.connection()
        needed = self._needed()
        if needed != self._in_force:
            # Until the answer comes, it is unknown which subscription is in force.
            self._in_force = None
            answer = SubscribeResult.of(await connection.execute(Command.SUBSCRIBE, {"events": needed}))
            self._in_force = answer.events
            self.seq = max(self.seq, answer.seq)
        return self.seq

    def hears(self, subscription: Subscription) -> bool:
        """Return whether the subscription in force includes this one."""
        return self._in_force is not None and _BREADTH[self._in_force] >= _BREADTH[subscription]

    def _needed(self) -> Subscription:
        needs = [self._base, *(stream.theme.subscription for stream in self._streams)]
        return max(needs, key=lambda each: _BREADTH[each])


class EventStream:
    """An async iterator over events, each once and in order. After an error, it can be iterated again, and continues where it was."""

    def __init__(
        self,
        link: ReconnectingLink,
        feed: Feed,
        theme: StreamFilter,
        missed: Callable[[int], Awaitable[ReplayPage]],
        *,
        after: int | None,
        timeout: float | None = None,
    ) -> None:
        self.theme = theme
        self.seq = feed.seq if after is None else after
        """The number of the last event that was examined; following `after` it later misses nothing."""
        self._link = link
        self._feed = feed
        self._missed = missed
        self._timeout = timeout
        self._losses = 0
        self._begins_now = after is None and link.is_up and not feed.hears(theme.subscription)
        self._is_behind = self._begins_now or after is not None or not link.is_up
        self._found: deque[Event] = deque()
        self._coming: deque[Event] = deque()
        self._news = asyncio.Event()
        self._is_over = False
        self._is_complete = False
        """Whether no event can follow those in `_found`."""
        self._lost_in_a_row = 0
        feed.add(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        event = await self.next_event()
        if event is None:
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def next_event(self) -> Event | None:
        """Return the next event, or None after the last.

        Raises:
            EventsGoneError: when some events are no longer kept.
            RequestTimeoutError: when none came within the `timeout` of this stream.
            DaemonLostError: when the client is closed, or may not connect again.
        """
        return await within(self._timeout, "The next event", self._next(), "Iterate again to wait on.")

    async def aclose(self) -> None:
        """End the iteration. Harmless when repeated."""
        self._is_over = True
        self._news.set()
        self._feed.discard(self)
        if self._link.is_up:
            with contextlib.suppress(AnalystdError):
                await self._feed.settle(self._link)

    def hear(self, event: Event) -> None:
        """Queue a new event."""
        if len(self._coming) >= MAX_WAITING:
            self.lose()
        elif event.seq > self.seq:
            self._coming.append(event)
            self._news.set()

    def lose(self) -> None:
        """Note a gap before the next event, so that the stream reads the journal."""
        self._losses += 1
        self._begins_now = False
        self._is_behind = True
        self._coming.clear()
        self._news.set()

    async def _next(self) -> Event | None:
        while not self._is_over:
            if self._is_complete and not self._found:
                self._is_over = True
            elif self._found or (self._coming and not self._is_behind):
                event = (self._found or self._coming).popleft()
                if event.seq > self.seq:
                    self.seq = event.seq
                    self._is_over = self.theme.ends(event)
                    if self.theme.wants(event):
                        return event
            elif self._is_behind:
                await self._catch_up()
            else:
                self._news.clear()
                await self._news.wait()
        return None

    async def _catch_up(self) -> None:
        """Fetch one page of the missed events; events that come meanwhile follow the last page."""
        if not self.theme.starts_daemon:
            await self._link.come_back()
        losses = self._losses
        try:
            page = await self._next_page()
        except DaemonLostError:
            # Lost during the request: the next round connects again, or raises the reason why it cannot.
            self._lost_in_a_row += 1
            if losses == self._losses or self._lost_in_a_row == MAX_LOST_IN_A_ROW:
                self._lost_in_a_row = 0
                raise
            return
        self._lost_in_a_row = 0
        if page.snapshot is not None:
            # Events that came meanwhile were compared with the old number, and are read again.
            self.seq = page.snapshot.seq
            raise EventsGoneError(page.snapshot)
        if not page.more and losses == self._losses:
            self._is_behind = False
        self._is_complete = page.is_all
        self._found.extend(page.events)

    async def _next_page(self) -> ReplayPage:
        seq = await self._feed.settle(self._link)
        if self._begins_now:
            # No events before the subscription are wanted.
            self._begins_now = False
            self.seq = max(self.seq, seq)
            return ReplayPage((), more=False)
        return await self._missed(self.seq)
