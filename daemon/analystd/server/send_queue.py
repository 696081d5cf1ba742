"""The bounded queue of messages to one client, so that a client that does not read affects only itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

from analystd.server.trace import NoteMessage, no_trace
from analystd.wire.framing import MAX_HEADER_BYTES, MAX_MESSAGE_BYTES

logger = logging.getLogger(__name__)

MAX_FRAME_BYTES = MAX_MESSAGE_BYTES + MAX_HEADER_BYTES
"""Maximum size of a message with its header."""

ROOM_BYTES = 1024 * 1024
"""While less than this waits, messages that could also wait elsewhere, such as a replay, may be added."""

PATIENCE_SECONDS = 5.0
"""Drop a client that has read nothing for this many seconds while over its limit; before that, it may be a burst that no client could have read."""

_MOST_TIMES = 2
"""Drop a client at once when more than this many times its limit waits."""

_PIECE_BYTES = 256 * 1024


class SendQueue:
    """A queue in front of a stream writer. It has the `write` and `close` that pygls expects of a writer."""

    def __init__(self, writer: asyncio.StreamWriter, name: str, max_bytes: int, trace: NoteMessage = no_trace) -> None:
        self.name = name
        self._trace = trace
        self._writer = writer
        self._max_bytes = max_bytes
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self._taken = 0
        """Number of bytes sent since the client connected."""
        self._patience: asyncio.TimerHandle | None = None
        self._wake = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._closed = False
        self._task = asyncio.create_task(self._drain(), name=f"outbox {name}")

    @property
    def waiting_bytes(self) -> int:
        """Number of bytes that wait to be sent."""
        return self._bytes

    @property
    def closed(self) -> bool:
        """Whether the queue accepts no more messages, as after the client was dropped."""
        return self._closed

    def write(self, data: bytes) -> None:
        """Queue a message. The bytes are not copied, so that clients can share them.

        A client for which more than `max_bytes` wait is dropped if it reads nothing for a while, and at once if twice as many wait.
        """
        if self._closed:
            return
        self._trace("out", data)
        if len(data) > MAX_FRAME_BYTES:
            # The sender should have prevented this: a client that is sent such a message disconnects, then reconnects for the same one.
            logger.error("a message of %d bytes to %s is not sent: no client reads it", len(data), self.name)
            return
        if self._bytes > _MOST_TIMES * self._max_bytes:
            self._drop()
            return
        self._waiting.append(data)
        self._bytes += len(data)
        self._wake.set()
        if self._bytes > self._max_bytes and self._patience is None:
            self._be_patient()
        if self._bytes > ROOM_BYTES:
            self._roomy.clear()

    async def room(self) -> None:
        """Wait until little waits in the queue, or until it is closed."""
        await self._roomy.wait()

    def close(self) -> None:
        """Send what is queued, then close."""
        self._closed = True
        self._roomy.set()
        self._wake.set()

    async def aclose(self, seconds: float = 2.0) -> None:
        """Close the queue, and wait at most `seconds` until everything is sent."""
        self.close()
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(self._task, seconds)

    def _be_patient(self) -> None:
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(PATIENCE_SECONDS, self._lose_patience, self._taken)

    def _lose_patience(self, taken: int) -> None:
        self._patience = None
        if self._closed or self._bytes <= self._max_bytes:
            return
        if self._taken == taken:
            self._drop()
        else:
            self._be_patient()

    def _drop(self) -> None:
        logger.warning(
            "%s does not read: %d bytes wait for it, and %d are the limit (AGENT_CLIENT_QUEUE_MB); it is dropped",
            self.name,
            self._bytes,
            self._max_bytes,
        )
        self._forget()
        self._task.cancel()
        self._writer.transport.abort()

    def _forget(self) -> None:
        self._closed = True
        self._waiting.clear()
        self._bytes = 0
        self._roomy.set()

    async def _drain(self) -> None:
        try:
            while self._waiting or not self._closed:
                while self._waiting:
                    await self._send(self._next_messages())
                self._wake.clear()
                if not self._closed:
                    await self._wake.wait()
        except OSError:
            self._forget()
        finally:
            self._writer.close()

    def _next_messages(self) -> bytes:
        """Return the next message, or several small ones joined: messages of one turn of the event loop are written at once."""
        messages = [self._waiting.popleft()]
        size = len(messages[0])
        while self._waiting and size + len(self._waiting[0]) <= _PIECE_BYTES:
            messages.append(self._waiting.popleft())
            size += len(messages[-1])
        return messages[0] if len(messages) == 1 else b"".join(messages)

    async def _send(self, data: bytes) -> None:
        """Send data in pieces, because the transport keeps a copy of what the socket does not accept."""
        view = memoryview(data)
        for start in range(0, len(data), _PIECE_BYTES):
            piece = view[start : start + _PIECE_BYTES]
            self._writer.write(piece)
            await self._writer.drain()
            self._bytes -= len(piece)
            self._taken += len(piece)
            if self._bytes <= ROOM_BYTES:
                self._roomy.set()
