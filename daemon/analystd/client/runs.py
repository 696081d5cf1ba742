"""Handles of runs: their events, result and end, no matter who started them and when."""

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
    """One run of the desk, created by `Client.start_agent`, `Client.start_python`, or for any run by `Client.run`.

    The run belongs to the desk and continues when the handle is discarded or the client leaves. `async with run:` cancels the run at the end
    of the block, if it has not ended.
    """

    def __init__(
        self, client: Client, run_id: str, result_of: Callable[[Mapping[str, Any]], R], *, is_own: bool
    ) -> None:
        self.id = run_id
        """The run's id, as in `run_1702473600_a1b2c3d4`."""
        self.is_own = is_own
        """Whether this handle started the run."""
        self._client = client
        self._result_of = result_of
        self._end: Event | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._end is None:
            # The run has ended with its daemon.
            with contextlib.suppress(DaemonLostError):
                await self.cancel()

    def __repr__(self) -> str:
        return f"<Run {self.id}{'' if self._end is None else ' ' + self._end.status}>"

    def events(self, *, after: int = 0, timeout: float | None = None) -> EventStream:
        """Return an iterator over all events of the run, or those `after` a number, up to `run_finished`.

        Earlier events, and those that a lost connection missed, are read from the desk's journal. A run that died with its daemon ends with
        status `failed` and the error kind `daemon_lost`.

        `timeout` is the number of seconds to wait for each next event.

        Raises, while it is iterated:
            InvalidArgumentsError: when there is no such run.
            RequestTimeoutError: when no event came in time; iterating again continues to wait.
            DaemonLostError: when no daemon can be reached.
        """
        return self._stream(self._is_of_run, after, timeout)

    async def ended(self, *, timeout: float | None = None) -> Event:
        """Wait until the run has ended, as `result` does, and return its `run_finished` event, which has the `status`."""
        return await within(
            timeout, f"The end of {self.id}", self._wait_for_end(), "The run goes on; `cancel` ends it."
        )

    async def result(self, *, timeout: float | None = None) -> R:
        """Wait until the run has ended, and return its result. Cancelling the waiting task does not cancel the run.

        `timeout` is the number of seconds to wait.

        Raises:
            RequestTimeoutError: when the run has not ended by then; it continues.
            DaemonLostError: when the run died with its daemon.
            AnalystdError: when the run never started, such as `EngineUnavailableError` without a model.
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
        """Cancel the run; return `cancelling`, or the status of a run that has ended. Harmless when repeated."""
        return await self._client.cancel_run(self.id, timeout=timeout)

    async def summary(self, *, timeout: float | None = None) -> RunSummary:
        """Return the run's current summary: its status, title, start and duration in seconds."""
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
        # The summary is older than the events: if the run was over in it, these are all.
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
    """Return the result of a run of any kind."""
    if "answer" in wire:
        return AgentResult.of(wire)
    return PythonResult.of(wire) if "stdout" in wire else WrittenFile.of(wire)
