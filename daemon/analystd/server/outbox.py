"""What waits to be sent to one client: in order, and bounded, so that a client that does not read costs only itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging

logger = logging.getLogger(__name__)

MAX_WAITING_BYTES = 64 * 1024 * 1024


class Outbox:
    """A queue in front of a stream writer. Has the `write` and `close` that pygls wants of a writer."""

    def __init__(self, writer: asyncio.StreamWriter, name: str, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._writer = writer
        self._name = name
        self._max_bytes = max_bytes
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._task = asyncio.create_task(self._drain(), name=f"outbox {name}")

    def write(self, data: bytes) -> None:
        """Queue a message; drops the whole client when too much waits."""
        if self._closed:
            return
        self._waiting.append(data)
        self._bytes += len(data)
        self._wake.set()
        if self._bytes > self._max_bytes:
            logger.warning("%s does not read: %d bytes wait for it; it is dropped", self._name, self._bytes)
            self._waiting.clear()
            self._closed = True
            self._task.cancel()
            self._writer.transport.abort()

    def close(self) -> None:
        """Send what is queued, then close."""
        self._closed = True
        self._wake.set()

    async def aclose(self, seconds: float = 2.0) -> None:
        """`close`, and wait for it, at most `seconds`."""
        self.close()
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(self._task, seconds)

    async def _drain(self) -> None:
        try:
            while self._waiting or not self._closed:
                while self._waiting:
                    # What came in one turn of the loop goes out in one write.
                    data = b"".join(self._waiting)
                    self._waiting.clear()
                    self._writer.write(data)
                    await self._writer.drain()
                    self._bytes -= len(data)
                self._wake.clear()
                if not self._closed:
                    await self._wake.wait()
        except OSError:
            self._closed = True
        finally:
            self._writer.close()
