"""Limit the time of a block in the main thread: a `__repr__` or `__dir__` of the user's classes may loop for ever."""

from __future__ import annotations

import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager

_AGAIN_SECONDS = 0.02


class TooSlowError(BaseException):
    """Raised inside a block that takes too long; not an `Exception`, so that the user's handlers do not catch it."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `TooSlowError` in a block of the main thread that takes longer, and again if the block catches it."""
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
