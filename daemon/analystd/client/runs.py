"""Handles of runs: their events, their result, their end, whoever asked for them and whenever that was."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from analystd.client._records import Record
from analystd.client._timeouts import within
from analystd.client.events import Event, RunRecord, RunSummary
from analystd.client.feed import EventStream, ReplayPage, StreamFilter
from analystd.client.results import AgentResult, PythonResult, WrittenFile
from analystd.wire.errors import DaemonLostError, error_of_kind
from analystd.wire.names import Command

if TYPE_CHECKING:
    from analystd.client.client import Client

AnyResult = AgentResult | PythonResult | WrittenFile

R = TypeVar("R", bound=Record, covariant=True)


class Run(Generic[R]):
    """One run of the desk; made by `Client.start_agent`, `Client.start_python`, or for any run by `Client.run`.

    The run belongs to the desk and goes on when the handle is forgotten or the client leaves. `async with run:` cancels what is left of
    it at the end of the block.
    """

    def __init__(
        self, client: Client, run_id: str, result_of: Callable[[Mapping[str, Any]], R], *, is_own: bool
    ) -> None:
        self.id = run_id
        """The run's id, as in `run_1702473600_a1b2c3d4`."""
        self.is_own = is_own
        """Whether it was started by this very handle."""
        self._client = client
        self._result_of = result_of
        self._end: Event | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._end is None:
            # With its daemon the run has ended, too.
            with contextlib.suppress(DaemonLostError):
                await self.cancel()

    def __repr__(self) -> str:
        return f"<Run {self.id}{'' if self._end is None else ' ' + self._end.status}>"

    def events(self, *, after: int = 0, timeout: float | None = None) -> EventStream:
        """An iterator over all events of the run, from the first on (or from those `after` a number), and ended by `run_finished`.

        It does not matter when it began: what was before is read from the desk's journal, and so is what a lost connection swallowed. A run
        that died with its daemon ends with status `failed` and the error kind `daemon_lost`.

        `timeout`: seconds to wait for each next event.

        Raises, while it is iterated:
            InvalidArgumentsError: when there is no such run.
            RequestTimeoutError: when no event came in time; iterating again waits on.
            DaemonLostError: when no daemon can be reached.
        """
        return self._stream(self._is_of_run, after, timeout)

    async def ended(self, *, timeout: float | None = None) -> Event:
        """Its `run_finished` event, with the `status`, as soon as it has ended; waiting is as for `result`."""
        return await within(
            timeout, f"The end of {self.id}", self._wait_for_end(), "The run goes on; `cancel` ends it."
        )

    async def result(self, *, timeout: float | None = None) -> R:
        """What came of it, as soon as it has ended; at once if it has. Cancelling the task that waits leaves the run alone.

        `timeout`: seconds to wait.

        Raises:
            RequestTimeoutError: when it has not ended by then; it goes on.
            DaemonLostError: when it died with its daemon.
            AnalystdError: when it never started, such as `EngineUnavailableError` without a model.
        """
        end = await self.ended(timeout=timeout)
        if end.result is None:
            failure = end.error
            error = (
                error_of_kind(failure.kind, failure.message, failure.hint)
                if failure
                else error_of_kind("", "The run failed")
            )
            error.run_id = self.id
            raise error
        return self._result_of(end.result)

    async def cancel(self, *, timeout: float | None = None) -> str:
        """Have it end soon; gives `cancelling`, or the status of one that has ended. Harmless when repeated."""
        return await self._client.cancel_run(self.id, timeout=timeout)

    async def summary(self, *, timeout: float | None = None) -> RunSummary:
        """How it stands now: status, title, when it began, for how many seconds it ran."""
        return (await self._client.get_run(self.id, timeout=timeout)).run

    async def _wait_for_end(self) -> Event:
        if self._end is None:
            async with self._stream(self._is_end, 0, None) as stream:
                async for event in stream:
                    self._end = event
        assert self._end is not None
        return self._end

    def _stream(self, wants: Callable[[Event], bool], after: int, timeout: float | None) -> EventStream:
        theme = StreamFilter(wants, self._notes_end, "mine" if self.is_own else "all", starts_daemon=True)
        return self._client.stream(theme, self._events_after, after=after, timeout=timeout)

    async def _events_after(self, after: int) -> ReplayPage:
        answer = RunRecord.of(await self._client.command(Command.GET_RUN, run_id=self.id, after=after))
        # How it stood was asked before its events were: if it was over, they are all.
        return ReplayPage(answer.events, answer.more, is_all=answer.run.is_over and not answer.more)

    def _is_of_run(self, event: Event) -> bool:
        return event.run_id == self.id

    def _is_end(self, event: Event) -> bool:
        return event.ends_run and self._is_of_run(event)

    def _notes_end(self, event: Event) -> bool:
        if self._is_end(event):
            self._end = event
        return self._is_end(event)


def any_result(wire: Mapping[str, Any]) -> AnyResult:
    """Return the result of a run of whatever kind."""
    if "answer" in wire:
        return AgentResult.of(wire)
    return PythonResult.of(wire) if "stdout" in wire else WrittenFile.of(wire)
