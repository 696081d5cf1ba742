"""Text that arrives in small pieces, handed on in larger ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

BATCH_SECONDS = 0.05


class Batcher:
    """Collects pieces for `BATCH_SECONDS`, then hands them on as one; pieces of another key hand on what is there first."""

    def __init__(self, hand_on: Callable[[str, str], None]) -> None:
        self._hand_on = hand_on
        self._key = ""
        self._pieces: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: str, text: str) -> None:
        """Take a piece."""
        if key != self._key:
            self.flush()
            self._key = key
        self._pieces.append(text)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_SECONDS, self.flush)

    def flush(self) -> None:
        """Hand on at once what is there."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pieces:
            text = "".join(self._pieces)
            self._pieces.clear()
            self._hand_on(self._key, text)
