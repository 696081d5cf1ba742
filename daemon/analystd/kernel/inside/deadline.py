"""Ends what takes too long in the main thread: a `__repr__` or a `__dir__` of the user's may loop for ever."""

from __future__ import annotations

import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager

_AGAIN_SECONDS = 0.02


class TooSlowError(BaseException):
    """Raised in the middle of what takes too long; no `except Exception` of the user's stops it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """A block of the main thread that raises `TooSlowError` when it lasts longer, and again if that is caught in it."""
    old_handler = signal.signal(signal.SIGALRM, _ring)
    try:
        old_timer = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, old_handler)
    if old_timer[0]:
        signal.setitimer(signal.ITIMER_REAL, *old_timer)


def _ring(signum: int, frame: types.FrameType | None) -> None:
    raise TooSlowError
