"""Run a measurement that may take long in a background thread, so that its caller can wait for a limited time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

_T = TypeVar("_T")

_FRESH_SECONDS = 2.0
"""A finished result that was not collected for this long is out of date and is discarded."""


class Aside(Generic[_T]):
    """Measure something about processes in a background thread, one measurement at a time.

    The kernel blocks readers of a process's memory map while the process changes it, as it does when it forks. For a fork bomb that takes
    many seconds, in which the watchdog could check nothing else.
    """

    def __init__(self, measure: Callable[[Sequence[int]], _T]) -> None:
        self._measure = measure
        self._under_way: Future[_T] | None = None
        self._begun = self._ended = 0.0

    @property
    def late_seconds(self) -> float:
        """How long the current measurement has been running; 0 when there is none."""
        return 0.0 if self._under_way is None else time.monotonic() - self._begun

    def ask(self, pids: Sequence[int], patience_seconds: float | None) -> _T | None:
        """Return the current value. Start a measurement, or use the result of one that is already running.

        Args:
            pids: The processes, at the time of this call.
            patience_seconds: How long to wait. None waits as long as necessary, and never uses a measurement that began before this call.

        Returns:
            The result; None when it is not ready in time. A later call can then collect it.
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
        # Not an executor: the interpreter waits for an executor's threads when it exits.
        threading.Thread(target=measure, name="aside", daemon=True).start()
        self._under_way = future

    def _result(self, patience_seconds: float | None) -> _T:
        assert self._under_way is not None
        try:
            return self._under_way.result(patience_seconds)
        finally:
            if self._under_way.done():
                self._under_way = None
