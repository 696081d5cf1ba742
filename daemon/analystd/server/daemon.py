"""The daemon process: it listens on the socket, writes its card, and decides when to end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analystd import __version__
from analystd.discovery.peers import is_own_user
from analystd.discovery.registration import Registration
from analystd.discovery.registry import Address, DaemonInfo, private_folder
from analystd.server.connection import ClientConnection
from analystd.server.handlers import all_commands
from analystd.server.handshake import caller_of, greet, hear_hello
from analystd.server.hub import Hub
from analystd.server.send_queue import SendQueue
from analystd.server.trace import no_trace, open_trace
from analystd.util.locks import HeldLock
from analystd.util.logging_setup import Log
from analystd.util.remove import remove
from analystd.wire.errors import AnalystdError
from analystd.wire.names import PROTOCOL_VERSION

logger = logging.getLogger(__name__)

_IDLE_CHECK_SECONDS = 5.0
_REGISTRATION_CHECK_SECONDS = 2.0
_CLOSE_SECONDS = 20.0
_LEAVE_SECONDS = 2.0
_END_SECONDS = 30.0
"""Maximum time for the whole shutdown, even if threads hang on a disk that does not respond."""

_BACKLOG = 256


class Daemon:
    """A server on the user's socket, or on a `passed` one, whose connections share a hub."""

    def __init__(self, address: Address, lock: HeldLock, log: Log, passed: socket.socket | None = None) -> None:
        self._passed = passed
        self._log = log
        place = address.socket if passed is None else Path(passed.getsockname())
        token = secrets.token_hex(32)
        card = DaemonInfo(address, os.getpid(), __version__, PROTOCOL_VERSION, token, place, hands_over=False)
        self._registration = Registration(card, lock, has_own_socket=passed is None)
        self._numbers = itertools.count(1)
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[DaemonInfo], None]) -> None:
        """Serve until a signal or a request stops the daemon, or it is idle for too long.

        Args:
            ready: called with the card as soon as the daemon accepts connections.

        Raises:
            OSError: when the socket cannot be created.
        """
        told = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, told.set)
        self._hub = await Hub.create(os.environ, self._log)
        self._trace = open_trace(self._hub.settings)
        self._hub.on_making_way = self._registration.announce_making_way
        self._server = await self._listen()
        tasks: list[asyncio.Task[None]] = []
        try:
            self._registration.write_card()
            card = self._registration.card
            logger.info("daemon %s listens on %s", __version__, card.socket)
            ready(card)
            self._hub.touch()
            watches = (self._stop_when(told), self._watch_idleness(), self._watch_registration())
            tasks += [asyncio.create_task(watch) for watch in watches]
            # Objects made at the start stay, so garbage collections need not examine them.
            gc.freeze()
            await self._hub.stopping.wait()
        finally:
            for task in tasks:
                task.cancel()
            await self._close()

    async def _stop_when(self, told: asyncio.Event) -> None:
        await told.wait()
        logger.info("a signal ends the daemon")
        self._hub.stopping.set()

    async def _listen(self) -> asyncio.Server:
        if self._passed is not None:
            # From Python 3.13 on, asyncio removes sockets that it closes, and this one is systemd's.
            keep: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
            return await asyncio.start_unix_server(self._accept, sock=self._passed, limit=1 << 20, **keep)
        place = self._registration.card.socket
        private_folder(place.parent)
        remove(place)
        old_mask = os.umask(0o177)
        try:
            server = await asyncio.start_unix_server(self._accept, place, limit=1 << 20, backlog=_BACKLOG)
        finally:
            os.umask(old_mask)
        self._registration.note_socket()
        return server

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
        if not is_own_user(writer.get_extra_info("socket")):
            logger.warning("a connection of another user was refused")
            return
        message = await hear_hello(reader, self._registration.card.token, writer)
        if message is None:
            logger.warning("a connection without the token was refused")
            return
        hub = self._hub
        if hub.stopping.is_set():
            # A client that is not greeted waits for this daemon to end, then for the next one.
            return
        greet(message, {"pid": os.getpid(), "version": __version__, "protocol": PROTOCOL_VERSION}, writer)
        hello: dict[str, Any] = message["params"]
        number = next(self._numbers)
        caller = caller_of(hello, number)
        trace = no_trace if self._trace is None else self._trace.of_connection(number)
        outbox = SendQueue(writer, caller.asker.name, int(hub.settings.client_queue_mb * 2**20), trace)
        environment = {str(key): str(value) for key, value in dict(hello.get("environment") or {}).items()}
        connection = ClientConnection(hub, caller, environment, outbox, all_commands(), trace)
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

    async def _watch_registration(self) -> None:
        """End if the lock is lost, since clients would then find only another daemon; restore a card or socket that was removed."""
        while True:
            await asyncio.sleep(_REGISTRATION_CHECK_SECONDS)
            registration = self._registration
            if registration.is_lost:
                reason = f"The lock of this daemon, {registration.card.address.lock}, was removed or replaced"
                logger.error("%s: nobody can find this daemon any more, and it ends", reason)
                self._hub.announce_loss(f"{reason}, so that it ends")
                self._hub.stopping.set()
                return
            try:
                await self._register_again()
                await self._hub.release_lost_desks()
            except (OSError, AnalystdError) as exc:
                logger.error("what was removed of this daemon cannot be put back: %s", exc)

    async def _register_again(self) -> None:
        registration = self._registration
        if registration.lacks_socket:
            logger.warning("%s was removed or replaced; it is made anew", registration.card.socket)
            self._server.close()
            self._server = await self._listen()
        if registration.lacks_card:
            logger.warning("%s was removed or replaced; it is written anew", registration.card.address.card)
            registration.write_card()

    async def _close(self) -> None:
        """Close everything; leave no child process, no card, and no socket unless it is systemd's."""
        end_process_after(_END_SECONDS)
        self._server.close()
        self._registration.remove_socket()
        try:
            await asyncio.wait_for(self._hub.aclose(), _CLOSE_SECONDS)
        except TimeoutError:
            logger.error("the desks did not close within %g s; the daemon ends without", _CLOSE_SECONDS)
        for task in list(self._connections):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_LEAVE_SECONDS)
        if self._trace is not None:
            self._trace.close()
        self._registration.remove_card()
        logger.info("daemon ended")


def end_process_after(seconds: float) -> None:
    """End the process after `seconds` in any case: a thread that waits for a disk can be neither cancelled nor left behind."""

    def end() -> None:
        logger.error("the daemon did not end within %g s of itself and is cut off", seconds)
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
