"""Turns: who may use a session or a conversation next, in the order of asking."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

from analystd.errors import OverloadedError

MAX_WAITING = 64


class Turnstile:
    """Lets one holder through at a time, first come, first served."""

    def __init__(self, name: str, max_waiting: int = MAX_WAITING) -> None:
        self._name = name
        self._max_waiting = max_waiting
        self._busy = False
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def position(self) -> int:
        """How many a newcomer would find before them; 0: it is their turn at once."""
        return self.waiting + self._busy

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for the turn and hold it.

        Raises:
            OverloadedError: at once, when too many wait already.
        """
        await self._enter()
        try:
            yield
        finally:
            self._pass_on()

    async def _enter(self) -> None:
        if not self._busy:
            self._busy = True
            return
        if len(self._waiting) >= self._max_waiting:
            raise OverloadedError(
                f"{self._name} has {len(self._waiting)} requests waiting, the most that are accepted",
                "Wait for some to finish, or cancel them with `analystd.cancelRun`.",
            )
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._pass_on()
            else:
                self._waiting.remove(place)
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._busy = False
