"""An event loop in a thread of its own, for synchronous code."""

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
"""Maximum time for cancelled work to clean up, for example to cancel a run that was just accepted."""


class Portal:
    """Runs work in the loop and waits for it. Any thread may call it, but only in the process that created it."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop,), daemon=True, name="analystd client")
        self._thread.start()
        self.is_closed = False

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` and return its result. An exception in the waiting thread, such as `KeyboardInterrupt`, cancels `work` and lets it clean up.

        Raises:
            DaemonLostError: when this portal is closed, or is closed during the work.
            RuntimeError: when `work` can never run: in a process forked from the one that connected, or in the loop's own thread.
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
    """Pass the result of a task, or its error, to the thread that waits for it."""
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
