"""The plain client: what the async one does, by methods that wait and iterators that block. Any thread may call it."""

from __future__ import annotations

import inspect
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Generic, Self, TypeVar, Unpack

from analystd.client.client import Client
from analystd.client.connection import ProgressListener
from analystd.client.feed import EventListener, EventStream
from analystd.client.options import AgentOptions, PythonOptions, ViewOptions
from analystd.client.portal import Portal
from analystd.client.records import Record
from analystd.client.results import (
    About,
    AgentResult,
    AnyResult,
    Event,
    EventPage,
    FileList,
    FileText,
    PythonResult,
    RunRecord,
    RunSummary,
    SessionState,
    Status,
    Stopping,
    WrittenFile,
)
from analystd.client.runs import Run
from analystd.client.timeouts import within
from analystd.client.views import ViewResult
from analystd.errors import AnalystdError
from analystd.protocol import Command, ViewOperation

T = TypeVar("T")
R = TypeVar("R", bound=Record, covariant=True)

_LEAVE_SECONDS = 5.0


def documented_as(model: type[Any]) -> Callable[[type[Any]], type[Any]]:
    """Give a class's methods the docstrings of those that they stand for, so that `help` tells all of it."""

    def document(plain: Any) -> Any:
        for name, method in inspect.getmembers(plain, inspect.isfunction):
            if (method.__doc__ or "").startswith(f"As `{model.__name__}."):
                method.__doc__ = f"{inspect.getdoc(getattr(model, name))}"
        return plain

    return document


class SyncStream(Iterator[Event]):
    """An iterator that blocks until the next event; `seq` is the number of the last one."""

    def __init__(self, owner: SyncClient, stream: EventStream, interrupted: Callable[[], None] = lambda: None) -> None:
        self._owner = owner
        self._stream = stream
        self._interrupted = interrupted

    @property
    def seq(self) -> int:
        """The number of the last event that was looked at; following `after` it later misses nothing."""
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
        """Hear no more. Harmless when repeated."""
        if not self._owner.portal.is_closed:
            self._owner.portal.call(self._stream.aclose())


@documented_as(Run)
class SyncRun(Generic[R]):
    """One run of the desk, as `Run`, for plain code. Ctrl-C while it is waited for cancels it, if it was started by this handle."""

    def __init__(self, owner: SyncClient, run: Run[R]) -> None:
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
        """Whether it was started by this very handle."""
        return self._run.is_own

    def events(self, *, after: int = 0, timeout: float | None = None) -> SyncStream:
        """As `Run.events`."""
        make = self._owner.portal.call(_called(lambda: self._run.events(after=after, timeout=timeout)))
        return SyncStream(self._owner, make, self._cancel_own)

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
                self.cancel(timeout=_LEAVE_SECONDS)
            except AnalystdError as exc:
                warnings.warn(f"{self.id} could not be cancelled: {exc}", RuntimeWarning, stacklevel=3)


