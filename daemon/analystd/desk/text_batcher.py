"""Collect small pieces of text and pass them on in larger ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BATCH_SECONDS = 0.05
_FLOWING_SECONDS = 0.5
"""A piece that follows the last batch within this time belongs to a steady flow, and need not be collected first."""


class TextBatcher:
    """Collects pieces for `BATCH_SECONDS`, then passes them on as one; a piece with another key flushes the pieces before it.

    In a steady flow, a piece that arrives after that time is passed on at once, without another turn of the loop.
    """

    def __init__(self, hand_on: Callable[[str, str], None]) -> None:
        self._hand_on = hand_on
        self._key = ""
        self._pieces: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        self._handed_on = 0.0

    def add(self, key: str, text: str) -> None:
        """Add a piece."""
        if key != self._key:
            self.flush()
            self._key = key
        self._pieces.append(text)
        if self._timer is None:
            self._wait_or_flush()

    def flush(self) -> None:
        """Pass on the collected pieces at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pieces:
            text = "".join(self._pieces)
            self._pieces.clear()
            self._handed_on = asyncio.get_running_loop().time()
            self._hand_on(self._key, text)

    def _wait_or_flush(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time() - self._handed_on
        if BATCH_SECONDS <= since < _FLOWING_SECONDS:
            self.flush()
            return
        delay = BATCH_SECONDS - since if since < BATCH_SECONDS else BATCH_SECONDS
        self._timer = loop.call_later(delay, self.flush)
