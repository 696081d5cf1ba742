"""Runs and their events for synchronous code."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, Protocol, Self, TypeVar

from analystd.client._portal import Portal
from analystd.client._records import Record
from analystd.client.events import Event, RunSummary
from analystd.client.feed import EventStream
from analystd.client.runs import Run
from analystd.wire.errors import AnalystdError

C = TypeVar("C", bound=type)
T = TypeVar("T")
R = TypeVar("R", bound=Record, covariant=True)

_CANCEL_SECONDS = 5.0


def documented_as(model: type) -> Callable[[C], C]:
    """Return a decorator that gives a class's methods the docstrings of the methods that they wrap, so that `help` shows them in full."""

    def document(plain: C) -> C:
        for name, method in inspect.getmembers(plain, inspect.isfunction):
            if (method.__doc__ or "").startswith(f"As `{model.__name__}."):
                method.__doc__ = f"{inspect.getdoc(getattr(model, name))}"
        return plain

    return document


class StreamOwner(Protocol):
    """The synchronous client. Its runs and streams refer to it, so that it lives as long as they do."""

    @property
    def portal(self) -> Portal:
        """The portal into the loop's thread."""
        ...


class SyncStream(Iterator[Event]):
    """An iterator that blocks until the next event; `seq` is the number of the last one."""

    def __init__(self, owner: StreamOwner, stream: EventStream, interrupted: Callable[[], None] = lambda: None) -> None:
        self._owner = owner
        self._stream = stream
        self._interrupted = interrupted

    @property
    def seq(self) -> int:
        """The number of the last event that was examined; following `after` it later misses nothing."""
        return self._stream.seq

    def __next__(self) -> Event:
        try:
            event = self._owner.portal.call(self._stream.next_event())
        except KeyboardInterrupt:
            self._interrupted()
            raise
        if event is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration. Harmless when repeated."""
        if not self._owner.portal.is_closed:
            self._owner.portal.call(self._stream.aclose())


@documented_as(Run)
class SyncRun(Generic[R]):
    """One run of the desk, like `Run`, for synchronous code. Ctrl-C while waiting for it cancels the run, if this handle started it."""

    def __init__(self, owner: StreamOwner, run: Run[R]) -> None:
        self._owner = owner
        self._run = run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._owner.portal.call(self._run.__aexit__(*exc))

    def __repr__(self) -> str:
        return f"<SyncRun {self.id}>"

    @property
    def id(self) -> str:
        """The run's id, as in `run_1702473600_a1b2c3d4`."""
        return self._run.id

    @property
    def is_own(self) -> bool:
        """Whether this handle started the run."""
        return self._run.is_own

    def events(self, *, after: int = 0, timeout: float | None = None) -> SyncStream:
        """As `Run.events`."""
        stream = self._waited_for(in_loop(lambda: self._run.events(after=after, timeout=timeout)))
        return SyncStream(self._owner, stream, self._cancel_own)

    def ended(self, *, timeout: float | None = None) -> Event:
        """As `Run.ended`."""
        return self._waited_for(self._run.ended(timeout=timeout))

    def result(self, *, timeout: float | None = None) -> R:
        """As `Run.result`."""
        return self._waited_for(self._run.result(timeout=timeout))

    def cancel(self, *, timeout: float | None = None) -> str:
        """As `Run.cancel`."""
        return self._owner.portal.call(self._run.cancel(timeout=timeout))

    def summary(self, *, timeout: float | None = None) -> RunSummary:
        """As `Run.summary`."""
        return self._owner.portal.call(self._run.summary(timeout=timeout))

    def _waited_for(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._owner.portal.call(work)
        except KeyboardInterrupt:
            self._cancel_own()
            raise

    def _cancel_own(self) -> None:
        if self.is_own:
            try:
                self.cancel(timeout=_CANCEL_SECONDS)
            except AnalystdError as exc:
                warnings.warn(f"{self.id} could not be cancelled: {exc}", RuntimeWarning, stacklevel=3)


def started(owner: StreamOwner, work: Coroutine[Any, Any, Run[R]]) -> SyncRun[R]:
    """Return the handle of the run that `work` starts. Ctrl-C before it is returned cancels the run."""
    runs: list[SyncRun[R]] = []
    begun = threading.Event()

    async def start() -> None:
        begun.set()
        runs.append(SyncRun(owner, await work))

    try:
        owner.portal.call(start())
        return runs[0]
    except KeyboardInterrupt:
        for run in runs:
            run._cancel_own()
        raise
    finally:
        if not begun.is_set():
            work.close()


async def in_loop(make: Callable[[], EventStream]) -> EventStream:
    """Return a stream that is created in the loop's thread, as it must be."""
    return make()
