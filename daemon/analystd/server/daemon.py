"""The daemon process: its socket, its card, and when it ends."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import secrets
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from analystd import __version__
from analystd.protocol import PROTOCOL_VERSION
from analystd.server.address import Address, Card, private_folder
from analystd.server.connection import Connection
from analystd.server.handlers import all_commands
from analystd.server.hello import caller_of, greet, hear_hello
from analystd.server.hub import Hub
from analystd.server.outbox import Outbox

logger = logging.getLogger(__name__)

_IDLE_CHECK_SECONDS = 5.0
_CLOSE_SECONDS = 20.0
_BACKLOG = 256


class Daemon:
    """Listens on the user's socket, or on one that it was `passed`, and gives each connection the shared hub."""

    def __init__(self, address: Address, passed: socket.socket | None = None) -> None:
        self._passed = passed
        place = address.socket if passed is None else Path(passed.getsockname())
        token = secrets.token_hex(32)
        self._card = Card(address, os.getpid(), __version__, PROTOCOL_VERSION, token, place, hands_over=False)
        self._numbers = itertools.count(1)
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[Card], None]) -> None:
        """Serve until told to stop, or idle for too long; `ready` is called with the card when connections are welcome.

        Raises:
            OSError: when the socket cannot be made.
        """
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, told.set)
        self._hub = await Hub.create(os.environ)
        self._hub.on_making_way = self._tell_making_way
        server = await self._listen()
        self._card.write()
        logger.info("daemon %s listens on %s", __version__, self._card.socket)
        ready(self._card)
        self._hub.touch()
        listening = asyncio.create_task(self._stop_when(told))
        idling = asyncio.create_task(self._watch_idleness())
        # What was built at start stays: it need not be looked at by every collection.
        gc.freeze()
        try:
            await self._hub.stopping.wait()
        finally:
            listening.cancel()
            idling.cancel()
            await self._close(server)

    async def _stop_when(self, told: asyncio.Event) -> None:
        await told.wait()
        logger.info("a signal ends the daemon")
        self._hub.stopping.set()

    async def _listen(self) -> asyncio.Server:
        if self._passed is not None:
            # From Python 3.13 on, asyncio removes sockets that it closes, and this one is systemd's.
            keep: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
            return await asyncio.start_unix_server(self._accept, sock=self._passed, limit=1 << 20, **keep)
        private_folder(self._card.socket.parent)
        self._card.socket.unlink(missing_ok=True)
        old_mask = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._accept, self._card.socket, limit=1 << 20, backlog=_BACKLOG)
        finally:
            os.umask(old_mask)

    def _tell_making_way(self) -> None:
        """Newcomers go to the newer version from now on."""
        self._card = replace(self._card, hands_over=True)
        self._card.write()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except asyncio.CancelledError:
            pass
        except Exception:
            logger.exception("a connection failed")
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _is_own_user(writer.get_extra_info("socket")):
            logger.warning("a connection of another user was refused")
            return
        message = await hear_hello(reader, self._card.token, writer)
        if message is None:
            logger.warning("a connection without the token was refused")
            return
        hub = self._hub
        if hub.stopping.is_set():
            # Who is not greeted waits for our end, and then for the next daemon.
            return
        greet(message, {"pid": os.getpid(), "version": __version__, "protocol": PROTOCOL_VERSION}, writer)
        hello: dict[str, Any] = message["params"]
        caller = caller_of(hello, next(self._numbers))
        outbox = Outbox(writer, caller.asker.name, int(hub.settings.client_queue_mb * 2**20))
        environment = {str(key): str(value) for key, value in dict(hello.get("environment") or {}).items()}
        connection = Connection(hub, caller, environment, outbox, all_commands())
        hub.clients.add(connection)
        hub.touch()
        logger.info("%s connected", connection.name)
        try:
            await connection.serve(reader)
        finally:
            hub.clients.discard(connection)
            hub.touch()
            logger.info("%s left", connection.name)

    async def _watch_idleness(self) -> None:
        limit = self._hub.settings.idle_exit_seconds
        while True:
            await asyncio.sleep(min(_IDLE_CHECK_SECONDS, limit))
            if not self._hub.idle:
                self._hub.touch()
            elif time.monotonic() - self._hub.last_activity >= limit:
                logger.info("idle for %g s: the daemon ends", limit)
                self._hub.stopping.set()

    async def _close(self, server: asyncio.Server) -> None:
        """Leave nothing behind: no child, no card, no socket but one that is systemd's."""
        server.close()
        if self._passed is None:
            self._card.socket.unlink(missing_ok=True)
        try:
            await asyncio.wait_for(self._hub.aclose(), _CLOSE_SECONDS)
        except TimeoutError:
            logger.error("the desks did not close within %g s; the daemon ends without", _CLOSE_SECONDS)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._card.address.card.unlink(missing_ok=True)
        logger.info("daemon ended")


def _is_own_user(connection: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[1] == os.getuid())
