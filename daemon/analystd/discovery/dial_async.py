"""Connect from an event loop, in a daemon thread, because a hanging daemon may never answer."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(dial: Callable[[], T], hang_up: Callable[[T], None]) -> T:
    """Call `dial` in a thread that ends with the process, and return its result. If the caller is cancelled, `hang_up` gets the result."""
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
        # The result may have arrived at the moment of the cancellation.
        with contextlib.suppress(Exception, asyncio.CancelledError):
            hang_up(outcome.result())
        raise
