"""A measurement that may take long, made beside the work: who asks for it waits no longer than they can afford."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

_T = TypeVar("_T")

_FRESH_SECONDS = 2.0
"""A result that nobody came for in so long says nothing of now."""


class Aside(Generic[_T]):
    """Measures something about processes in a thread of its own, one measurement at a time.

    The system lets nobody read what a process has mapped while that process changes it, as it does when it forks: of a fork bomb that takes
    many seconds, in which nothing else would be looked at.
    """

    def __init__(self, measure: Callable[[Sequence[int]], _T]) -> None:
        self._measure = measure
        self._under_way: Future[_T] | None = None
        self._begun = self._ended = 0.0

    @property
    def late_seconds(self) -> float:
        """For how long the measurement under way has gone on; 0 when there is none."""
        return 0.0 if self._under_way is None else time.monotonic() - self._begun

    def ask(self, pids: Sequence[int], patience_seconds: float | None) -> _T | None:
        """Return what is measured now; begins unless a measurement is under way, whose result counts then.

        Args:
            pids: The processes, at the time of this call.
            patience_seconds: How long to wait; None for as long as it takes, and for nothing that began before this call.

        Returns:
            The result; None when it is not there in time, for a later call to find.
        """
        if patience_seconds is None and self._under_way is not None:
            self._result(None)
        if self._under_way is None or (self._under_way.done() and time.monotonic() - self._ended > _FRESH_SECONDS):
            self._begin(pids)
        try:
            return self._result(patience_seconds)
        except TimeoutError:
            return None

    def _begin(self, pids: Sequence[int]) -> None:
        future: Future[_T] = Future()

        def measure() -> None:
            try:
                result = self._measure(pids)
            except BaseException as exc:
                self._ended = time.monotonic()
                future.set_exception(exc)
            else:
                self._ended = time.monotonic()
                future.set_result(result)

        self._begun = time.monotonic()
        # No executor: its threads are waited for when the program ends.
        threading.Thread(target=measure, name="aside", daemon=True).start()
        self._under_way = future

    def _result(self, patience_seconds: float | None) -> _T:
        assert self._under_way is not None
        try:
            return self._under_way.result(patience_seconds)
        finally:
            if self._under_way.done():
                self._under_way = None
