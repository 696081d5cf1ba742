"""The async client of a desk."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import Awaitable, Callable
from typing import Any, Self, Unpack

from analystd.client._awaitable_context import AwaitableContext
from analystd.client._connection import ProgressListener
from analystd.client._reconnecting import ConnectOptions, LossListener, ReconnectingLink
from analystd.client._timeouts import within
from analystd.client.events import Event, EventPage, RunList, RunRecord, RunSummary
from analystd.client.feed import EventListener, EventStream, Feed, ReplayPage, StreamFilter
from analystd.client.options import AgentOptions, PythonOptions, ViewOptions
from analystd.client.results import (
    AgentResult,
    CancelResult,
    FileList,
    FileText,
    PythonResult,
    QuarantineEntry,
    QuarantineList,
    Restoration,
    SessionState,
    SessionVariables,
    ViewResult,
    WrittenFile,
)
from analystd.client.runs import AnyResult, Run, any_result
from analystd.client.status import About, Status, Stopping
from analystd.wire.errors import AnalystdError
from analystd.wire.names import Command, Subscription, ViewOperation

_CANCEL_SECONDS = 5.0


class Client:
    """An async client of one desk, created by `connect`. Use it as an async context manager, or call `aclose`.

    Every method that sends a request takes `timeout`, in seconds: when it expires, the request is cancelled and `RequestTimeoutError` is raised.
    Cancelling the waiting task cancels the request, too. If the request waits for the result of a run, the run is cancelled with it.

    Errors are those of `analystd.errors`, as the daemon reports them. When the daemon ends, waiting requests raise `DaemonLostError`, and the
    next request connects again (unless `reconnect=False`).
    """

    def __init__(self, visit: ConnectOptions, subscription: Subscription) -> None:
        self._feed = Feed(subscription)
        self._link = ReconnectingLink(visit, self._feed.hear, self._feed.lose, self._feed.wanted)

    @classmethod
    async def connected(cls, visit: ConnectOptions, subscription: Subscription, timeout: float | None) -> Self:
        """Return a client that is connected."""
        client = cls(visit, subscription)
        try:
            await within(
                timeout, "The connection to the daemon", client._link.connection(), "`analystd status` tells more."
            )
            client._feed.seq = client.about.seq
        except BaseException:
            await client.aclose()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        link: ReconnectingLink | None = getattr(self, "_link", None)
        if link is not None and not link.is_closed and link.is_up:
            warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self, stacklevel=2)
            link.abort()

    def __repr__(self) -> str:
        state = "closed" if self._link.is_closed else "connected" if self._link.is_up else "not connected"
        about = self._link.about
        return f"<{type(self).__name__} {state}{'' if about is None else ' to ' + (about.workspace or 'no desk')}>"

    @property
    def about(self) -> About:
        """What the daemon reported about itself and the desk when this client last connected."""
        assert self._link.about is not None
        return self._link.about

    @property
    def id(self) -> str:
        """The id of this client in events (`Event.client_id`); it stays the same when the client reconnects."""
        return self._link.visit.id

    @property
    def seq(self) -> int:
        """The number of the latest event that this client knows of; `follow(after=seq)` continues from there, even days later."""
        return self._feed.seq

    async def run_agent(
        self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]
    ) -> AgentResult:
        """Ask the model, and wait for its answer.

        Options: `conversation` (continue this one), `forget_runs` (leave these runs out of it from now on), `session` (the Python session to work
        in), `max_steps` (maximum number of tool calls), `max_seconds`, `priority` (`"batch"` lets other runs go first), `context`
        (`{"uri", "range", "text"}`).

        Raises:
            EngineUnavailableError: when there is no model.
            AnalystdError: when the run never started for another reason.
        """
        return AgentResult.of(await self.command(Command.RUN_AGENT, timeout=timeout, prompt=prompt, **options))

    def start_agent(
        self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]
    ) -> AwaitableContext[Run[AgentResult]]:
        """Start to ask the model, without waiting for its answer.

        `await` returns a `Run` as soon as the question is accepted; `async with` also cancels the run at the end of the block. Options as for
        `run_agent`.
        """
        return AwaitableContext(self._start(Command.START_AGENT, AgentResult.of, timeout, prompt=prompt, **options))

    async def exec_python(
        self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]
    ) -> PythonResult:
        """Run Python code in a session that keeps its variables, and wait for its end.

        Options: `session` (`"main"` by default), `reset` (clear its variables first), `timeout_seconds` (stop the code after this time, with
        status `limit`), `priority` (`"batch"` lets other runs go first), `uri` and `line` (where the code comes from).

        Raises:
            SessionUnavailableError: when no session can be started.
            AnalystdError: when the code never started for another reason.
        """
        return PythonResult.of(await self.command(Command.EXEC_PYTHON, timeout=timeout, code=code, **options))

    def start_python(
        self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]
    ) -> AwaitableContext[Run[PythonResult]]:
        """Start to run Python code, without waiting for its end.

        `await` returns a `Run` as soon as the code is accepted; `async with` also cancels the run at the end of the block. Options as for
        `exec_python`.
        """
        return AwaitableContext(self._start(Command.START_PYTHON, PythonResult.of, timeout, code=code, **options))

    def run(self, run_id: str) -> Run[AnyResult]:
        """Return a handle of any run of this desk, such as another window's or one that ended days ago. This sends no request."""
        return Run(self, run_id, any_result, is_own=False)

    async def view_data(
        self,
        path: str,
        operation: ViewOperation = "head",
        *,
        on_progress: ProgressListener | None = None,
        timeout: float | None = None,
        **options: Unpack[ViewOptions],
    ) -> ViewResult:
        """View a table in the workspace without loading it. `on_progress` is called with the part of long work that is done, from 0 to 1.

        Options: `n_rows` (at most 10 000), `offset` (the first row, counted from 0, for `"rows"`), `columns` (names), `filter`
        (`[{"column", "op", "value"}]`, all of which must hold), `sort` (`[{"column", "descending"}]`), `delimiter`.

        Raises:
            WorkspaceError: when the path is refused, or is not a table.
            InvalidArgumentsError: when a column does not exist, or the options are invalid.
        """
        arguments = {"path": path, "operation": operation, **options}
        return ViewResult.of(
            await self.command(Command.VIEW_DATA, timeout=timeout, on_progress=on_progress, **arguments)
        )

    async def list_files(
        self, path: str = ".", *, pattern: str | None = None, recursive: bool = False, timeout: float | None = None
    ) -> FileList:
        """List a folder of the workspace; `pattern` is a glob such as `*.csv`."""
        arguments: dict[str, Any] = {"path": path, "pattern": pattern, "recursive": recursive}
        return FileList.of(await self.command(Command.LIST_FILES, timeout=timeout, **arguments))

    async def read_file(
        self,
        path: str,
        *,
        offset: int | None = None,
        limit: int | None = None,
        byte_offset: int | None = None,
        byte_limit: int | None = None,
        timeout: float | None = None,
    ) -> FileText:
        """Read `limit` lines of a text file of the workspace from line `offset` (counted from 1), or bytes from `byte_offset` (counted from 0)."""
        arguments: dict[str, Any] = {
            "offset": offset,
            "limit": limit,
            "byte_offset": byte_offset,
            "byte_limit": byte_limit,
        }
        return FileText.of(await self.command(Command.READ_FILE, timeout=timeout, path=path, **arguments))

    async def write_file(self, path: str, content: str, *, timeout: float | None = None) -> WrittenFile:
        """Write a file of the workspace, whole or not at all."""
        return WrittenFile.of(await self.command(Command.WRITE_FILE, timeout=timeout, path=path, content=content))

    async def reset_session(self, session: str = "main", *, timeout: float | None = None) -> SessionState:
        """Clear a session's variables, and return its state."""
        return SessionState.of(await self.command(Command.RESET_SESSION, timeout=timeout, session=session))

    async def interrupt(self, session: str = "main", *, timeout: float | None = None) -> SessionState:
        """Stop the code that runs in a session, and return the session's state."""
        return SessionState.of(await self.command(Command.INTERRUPT, timeout=timeout, session=session))

    async def variables(self, session: str = "main", *, timeout: float | None = None) -> SessionVariables:
        """Return the state of a session with its variables."""
        return SessionVariables.of(await self.command(Command.VARIABLES, timeout=timeout, session=session))

    async def cancel_run(self, run_id: str, *, timeout: float | None = None) -> str:
        """Cancel a run, no matter which client started it; return `cancelling`, or the status of a run that has ended."""
        return CancelResult.of(await self.command(Command.CANCEL_RUN, timeout=timeout, run_id=run_id)).status

    async def list_runs(self, limit: int = 50, *, timeout: float | None = None) -> list[RunSummary]:
        """Return the latest runs of the desk, newest first."""
        return list(RunList.of(await self.command(Command.LIST_RUNS, timeout=timeout, limit=limit)).runs)

    async def get_run(self, run_id: str, *, timeout: float | None = None) -> RunRecord:
        """Return the summary and all events of a run.

        Raises:
            InvalidArgumentsError: when there is no such run.
        """
        events: list[Any] = []
        after = 0
        while True:
            answer = await self.command(Command.GET_RUN, timeout=timeout, run_id=run_id, after=after)
            events += answer["events"]
            if not answer["more"]:
                return RunRecord.of({**answer, "events": events})
            after = events[-1]["seq"]

    async def list_quarantine(self, *, timeout: float | None = None) -> list[QuarantineEntry]:
        """Return the files that were quarantined because outside tools would run or trust them, latest first."""
        return list(QuarantineList.of(await self.command(Command.LIST_QUARANTINE, timeout=timeout)).entries)

    async def restore_quarantine(
        self, entry_id: str, *, preview: bool = False, digest: str | None = None, timeout: float | None = None
    ) -> Restoration:
        """Restore an entry, or with `preview` return what would be restored. With the preview's `digest`, restore only exactly that.

        Raises:
            InvalidArgumentsError: when there is no such entry.
            WorkspaceError: when its place is taken or missing, or the entry has changed.
        """
        command = Command.RESTORE_QUARANTINE
        return Restoration.of(
            await self.command(command, timeout=timeout, id=entry_id, preview=preview or None, digest=digest)
        )

    async def discard_quarantine(self, entry_id: str, *, timeout: float | None = None) -> Restoration:
        """Delete an entry permanently.

        Raises:
            InvalidArgumentsError: when there is no such entry.
        """
        return Restoration.of(await self.command(Command.DISCARD_QUARANTINE, timeout=timeout, id=entry_id))

    async def events(self, after: int = 0, *, timeout: float | None = None) -> EventPage:
        """Return a page of the events after a number, with a `snapshot` if some are no longer kept. `follow` fetches the pages one after another."""
        return EventPage.of(await self.command(Command.EVENTS, timeout=timeout, after=after))

    def follow(self, *, after: int | None = None, mine: bool = False, timeout: float | None = None) -> EventStream:
        """Return an iterator over the events of the desk, each once and in order: from now on, or all `after` a number.

        With `mine`, it yields only events of runs that this client started, and of sessions, which all clients share. `timeout` is the number
        of seconds to wait for each next event. The iterator's `seq` is the number from which to continue another time. When the daemon ends, the
        iterator waits for the next daemon, which it does not start itself, and continues.

        Raises, while it is iterated:
            EventsGoneError: when some events are no longer kept, with a snapshot; iterating again continues after it.
            RequestTimeoutError: when no event came in time; iterating again continues to wait.
            DaemonLostError: when this client is closed, or was connected with `reconnect=False`.
        """

        def wants(event: Event) -> bool:
            return not mine or event.run_id is None or event.client_id == self.id

        async def missed(after: int) -> ReplayPage:
            page = await self.events(after)
            return ReplayPage(page.events, page.more, page.snapshot)

        theme = StreamFilter(wants, lambda _event: False, "mine" if mine else "all", starts_daemon=False)
        return self.stream(theme, missed, after=after, timeout=timeout)

    def on_event(self, listener: EventListener) -> Callable[[], None]:
        """Call `listener` with each event of the desk as it comes; return a function that ends this. Events while disconnected are not reported."""
        return self._feed.listen(listener)

    def on_lost(self, listener: LossListener) -> Callable[[], None]:
        """Call `listener` each time the daemon, or the connection to it, ends; return a function that ends this. The next request reconnects."""
        return self._link.on_lost(listener)

    async def status(self, *, timeout: float | None = None) -> Status:
        """Return the state of the whole daemon."""
        return Status.of(await self.command(Command.STATUS, timeout=timeout))

    async def shutdown(self, *, now: bool = False, timeout: float | None = None) -> Stopping:
        """Stop the daemon when its runs have ended, or at once with `now`."""
        return Stopping.of(await self.command(Command.SHUTDOWN, timeout=timeout, now=now))

    async def command(
        self,
        command: Command,
        *,
        timeout: float | None = None,
        on_progress: ProgressListener | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Send any command of docs/protocol.md and return its result. Arguments that are None are left out.

        Raises:
            RequestTimeoutError: when there was no answer in time.
            AnalystdError: as the daemon reports it.
        """
        given = {name: value for name, value in arguments.items() if value is not None}
        work = self._execute(command, given, on_progress)
        return await within(
            timeout, f"The answer to {command}", work, "The request was cancelled, and with it what it ran."
        )

    def stream(
        self,
        theme: StreamFilter,
        missed: Callable[[int], Awaitable[ReplayPage]],
        *,
        after: int | None,
        timeout: float | None,
    ) -> EventStream:
        """Return an iterator over events; `missed` fetches those after a number."""
        return EventStream(self._link, self._feed, theme, missed, after=after, timeout=timeout)

    async def aclose(self) -> None:
        """Close the connection; the desk and its runs continue. Harmless when repeated."""
        await self._link.aclose()

    async def _execute(
        self, command: Command, arguments: dict[str, Any], on_progress: ProgressListener | None
    ) -> dict[str, Any]:
        connection = await self._link.connection()
        answer: dict[str, Any] = await connection.execute(command, arguments, on_progress)
        return answer

    async def _start(
        self, command: Command, result_of: Callable[[Any], Any], timeout: float | None, **arguments: Any
    ) -> Run[Any]:
        asked = asyncio.ensure_future(self.command(command, timeout=timeout, **arguments))
        try:
            answer = await asyncio.shield(asked)
        except asyncio.CancelledError:
            # The run may have been accepted already, and without this nobody would have a handle of it.
            with contextlib.suppress(AnalystdError, TimeoutError):
                async with asyncio.timeout(_CANCEL_SECONDS):
                    await self.cancel_run(RunSummary.of(await asked).run_id)
            raise
        return Run(self, RunSummary.of(answer).run_id, result_of, is_own=True)
