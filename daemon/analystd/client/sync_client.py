"""The synchronous client: its methods wait and its iterators block, otherwise they are those of the async client. Any thread may call it."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable
from typing import Any, Self, TypeVar, Unpack

from analystd.client._connection import ProgressListener
from analystd.client._portal import Portal
from analystd.client._reconnecting import LossListener
from analystd.client._records import Record
from analystd.client._timeouts import within
from analystd.client.client import Client
from analystd.client.events import EventPage, RunRecord, RunSummary
from analystd.client.feed import EventListener
from analystd.client.options import AgentOptions, PythonOptions, ViewOptions
from analystd.client.results import (
    AgentResult,
    FileList,
    FileText,
    PythonResult,
    QuarantineEntry,
    Restoration,
    SessionState,
    SessionVariables,
    ViewResult,
    WrittenFile,
)
from analystd.client.runs import AnyResult
from analystd.client.status import About, Status, Stopping
from analystd.client.sync_runs import SyncRun, SyncStream, documented_as, in_loop, started
from analystd.wire.errors import AnalystdError
from analystd.wire.names import Command, ViewOperation

T = TypeVar("T")
R = TypeVar("R", bound=Record, covariant=True)

_LEAVE_SECONDS = 5.0


@documented_as(Client)
class SyncClient:
    """A client of one desk for synchronous code, created by `connect_sync`. Use it as a context manager, or call `close`.

    Any thread may call it; requests of several threads run at the same time. Ctrl-C while waiting for an answer cancels the request, and the run
    whose result it waits for. A client that was not closed is closed when the program ends. After a fork, connect again in the child process.
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
        """What the daemon reported about itself and the desk when this client last connected."""
        return self._client.about

    @property
    def id(self) -> str:
        """The id of this client in events (`Event.client_id`); it stays the same when the client reconnects."""
        return self._client.id

    @property
    def seq(self) -> int:
        """The number of the latest event that this client knows of; `follow(after=seq)` continues from there, even days later."""
        return self._client.seq

    def run_agent(self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]) -> AgentResult:
        """As `Client.run_agent`."""
        return self.portal.call(self._client.run_agent(prompt, timeout=timeout, **options))

    def start_agent(
        self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]
    ) -> SyncRun[AgentResult]:
        """Start to ask the model, without waiting for its answer.

        Return a `SyncRun` as soon as the question is accepted; `with` also cancels the run at the end of the block. Options as for `run_agent`.
        """
        return started(self, self._client.start_agent(prompt, timeout=timeout, **options))

    def exec_python(self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]) -> PythonResult:
        """As `Client.exec_python`."""
        return self.portal.call(self._client.exec_python(code, timeout=timeout, **options))

    def start_python(
        self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]
    ) -> SyncRun[PythonResult]:
        """Start to run Python code, without waiting for its end.

        Return a `SyncRun` as soon as the code is accepted; `with` also cancels the run at the end of the block. Options as for `exec_python`.
        """
        return started(self, self._client.start_python(code, timeout=timeout, **options))

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

    def variables(self, session: str = "main", *, timeout: float | None = None) -> SessionVariables:
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

    def list_quarantine(self, *, timeout: float | None = None) -> list[QuarantineEntry]:
        """As `Client.list_quarantine`."""
        return self.portal.call(self._client.list_quarantine(timeout=timeout))

    def restore_quarantine(
        self, entry_id: str, *, preview: bool = False, digest: str | None = None, timeout: float | None = None
    ) -> Restoration:
        """As `Client.restore_quarantine`."""
        work = self._client.restore_quarantine(entry_id, preview=preview, digest=digest, timeout=timeout)
        return self.portal.call(work)

    def discard_quarantine(self, entry_id: str, *, timeout: float | None = None) -> Restoration:
        """As `Client.discard_quarantine`."""
        return self.portal.call(self._client.discard_quarantine(entry_id, timeout=timeout))

    def events(self, after: int = 0, *, timeout: float | None = None) -> EventPage:
        """As `Client.events`."""
        return self.portal.call(self._client.events(after, timeout=timeout))

    def follow(self, *, after: int | None = None, mine: bool = False, timeout: float | None = None) -> SyncStream:
        """As `Client.follow`."""
        follow = in_loop(lambda: self._client.follow(after=after, mine=mine, timeout=timeout))
        return SyncStream(self, self.portal.call(follow))

    def on_event(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with each event of the desk as it comes, in the client's own thread, where it must not send requests.

        Return a function that ends this. Events while disconnected are not reported.
        """
        return self._client.on_event(listener)

    def on_lost(self, listener: LossListener) -> Callable[[], None]:
        """Call `listener` each time the daemon, or the connection to it, ends, in the client's own thread, where it must not send requests.

        Return a function that ends this. The next request reconnects.
        """
        return self._client.on_lost(listener)

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
        """Close the connection; the desk and its runs continue. Harmless when repeated."""
        self._closing()


def _leave(portal: Portal, client: Client) -> None:
    """Close what a `SyncClient` has opened: on `close`, when the client is garbage-collected, or when the program ends."""
    if portal.is_closed or not portal.is_own_process:
        return
    if not portal.is_own_thread:
        try:
            portal.call(within(_LEAVE_SECONDS, "The leave", client.aclose(), "It is cut short."))
        except AnalystdError as exc:
            warnings.warn(f"the connection was cut: {exc}", RuntimeWarning, stacklevel=2)
    portal.close()


async def _awaited(connecting: Callable[[], Any]) -> Client:
    client: Client = await connecting()
    return client
