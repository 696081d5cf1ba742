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
    """An async client of one desk; made by `connect`. Use it as an async context manager, or call `aclose`.

    Every method that asks the daemon something takes `timeout`, in seconds: when it is over, the request is cancelled and
    `RequestTimeoutError` raised. Cancelling the task that waits cancels the request, too. A request to run something takes its run with it.

    Errors are those of `analystd.errors`, as the daemon answered them. When the daemon ends, what waits raises `DaemonLostError`, and the
    next request connects anew (unless `reconnect=False`).
    """

    def __init__(self, visit: ConnectOptions, subscription: Subscription) -> None:
        self._feed = Feed(subscription)
        self._link = ReconnectingLink(visit, self._feed.hear, self._feed.lose, self._feed.wanted)

    @classmethod
    async def connected(cls, visit: ConnectOptions, subscription: Subscription, timeout: float | None) -> Self:
        """A client whose connection is made."""
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
        """What the daemon said of itself and the desk when this client last connected."""
        assert self._link.about is not None
        return self._link.about

    @property
    def id(self) -> str:
        """The id by which this client's events are known (`Event.client_id`); it stays the same when it connects again."""
        return self._link.visit.id

    @property
    def seq(self) -> int:
        """The number of the latest event that this client heard of; `follow(after=seq)` goes on from there, also days later."""
        return self._feed.seq

    async def run_agent(
        self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]
    ) -> AgentResult:
        """Ask the model, and wait for its answer.

        Options: `conversation` (continue this one), `forget_runs` (leave these runs out of it from now on), `session` (the Python session it
        works in), `max_steps` (tool calls), `max_seconds`, `priority` (`"batch"` lets others go first), `context` (`{"uri", "range", "text"}`).

        Raises:
            EngineUnavailableError: when there is no model.
            AnalystdError: when the run never started for another reason.
        """
        return AgentResult.of(await self.command(Command.RUN_AGENT, timeout=timeout, prompt=prompt, **options))

    def start_agent(
        self, prompt: str, *, timeout: float | None = None, **options: Unpack[AgentOptions]
    ) -> AwaitableContext[Run[AgentResult]]:
        """Have the model asked; `await` gives a `Run` as soon as the question is accepted, and `async with` cancels it at the block's end.

        Options as for `run_agent`.
        """
        return AwaitableContext(self._start(Command.START_AGENT, AgentResult.of, timeout, prompt=prompt, **options))

    async def exec_python(
        self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]
    ) -> PythonResult:
        """Run Python in a session that remembers, and wait for its end.

        Options: `session` (`"main"` by default), `reset` (forget its variables first), `timeout_seconds` (stop the code after so long, with
        status `limit`), `priority` (`"batch"` lets others go first), `uri` and `line` (where the code stands).

        Raises:
            SessionUnavailableError: when no session can be started.
            AnalystdError: when the code never started for another reason.
        """
        return PythonResult.of(await self.command(Command.EXEC_PYTHON, timeout=timeout, code=code, **options))

    def start_python(
        self, code: str, *, timeout: float | None = None, **options: Unpack[PythonOptions]
    ) -> AwaitableContext[Run[PythonResult]]:
        """Have Python run; `await` gives a `Run` as soon as the code is accepted, and `async with` cancels it at the block's end.

        Options as for `exec_python`.
        """
        return AwaitableContext(self._start(Command.START_PYTHON, PythonResult.of, timeout, code=code, **options))

    def run(self, run_id: str) -> Run[AnyResult]:
        """A handle of any run of this desk: another window's, or one that ended days ago. Asks the daemon nothing yet."""
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
        """Look at a table in the workspace without loading it; `on_progress` is told what part of long work is done, from 0 to 1.

        Options: `n_rows` (at most 10 000), `offset` (the first row, counted from 0, for `"rows"`), `columns` (names), `filter`
        (`[{"column", "op", "value"}]`, all of which must hold), `sort` (`[{"column", "descending"}]`), `delimiter`.

        Raises:
            WorkspaceError: for a path that is refused or no table.
            InvalidArgumentsError: for a column that is not there, or options that make no sense.
        """
        arguments = {"path": path, "operation": operation, **options}
        return ViewResult.of(
            await self.command(Command.VIEW_DATA, timeout=timeout, on_progress=on_progress, **arguments)
        )

    async def list_files(
        self, path: str = ".", *, pattern: str | None = None, recursive: bool = False, timeout: float | None = None
    ) -> FileList:
        """List a folder of the workspace; `pattern` is one like `*.csv`."""
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
        """Read `limit` lines of a text file of the workspace from the 1-based line `offset` on, or bytes from `byte_offset` (from 0) on."""
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
        """Forget a session's variables; gives its state."""
        return SessionState.of(await self.command(Command.RESET_SESSION, timeout=timeout, session=session))

    async def interrupt(self, session: str = "main", *, timeout: float | None = None) -> SessionState:
        """Stop what runs in a session; gives its state."""
        return SessionState.of(await self.command(Command.INTERRUPT, timeout=timeout, session=session))

    async def variables(self, session: str = "main", *, timeout: float | None = None) -> SessionVariables:
        """A session's state with its variables."""
        return SessionVariables.of(await self.command(Command.VARIABLES, timeout=timeout, session=session))

    async def cancel_run(self, run_id: str, *, timeout: float | None = None) -> str:
        """Have a run end soon, whoever asked for it; gives `cancelling`, or the status of one that has ended."""
        return CancelResult.of(await self.command(Command.CANCEL_RUN, timeout=timeout, run_id=run_id)).status

    async def list_runs(self, limit: int = 50, *, timeout: float | None = None) -> list[RunSummary]:
        """The latest runs of the desk, newest first."""
        return list(RunList.of(await self.command(Command.LIST_RUNS, timeout=timeout, limit=limit)).runs)

    async def get_run(self, run_id: str, *, timeout: float | None = None) -> RunRecord:
        """Everything about one run: its summary, and its events.

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
        """What was moved aside because tools outside would run or believe it, the latest first."""
        return list(QuarantineList.of(await self.command(Command.LIST_QUARANTINE, timeout=timeout)).entries)

    async def restore_quarantine(
        self, entry_id: str, *, preview: bool = False, digest: str | None = None, timeout: float | None = None
    ) -> Restoration:
        """Put an entry back, or with `preview` tell what would be. With the preview's `digest` nothing but that is put back.

        Raises:
            InvalidArgumentsError: when there is no such entry.
            WorkspaceError: when its place is taken or gone, or it has changed.
        """
        command = Command.RESTORE_QUARANTINE
        return Restoration.of(
            await self.command(command, timeout=timeout, id=entry_id, preview=preview or None, digest=digest)
        )

    async def discard_quarantine(self, entry_id: str, *, timeout: float | None = None) -> Restoration:
        """Remove an entry for good.

        Raises:
            InvalidArgumentsError: when there is no such entry.
        """
        return Restoration.of(await self.command(Command.DISCARD_QUARANTINE, timeout=timeout, id=entry_id))

    async def events(self, after: int = 0, *, timeout: float | None = None) -> EventPage:
        """A page of what happened after a number; with a `snapshot` when some of that is not kept any more. `follow` turns the pages itself."""
        return EventPage.of(await self.command(Command.EVENTS, timeout=timeout, after=after))

    def follow(self, *, after: int | None = None, mine: bool = False, timeout: float | None = None) -> EventStream:
        """An iterator over the events of the desk, each once and in order: from now on, or all `after` a number.

        `mine`: only those of runs that this client asked for, and of sessions, which all share. `timeout`: seconds to wait for each next
        event. `seq` of the iterator is the number to go on from another time. When the daemon ends, it waits for the next one, which it does
        not start itself, and goes on.

        Raises, while it is iterated:
            EventsGoneError: when some are not kept any more, with a snapshot; iterating again goes on after it.
            RequestTimeoutError: when no event came in time; iterating again waits on.
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
        """Have the desk's events told to `listener` as they come; gives what ends that. What happens without a connection is not told."""
        return self._feed.listen(listener)

    def on_lost(self, listener: LossListener) -> Callable[[], None]:
        """Have `listener` called each time the daemon ends, or the connection to it; gives what ends that. The next request connects anew."""
        return self._link.on_lost(listener)

    async def status(self, *, timeout: float | None = None) -> Status:
        """The daemon as a whole."""
        return Status.of(await self.command(Command.STATUS, timeout=timeout))

    async def shutdown(self, *, now: bool = False, timeout: float | None = None) -> Stopping:
        """Stop the daemon after its runs, or at once."""
        return Stopping.of(await self.command(Command.SHUTDOWN, timeout=timeout, now=now))

    async def command(
        self,
        command: Command,
        *,
        timeout: float | None = None,
        on_progress: ProgressListener | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Send any command of docs/protocol.md and give what it answers; arguments that are None are left out.

        Raises:
            RequestTimeoutError: when there was no answer in time.
            AnalystdError: as the daemon answered it.
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
        """An iterator over events; `missed` asks for those after a number."""
        return EventStream(self._link, self._feed, theme, missed, after=after, timeout=timeout)

    async def aclose(self) -> None:
        """Take leave; the desk and its runs go on. Harmless when repeated."""
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
            # It may have been accepted already, and then nobody would have a handle of it.
            with contextlib.suppress(AnalystdError, TimeoutError):
                async with asyncio.timeout(_CANCEL_SECONDS):
                    await self.cancel_run(RunSummary.of(await asked).run_id)
            raise
        return Run(self, RunSummary.of(answer).run_id, result_of, is_own=True)