@documented_as(Client)
class SyncClient:
    """A client of one desk for plain code; made by `connect_sync`. Use it as a context manager, or call `close`.

    Any thread may call it; what several threads ask is under way at the same time. Ctrl-C while an answer is waited for cancels the request,
    and with it what it runs. What is not closed is closed when the program ends. After a fork, connect again in the child.
    """

    def __init__(self, connecting: Callable[[], Any]) -> None:
        self.portal = Portal()
        try:
            self._client: Client = self.portal.call(_awaited(connecting))
        except BaseException:
            self.portal.close()
            raise
        self._closing = weakref.finalize(self, _leave, self.portal, self._client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        closing: weakref.finalize[..., Any] | None = getattr(self, "_closing", None)
        if closing is not None and closing.alive and self.portal.is_own_process:
            try:
                warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self, stacklevel=2)
            finally:
                closing()

    def __repr__(self) -> str:
        return f"<Sync{repr(self._client)[1:]}"

    @property
    def about(self) -> About:
        """What the daemon said of itself and the desk when this client last connected."""
        return self._client.about

    @property
    def id(self) -> str:
        """The id by which this client's events are known (`Event.client_id`); it stays the same when it connects again."""
        return self._client.id

    @property
    def seq(self) -> int:
        """The number of the latest event that this client heard of; `follow(after=seq)` goes on from there, also days later."""
        return self._client.seq

    def run_agent(self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]) -> AgentResult:
        """As `Client.run_agent`."""
        return self.portal.call(self._client.run_agent(prompt, timeout=timeout, **options))

    def start_agent(
        self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]
    ) -> SyncRun[AgentResult]:
        """Have the model asked; gives a `SyncRun` as soon as the question is accepted. `with` cancels it at the block's end.

        Options as for `run_agent`.
        """
        return SyncRun(self, self.portal.call(self._client.start_agent(prompt, timeout=timeout, **options)))

    def exec_python(self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]) -> PythonResult:
        """As `Client.exec_python`."""
        return self.portal.call(self._client.exec_python(code, timeout=timeout, **options))

    def start_python(
        self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]
    ) -> SyncRun[PythonResult]:
        """Have Python run; gives a `SyncRun` as soon as the code is accepted. `with` cancels it at the block's end.

        Options as for `exec_python`.
        """
        return SyncRun(self, self.portal.call(self._client.start_python(code, timeout=timeout, **options)))

    def run(self, run_id: str) -> SyncRun[AnyResult]:
        """As `Client.run`."""
        return SyncRun(self, self._client.run(run_id))

    def view_data(
        self,
        path: str,
        operation: ViewOperation = "head",
        *,
        on_progress: ProgressListener | None = None,
        timeout: float | None = None,
        **options: Unpack[ViewOptions],
    ) -> ViewResult:
        """As `Client.view_data`."""
        return self.portal.call(
            self._client.view_data(path, operation, on_progress=on_progress, timeout=timeout, **options)
        )

    def list_files(
        self, path: str = ".", *, pattern: str | None = None, recursive: bool = False, timeout: float | None = None
    ) -> FileList:
        """As `Client.list_files`."""
        return self.portal.call(self._client.list_files(path, pattern=pattern, recursive=recursive, timeout=timeout))

    def read_file(
        self,
        path: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        byte_offset: int | None = None,
        byte_limit: int | None = None,
        timeout: float | None = None,
    ) -> FileText:
        """As `Client.read_file`."""
        place = {"offset": offset, "limit": limit, "byte_offset": byte_offset, "byte_limit": byte_limit}
        return self.portal.call(self._client.read_file(path, timeout=timeout, **place))

    def write_file(self, path: str, content: str, *, timeout: float | None = None) -> WrittenFile:
        """As `Client.write_file`."""
        return self.portal.call(self._client.write_file(path, content, timeout=timeout))

    def reset_session(self, session: str = "main", *, timeout: float | None = None) -> SessionState:
        """As `Client.reset_session`."""
        return self.portal.call(self._client.reset_session(session, timeout=timeout))

    def interrupt(self, session: str = "main", *, timeout: float | None = None) -> SessionState:
        """As `Client.interrupt`."""
        return self.portal.call(self._client.interrupt(session, timeout=timeout))

    def variables(self, session: str = "main", *, timeout: float | None = None) -> SessionState:
        """As `Client.variables`."""
        return self.portal.call(self._client.variables(session, timeout=timeout))

    def cancel_run(self, run_id: str, *, timeout: float | None = None) -> str:
        """As `Client.cancel_run`."""
        return self.portal.call(self._client.cancel_run(run_id, timeout=timeout))

    def list_runs(self, limit: int = 50, *, timeout: float | None = None) -> list[RunSummary]:
        """As `Client.list_runs`."""
        return self.portal.call(self._client.list_runs(limit, timeout=timeout))

    def get_run(self, run_id: str, *, timeout: float | None = None) -> RunRecord:
        """As `Client.get_run`."""
        return self.portal.call(self._client.get_run(run_id, timeout=timeout))

    def events(self, after: int = 0, *, timeout: float | None = None) -> EventPage:
        """As `Client.events`."""
        return self.portal.call(self._client.events(after, timeout=timeout))

    def follow(self, *, after: int | None = None, mine: bool = False, timeout: float | None = None) -> SyncStream:
        """As `Client.follow`."""
        follow = _called(lambda: self._client.follow(after=after, mine=mine, timeout=timeout))
        return SyncStream(self, self.portal.call(follow))

    def on_event(self, listener: EventListener) -> Callable[[], None]:
        """Have the desk's events told to `listener` as they come, in the client's own thread, where it must not ask anything of the client.

        Gives what ends that. What happens without a connection is not told.
        """
        return self._client.on_event(listener)

    def status(self, *, timeout: float | None = None) -> Status:
        """As `Client.status`."""
        return self.portal.call(self._client.status(timeout=timeout))

    def shutdown(self, *, now: bool = False, timeout: float | None = None) -> Stopping:
        """As `Client.shutdown`."""
        return self.portal.call(self._client.shutdown(now=now, timeout=timeout))

    def command(
        self,
        command: Command,
        *,
        timeout: float | None = None,
        on_progress: ProgressListener | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """As `Client.command`."""
        return self.portal.call(self._client.command(command, timeout=timeout, on_progress=on_progress, **arguments))

    def close(self) -> None:
        """Take leave; the desk and its runs go on. Harmless when repeated."""
        self._closing()


def _leave(portal: Portal, client: Client) -> None:
    """Close what a `SyncClient` had: when it is told to, when it is forgotten, or when the program ends."""
    if portal.is_closed or not portal.is_own_process:
        return
    if not portal.is_own_thread:
        try:
            portal.call(within(_LEAVE_SECONDS, "The leave", client.aclose(), "It is cut short."))
        except AnalystdError as exc:
            warnings.warn(f"the connection was cut: {exc}", RuntimeWarning, stacklevel=2)
    portal.close()


async def _called(make: Callable[[], EventStream]) -> EventStream:
    """What must be made in the loop's thread."""
    return make()


async def _awaited(connecting: Callable[[], Any]) -> Client:
    client: Client = await connecting()
    return client
