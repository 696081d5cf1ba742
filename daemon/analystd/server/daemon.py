"""The daemon process: its socket, its card, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import logging
import os
import secrets
import signal
import socket
import struct
import time
from pathlib import Path

from analystd import __version__
from analystd.protocol import PROTOCOL_VERSION
from analystd.runids import log_to_file
from analystd.server.connection import Connection
from analystd.server.dial import Address, daemon_address, private_folder
from analystd.server.handlers import all_commands
from analystd.server.hello import caller_of, introduce
from analystd.server.hub import Hub
from analystd.server.outbox import Outbox
from analystd.settings import load_settings, log_folder

logger = logging.getLogger(__name__)

_IDLE_CHECK_SECONDS = 5.0


class Daemon:
    """Listens on the user's socket and gives each connection the shared hub."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._token = secrets.token_hex(32)
        self._numbers = itertools.count(1)
        self._connections: set[asyncio.Task[None]] = set()

    async def run(self, ready: Path | None = None) -> None:
        """Serve until told to stop, or idle for too long; `ready` is touched when connections are welcome.

        Raises:
            OSError: when the socket cannot be made.
        """
        self._hub = await Hub.create(os.environ)
        server = await self._listen()
        self._write_card()
        logger.info("daemon %s listens on %s", __version__, self._address.socket)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._hub.stopping.set)
        if ready is not None:
            ready.touch()
        idling = asyncio.create_task(self._watch_idleness())
        # What was built at start stays: it need not be looked at by every collection.
        gc.freeze()
        try:
            await self._hub.stopping.wait()
        finally:
            idling.cancel()
            await self._close(server)

    async def _listen(self) -> asyncio.Server:
        private_folder(self._address.socket.parent)
        self._address.socket.unlink(missing_ok=True)
        old_mask = os.umask(0o177)
        try:
            return await asyncio.start_unix_server(self._accept, self._address.socket, limit=1 << 20)
        finally:
            os.umask(old_mask)

    def _write_card(self) -> None:
        card = {"pid": os.getpid(), "version": __version__, "protocol": PROTOCOL_VERSION, "token": self._token}
        draft = self._address.card.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(card))
        draft.replace(self._address.card)

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
        about = {"pid": os.getpid(), "version": __version__, "protocol": PROTOCOL_VERSION}
        hello = await introduce(reader, self._token, about, writer)
        if hello is None:
            logger.warning("a connection without the token was refused")
            return
        hub = self._hub
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
            if self._hub.idle and time.monotonic() - self._hub.last_activity >= limit:
                logger.info("idle for %g s: the daemon ends", limit)
                self._hub.stopping.set()

    async def _close(self, server: asyncio.Server) -> None:
        """Leave nothing behind: no card, no socket, no child."""
        for path in (self._address.card, self._address.socket):
            path.unlink(missing_ok=True)
        server.close()
        await self._hub.aclose()
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        logger.info("daemon ended")


def serve(*, detach: bool) -> int:
    """Run the daemon, in the foreground or detached (then this returns when it is ready); gives the exit status."""
    address = daemon_address()
    private_folder(address.folder)
    ready = address.folder / f"{address.name}.ready-{secrets.token_hex(4)}" if detach else None
    if ready is not None and (child := os.fork()):
        return _wait_until_ready(child, ready)
    if detach:
        os.setsid()
    settings = load_settings(os.environ).settings
    log_to_file(log_folder(settings), echo=not detach)
    logging.getLogger("pygls").setLevel(logging.WARNING)
    asyncio.run(Daemon(address).run(ready))
    return 0


def _wait_until_ready(child: int, ready: Path) -> int:
    try:
        while not ready.exists():
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status) or 1
            time.sleep(0.01)
        return 0
    finally:
        with contextlib.suppress(OSError):
            ready.unlink()


def _is_own_user(connection: socket.socket) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[1] == os.getuid())
