"""Send a client the events of a desk that it subscribed to: each once, in order, after the last number that it knows.

While the client is behind, its feed reads the journal at the client's own pace; new events are in the journal too.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from typing import Any, get_args

from analystd.desk.desk import Desk
from analystd.desk.segments import JournalEntry
from analystd.server.send_queue import SendQueue
from analystd.wire import framing
from analystd.wire.jsonrpc import message_frame
from analystd.wire.names import EVENT_METHOD, SNAPSHOT_METHOD, Subscription

logger = logging.getLogger(__name__)

MAX_REPLAYED = 10_000
"""A client that has missed more events than this is sent a snapshot."""

_HEAD = b'{"jsonrpc":"2.0","method":"%b","params":' % EVENT_METHOD.encode()


def wishes(options: Any) -> tuple[Subscription, int | None, list[str]]:
    """Read the options about events from `initializationOptions`.

    Returns:
        The subscription, the number of the event after which events are sent (None: from now on), and the problems found.
    """
    options = options if isinstance(options, dict) else {}
    subscription, after = options.get("events", "all"), options.get("events_after")
    problems: list[str] = []
    if subscription not in get_args(Subscription):
        problems.append(f"`events` is {subscription!r}, not one of 'all', 'mine', 'none'; 'all' is used")
        subscription = "all"
    if after is not None and (not isinstance(after, int) or isinstance(after, bool) or after < 0):
        problems.append(f"`events_after` is {after!r}, not the number of an event; events are told from now on")
        after = None
    return subscription, after, problems


class EventFeed:
    """One client's position in the events of a desk."""

    def __init__(self, desk: Desk, outbox: SendQueue, client_id: str, subscription: Subscription, after: int) -> None:
        self.subscription = subscription
        self._desk = desk
        self._outbox = outbox
        self._client_id = client_id
        self._seq = after
        self._is_live = False
        self._moved = asyncio.Event()
        self._stop_listening = desk.listen(self._hear)
        self._catching_up: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Send the missed events, then new ones as they occur. Harmless when repeated."""
        if self._seq == self._desk.journal.seq:
            self._is_live = True
        elif self._catching_up is None:
            self._catching_up = asyncio.create_task(self._catch_up(), name=f"feed of {self._outbox.name}")

    def subscribe(self, subscription: Subscription) -> int:
        """Change the subscription; return the number of the event after which it applies."""
        self.subscription = subscription
        return self._seq

    async def reach(self, seq: int) -> None:
        """Wait until every event up to `seq` is sent, so that an answer does not precede the events that led to it."""
        while not self._is_live and self._seq < seq:
            await self._moved.wait()

    def close(self) -> None:
        """Stop sending events. Harmless when repeated."""
        self._stop_listening()
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _hear(self, entry: JournalEntry) -> None:
        if self._is_live:
            self._seq = entry.seq
            if self._wants(entry):
                self._outbox.write(_shared_notification(entry.line))

    def _wants(self, entry: JournalEntry) -> bool:
        """Return whether the client subscribed to this event. Events without a run are about sessions, which all clients share."""
        if self.subscription == "mine":
            return entry.run_id is None or entry.client_id == self._client_id
        return self.subscription == "all"

    async def _catch_up(self) -> None:
        try:
            await self._tell_missed()
        except Exception:
            logger.exception("%s cannot be told what it missed", self._outbox.name)
            self._send_snapshot()
        # Nothing was awaited since the feed reached the end of the journal, so no event is missing.
        self._is_live = True
        self._moved.set()

    async def _tell_missed(self) -> None:
        journal = self._desk.journal
        if journal.seq - self._seq > MAX_REPLAYED:
            self._send_snapshot()
        while self._seq != journal.seq and not self._outbox.closed:
            if self.subscription == "none":
                self._seq = journal.seq
            elif not self._desk.tells_all_after(self._seq):
                self._send_snapshot()
            else:
                await self._send_page()

    async def _send_page(self) -> None:
        page = await self._desk.journal.page(self._seq)
        for entry in page.entries:
            if self._wants(entry):
                self._outbox.write(_notification(entry.line))
        self._seq = page.last
        self._moved.set()
        self._moved.clear()
        await self._outbox.room()

    def _send_snapshot(self) -> None:
        if self.subscription != "none":
            snapshot = self._desk.snapshot()
            if frame := message_frame({"jsonrpc": "2.0", "method": SNAPSHOT_METHOD, "params": snapshot}, None):
                self._outbox.write(frame)
        self._seq = self._desk.journal.seq


def _notification(line: bytes) -> bytes:
    """Return the notification of an event, made from its line in the journal."""
    return framing.frame_body(b"%b%b}" % (_HEAD, line.rstrip(b"\n")))


_shared_notification = lru_cache(maxsize=1)(_notification)
"""The same, cached for the event that is sent to many clients at once: they share the bytes."""
