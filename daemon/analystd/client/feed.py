"""The events that a client hears: told to listeners as they come, and to streams without loss or duplicates.

A stream that has missed something (it began later, the connection was lost, or it was not read for long) asks the daemon's journal for
what lies between the last event that it gave and what comes next. That is the same whatever the reason.
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
"""A stream for which more events wait forgets them, and reads them from the journal when it is read again."""

MAX_LOST_IN_A_ROW = 5
"""After so many connections that ended while a stream asked for the same, it gives up."""

_BREADTH: dict[Subscription, int] = {"none": 0, "mine": 1, "all": 2}

EventListener = Callable[[Event], None]


@dataclass(frozen=True)
class StreamFilter:
    """What a stream is about: which events it gives, which of them is the last, and what has to be asked for to hear them."""

    wants: Callable[[Event], bool]
    ends: Callable[[Event], bool]
    subscription: Subscription
    starts_daemon: bool
    """Whether hearing on is worth starting a daemon; if not, one is waited for."""


@dataclass(frozen=True)
class ReplayPage:
    """A page of what a stream has missed: events, whether there are more, and what is told in place of events that are not kept."""

    events: tuple[Event, ...]
    more: bool
    snapshot: Snapshot | None = None
    is_all: bool = False
    """Whether nothing can follow these."""


class Feed:
    """Who listens, and which events have to be subscribed to for that."""

    def __init__(self, subscription: Subscription) -> None:
        self.seq = 0
        """The greatest number that was heard of."""
        self._base: Subscription = subscription
        self._in_force: Subscription | None = subscription
        self._listeners: dict[object, EventListener] = {}
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()

    def hear(self, method: str, params: Any) -> None:
        """Take in a notification."""
        if method == SNAPSHOT_METHOD:
            # Events were left out; what streams need of them, they read in the journal.
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
        """What comes next does not follow what came: the connection is over, or something was left out."""
        for stream in list(self._streams):
            stream.lose()

    def listen(self, listener: EventListener) -> Callable[[], None]:
        """Have every event that comes told to `listener`; gives what ends that."""
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def add(self, stream: EventStream) -> None:
        """Tell a stream all that comes from now on, for as long as someone holds it."""
        self._streams.add(stream)

    def discard(self, stream: EventStream) -> None:
        """Tell a stream nothing more. Harmless when repeated."""
        self._streams.discard(stream)

    def wanted(self) -> Subscription:
        """The subscription that all who listen now need; a new connection begins with it."""
        self._in_force = needed = self._needed()
        return needed

    async def settle(self, link: ReconnectingLink) -> int:
        """Have the subscription be what is needed, and give the number after which that is so; raises as a request does."""
        connection = await link.connection()
        needed = self._needed()
        if needed != self._in_force:
            # Until the answer is there, nobody knows what is in force.
            self._in_force = None
            answer = SubscribeResult.of(await connection.execute(Command.SUBSCRIBE, {"events": needed}))
            self._in_force = answer.events
            self.seq = max(self.seq, answer.seq)
        return self.seq

    def hears(self, subscription: Subscription) -> bool:
        """Whether what comes holds at least as much as this."""
        return self._in_force is not None and _BREADTH[self._in_force] >= _BREADTH[subscription]

    def _needed(self) -> Subscription:
        needs = [self._base, *(stream.theme.subscription for stream in self._streams)]
        return max(needs, key=lambda each: _BREADTH[each])


class EventStream:
    """An async iterator over events, each once and in order. It may be iterated again after an error, and goes on where it was."""

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
        """The number of the last event that was looked at; following `after` it later misses nothing."""
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
        """Whether nothing can follow what was found."""
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
        """The next event, or None after the last.

        Raises:
            EventsGoneError: when some are not kept any more.
            RequestTimeoutError: when none came for the `timeout` of this stream.
            DaemonLostError: when the client is closed, or may not connect again.
        """
        return await within(self._timeout, "The next event", self._next(), "Iterate again to wait on.")

    async def aclose(self) -> None:
        """Hear no more. Harmless when repeated."""
        self._is_over = True
        self._news.set()
        self._feed.discard(self)
        if self._link.is_up:
            with contextlib.suppress(AnalystdError):
                await self._feed.settle(self._link)

    def hear(self, event: Event) -> None:
        """Take in an event as it comes."""
        if len(self._coming) >= MAX_WAITING:
            self.lose()
        elif event.seq > self.seq:
            self._coming.append(event)
            self._news.set()

    def lose(self) -> None:
        """What comes next does not follow what came."""
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
        """Find one page of what was missed; what comes meanwhile follows the last page."""
        if not self.theme.starts_daemon:
            await self._link.come_back()
        losses = self._losses
        try:
            page = await self._next_page()
        except DaemonLostError:
            # Lost while it was asked: the next round connects again, or says why it cannot.
            self._lost_in_a_row += 1
            if losses == self._losses or self._lost_in_a_row == MAX_LOST_IN_A_ROW:
                self._lost_in_a_row = 0
                raise
            return
        self._lost_in_a_row = 0
        if page.snapshot is not None:
            # What came meanwhile was held to the old number, and is read again.
            self.seq = page.snapshot.seq
            raise EventsGoneError(page.snapshot)
        if not page.more and losses == self._losses:
            self._is_behind = False
        self._is_complete = page.is_all
        self._found.extend(page.events)

    async def _next_page(self) -> ReplayPage:
        seq = await self._feed.settle(self._link)
        if self._begins_now:
            # Nothing before the subscription was asked for.
            self._begins_now = False
            self.seq = max(self.seq, seq)
            return ReplayPage((), more=False)
        return await self._missed(self.seq)
