"""The link to the daemon: one connection at a time, opened again when it is needed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from analystd.client._connection import Connection
from analystd.client.status import About
from analystd.discovery.dial import dial
from analystd.discovery.dial_async import in_own_thread
from analystd.wire.errors import DaemonLostError, DeskInUseError

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 0.5

LossListener = Callable[[], None]


@dataclass(frozen=True)
class ConnectOptions:
    """Who connects, to what, and whether it may start a daemon; `id` stays the same for all connections."""

    options: Mapping[str, Any]
    name: str = "client"
    start: bool = True
    reconnect: bool = True
    id: str = field(default_factory=lambda: str(uuid.uuid4()))


class ReconnectingLink:
    """A link that connects when needed. `subscription` returns which events are wanted; `hear` and `lose` are those of `Connection`."""

    def __init__(
        self,
        visit: ConnectOptions,
        hear: Callable[[str, Any], None],
        lose: Callable[[], None],
        subscription: Callable[[], str],
    ) -> None:
        self.visit = visit
        self.about: About | None = None
        self._hear = hear
        self._lose = lose
        self._subscription = subscription
        self._process = os.getpid()
        self._connection: Connection | None = None
        self._meeting = asyncio.Lock()
        self._met = asyncio.Event()
        self._tasks: set[asyncio.Task[Connection]] = set()
        self._loss_listeners: dict[object, LossListener] = {}
        self.is_closed = False

    @property
    def is_up(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None and self._connection.lost is None

    def on_lost(self, listener: LossListener) -> Callable[[], None]:
        """Call `listener` each time a connection ends that this side did not close; return a function that ends this."""
        key = object()
        self._loss_listeners[key] = listener
        return lambda: self._loss_listeners.pop(key, None) and None

    async def connection(self) -> Connection:
        """Return the connection, opened if necessary; start a daemon for it if that is allowed.

        Raises:
            DaemonLostError: when there is no daemon, or this link is closed, or it is lost and may not reconnect.
        """
        return await self._connected(start=self.visit.start)

    async def come_back(self) -> None:
        """Wait for a connection without starting a daemon, because one that was stopped should stay stopped.

        Raises:
            DaemonLostError: when this link is closed, or it is lost and may not reconnect.
        """
        while not self.is_up:
            self._require_open()
            # A daemon that is about to end may still hold the desk.
            with contextlib.suppress(DaemonLostError, DeskInUseError, OSError):
                await self._connected(start=False)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._met.wait(), _LOOK_AGAIN_SECONDS)

    async def aclose(self) -> None:
        """Close the link. Harmless when repeated."""
        self.is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection is not None:
            await self._connection.aclose()

    def abort(self) -> None:
        """Close the link at once, where nothing can be awaited."""
        self.is_closed = True
        if self._connection is not None:
            # The loop may be closed already, and the transport with it.
            with contextlib.suppress(RuntimeError):
                self._connection.abort()

    async def _connected(self, *, start: bool) -> Connection:
        self._require_open()
        if self._connection is not None and self._connection.lost is None:
            return self._connection
        # In a separate task: the waiting caller may be cancelled, and the connection is useful to the next one.
        task = asyncio.create_task(self._meet_once(start))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    def _require_open(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("This client was connected before a fork; connect again in the child process")
        if self.is_closed:
            raise DaemonLostError("This client is closed", "Connect again.")
        if self._connection is not None and self._connection.lost is not None and not self.visit.reconnect:
            raise DaemonLostError(self._connection.lost.message, "Connect again, or connect with `reconnect=True`.")

    def _forget(self, task: asyncio.Task[Connection]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _meet_once(self, start: bool) -> Connection:
        async with self._meeting:
            if self._connection is None or self._connection.lost is not None:
                self._met.clear()
                self._connection = await self._meet(start)
                self._met.set()
            return self._connection

    async def _meet(self, start: bool) -> Connection:
        reader, writer = await asyncio.open_unix_connection(sock=await self._dial(start), limit=1 << 20)
        connection = Connection(reader, writer, self._hear, self._note_loss)
        try:
            self.about = await self._introduce(connection)
        except BaseException:
            await connection.aclose()
            raise
        return connection

    def _note_loss(self) -> None:
        self._lose()
        if not self.is_closed:
            for listener in list(self._loss_listeners.values()):
                try:
                    listener()
                except Exception:
                    logger.exception("a listener failed")

    async def _introduce(self, connection: Connection) -> About:
        params = {
            "processId": os.getpid(),
            "clientInfo": {"name": self.visit.name},
            "rootUri": None,
            "capabilities": {},
            "initializationOptions": {**self.visit.options, "events": self._subscription()},
        }
        answer = await connection.request("initialize", params)
        connection.notify("initialized", {})
        return About.of(answer["capabilities"]["experimental"]["analystd"])

    async def _dial(self, start: bool) -> socket.socket:
        """Return a socket after the hello."""
        how = partial(dial, start=start, client=self.visit.name, client_id=self.visit.id)
        return await in_own_thread(how, socket.socket.close)
