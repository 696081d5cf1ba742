"""An event loop in a thread of its own, for code that is not async."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from analystd.wire.errors import DaemonLostError

T = TypeVar("T")

_CLEANUP_SECONDS = 6.0
"""How long what is cancelled may take to clean up, such as to have a run cancelled that was just accepted."""


class Portal:
    """Carries work into the loop and waits for it; any thread may call. It belongs to the process that made it."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), daemon=True, name="analystd client")
        self._thread.start()
        self.is_closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """What comes of `work`. An exception in the thread that waits, such as `KeyboardInterrupt`, cancels it, and it may clean up.

        Raises:
            DaemonLostError: when this portal is closed, or is while it works.
            RuntimeError: when it can never be answered: in a process forked from the one that connected, or in the loop's own thread.
        """
        outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
        tasks: list[asyncio.Task[T]] = []

        def begin() -> None:
            tasks.append(task := self._loop.create_task(work))
            task.add_done_callback(lambda task: _settle(outcome, task))

        try:
            self._require_usable()
            self._loop.call_soon_threadsafe(begin)
        except BaseException:
            work.close()
            raise
        try:
            return outcome.result()
        except concurrent.futures.CancelledError:
            raise DaemonLostError("This client was closed while the request was under way", "Connect again.") from None
        except BaseException:
            if not outcome.done():
                self._loop.call_soon_threadsafe(lambda: tasks[0].cancel())
                concurrent.futures.wait([outcome], _CLEANUP_SECONDS)
            raise

    def close(self) -> None:
        """End the loop and its thread. Harmless when repeated."""
        if self.is_closed or not self.is_own_process:
            return
        self.is_closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        if not self.is_own_thread:
            self._thread.join()

    @property
    def is_own_process(self) -> bool:
        """Whether this is the process that the loop runs in: a fork has its memory, but not its threads."""
        return os.getpid() == self._process

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is the loop's thread, which must not wait for itself."""
        return threading.current_thread() is self._thread

    def _require_usable(self) -> None:
        if not self.is_own_process:
            raise RuntimeError("This client was connected before a fork; connect again in the child process")
        if self.is_own_thread:
            raise RuntimeError(
                "A listener runs in the client's own thread and cannot wait for an answer; use another thread"
            )
        if self.is_closed:
            raise DaemonLostError("This client is closed", "Connect again.")


def _settle(outcome: concurrent.futures.Future[T], task: asyncio.Task[T]) -> None:
    """Hand what came of a task to the thread that waits for it."""
    if task.cancelled():
        outcome.cancel()
        outcome.set_running_or_notify_cancel()
    elif (error := task.exception()) is not None:
        outcome.set_exception(error)
    else:
        outcome.set_result(task.result())


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
