"""What one client hears of a desk's events: those it wants, each once, in order, from the number on that it knows.

While it is behind, it is served from the journal, at the pace at which it reads; what happens meanwhile is in the journal too.
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
"""A client that missed more events than this is sent a snapshot."""

_HEAD = b'{"jsonrpc":"2.0","method":"%b","params":' % EVENT_METHOD.encode()


def wishes(options: Any) -> tuple[Subscription, int | None, list[str]]:
    """What `initializationOptions` say of events: which, after which number (None: from now on), and what is wrong with that."""
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
    """One client's place in the events of a desk."""

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
        """Tell what is missing, then what happens. Harmless when repeated."""
        if self._seq == self._desk.journal.seq:
            self._is_live = True
        elif self._catching_up is None:
            self._catching_up = asyncio.create_task(self._catch_up(), name=f"feed of {self._outbox.name}")

    def subscribe(self, subscription: Subscription) -> int:
        """Want other events; gives the number after which that counts."""
        self.subscription = subscription
        return self._seq

    async def reach(self, seq: int) -> None:
        """Wait until all up to that number was told, so that an answer does not come before the events that led to it."""
        while not self._is_live and self._seq < seq:
            await self._moved.wait()

    def close(self) -> None:
        """Tell nothing more. Harmless when repeated."""
        self._stop_listening()
        if self._catching_up is not None:
            self._catching_up.cancel()

    def _hear(self, entry: JournalEntry) -> None:
        if self._is_live:
            self._seq = entry.seq
            if self._wants(entry):
                self._outbox.write(_shared_notification(entry.line))

    def _wants(self, entry: JournalEntry) -> bool:
        """Events without a run are about sessions, which all share."""
        if self.subscription == "mine":
            return entry.run_id is None or entry.client_id == self._client_id
        return self.subscription == "all"

    async def _catch_up(self) -> None:
        try:
            await self._tell_missed()
        except Exception:
            logger.exception("%s cannot be told what it missed", self._outbox.name)
            self._send_snapshot()
        # Nothing was awaited since the journal had no more than what was told.
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
    """The message that tells an event, from its line in the journal."""
    return framing.frame_body(b"%b%b}" % (_HEAD, line.rstrip(b"\n")))


_shared_notification = lru_cache(maxsize=1)(_notification)
"""The same for an event that many clients are told at once: they share the bytes."""
