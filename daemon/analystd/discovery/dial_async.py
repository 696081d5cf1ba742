"""Dialling from an event loop: in a thread that nobody has to wait for, since a daemon that hangs answers late or never."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(dial: Callable[[], T], hang_up: Callable[[T], None]) -> T:
    """What `dial` gives or raises, called in a thread that ends with the process. What comes when nobody waits any more, `hang_up` gets."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(found: T) -> None:
        if outcome.done():
            hang_up(found)
        else:
            outcome.set_result(found)

    def fail(error: Exception) -> None:
        if not outcome.done():
            outcome.set_exception(error)

    def work() -> None:
        try:
            found = dial()
        except Exception as exc:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(fail, exc)
            return
        try:
            loop.call_soon_threadsafe(deliver, found)
        except RuntimeError:
            # The loop is closed.
            hang_up(found)

    threading.Thread(target=work, name="dial", daemon=True).start()
    try:
        return await outcome
    except asyncio.CancelledError:
        # It may have come in the very moment in which the wait ends.
        with contextlib.suppress(Exception, asyncio.CancelledError):
            hang_up(outcome.result())
        raise
