"""Runs: accepted pieces of work, each with an id and events, which end exactly once and which any client can cancel."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from analystd.desk.event_log import EventLog
from analystd.desk.requester import Requester, attribution
from analystd.desk.text_batcher import TextBatcher
from analystd.kernel.base import Output
from analystd.util.run_id import current_run_id, generate_run_id
from analystd.wire.errors import AnalystdError, InvalidArgumentsError, StoppingError
from analystd.wire.events import RunSummary
from analystd.wire.names import EventKind
from analystd.wire.results import AgentResult, PythonResult, WriteResult

logger = logging.getLogger(__name__)

MAX_REQUEST_BYTES = 16 * 1024 * 1024
"""Maximum size of a prompt or code, as ASCII JSON, because every client receives it."""

Result = AgentResult | PythonResult | WriteResult
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class RunRequest:
    """A request: `kind` is `agent`, `python` or `write`; `title` is one line for lists; `content` goes into the first event."""

    kind: str
    title: str
    asker: Requester
    session: str | None
    content: dict[str, Any]
    conversation: str | None = None
    batch: bool = False

    def __post_init__(self) -> None:
        """Refuse a request that is too large to be sent to every client.

        Raises:
            InvalidArgumentsError: if it is larger than an event may be.
        """
        size = len(json.dumps([self.title, self.session, self.conversation, self.content]))
        if size > MAX_REQUEST_BYTES:
            raise InvalidArgumentsError(
                f"What is asked is of {size / 1e6:.1f} MB in JSON, and {MAX_REQUEST_BYTES / 1e6:.1f} MB are the most",
                "Write long data to a file in the workspace, and have it read.",
            )


class DeskRun(Generic[R]):
    """One run in progress. Its task belongs to the desk: the window that asked may close."""

    def __init__(self, request: RunRequest, chronicle: EventLog) -> None:
        self.id = generate_run_id()
        self.request = request
        self.interrupt: Callable[[], Awaitable[object]] | None = None
        """While set, cancelling calls this instead of cancelling the task, and the work ends by itself with what it has."""
        self.step: int | None = None
        """The tool call in progress, counted from 1; output in the meantime carries this number."""
        self.cancelled_by: Requester | None = None
        """The requester that cancelled the run, if any."""
        self._chronicle = chronicle
        self._batch = TextBatcher(self._emit_text)
        self._cancelling: asyncio.Future[object] | None = None
        self._is_cancelled = False
        """Whether the task was cancelled: a second time would end it while it waits for the work that it must stop."""
        self.task: asyncio.Task[R] | None = None
        self.has_begun = False
        """Whether the task has reached its first line; a task that is cancelled earlier never does."""

    def emit(self, kind: EventKind, **content: Any) -> None:
        """Write an event of this run, then send it."""
        self._batch.flush()
        self._record(kind, content)

    def say(self, text: str) -> None:
        """Report a piece of the model's text; pieces are batched."""
        self._batch.add("model", text)

    def tell_waiting(self, position: int, reason: str) -> None:
        """Report a new position in a queue, or another queue."""
        self.emit(EventKind.RUN_WAITING, position=position, reason=reason)

    def put_out(self, output: Output) -> None:
        """Report output of running code; text is batched."""
        if output.kind == "display":
            self.emit(EventKind.DISPLAY, data=output.data, **self._of_step())
        else:
            self._batch.add(output.kind, output.text)

    def cancel(self, asker: Requester | None = None) -> None:
        """Cancel the run on behalf of `asker`. Harmless when repeated or too late."""
        if self.task is None or self.task.done():
            return
        self.cancelled_by = self.cancelled_by or asker
        if self.interrupt is None:
            self._cancel_task(self.task)
        elif self._cancelling is None or self._cancelling.done():
            self._cancelling = asyncio.ensure_future(self.interrupt())

    def _cancel_task(self, task: asyncio.Task[R]) -> None:
        if self._is_cancelled:
            return
        self._is_cancelled = True
        if self.has_begun:
            task.cancel()
        else:
            asyncio.get_running_loop().call_soon(task.cancel)

    async def result(self) -> R:
        """Wait for the result. The run continues if the caller is cancelled.

        Raises:
            AnalystdError: if the run never started.
        """
        assert self.task is not None
        return await asyncio.shield(self.task)

    def _emit_text(self, key: str, text: str) -> None:
        if key == "model":
            self._record(EventKind.TEXT, {"text": text})
        else:
            self._record(EventKind.OUTPUT, {"stream": key, "text": text, **self._of_step()})

    def _of_step(self) -> dict[str, int]:
        return {} if self.step is None else {"step": self.step}

    def _record(self, kind: EventKind, content: dict[str, Any]) -> None:
        self._chronicle.record(kind, self.id, self.request.asker, self.request.session, **content)


AnyRun = DeskRun[Any]


class RunBook:
    """All runs of a desk: those in progress, and the summaries of those in the journal."""

    def __init__(self, chronicle: EventLog) -> None:
        self._chronicle = chronicle
        self._active: dict[str, AnyRun] = {}
        self._closed_because: str | None = None
        self._close_lost_runs()

    @property
    def active(self) -> tuple[AnyRun, ...]:
        """The runs in progress, oldest first."""
        return tuple(self._active.values())

    def close(self, reason: str | None) -> None:
        """Accept no new runs, for a reason that requesters receive; accept them again if it is None."""
        self._closed_because = reason

    def require_open(self) -> None:
        """Refuse a new run while none is accepted.

        Raises:
            StoppingError: with the reason.
        """
        if self._closed_because is not None:
            under_way = ", ".join(f"{run.id} ({run.request.title})" for run in self.active)
            raise StoppingError(
                self._closed_because,
                f"Under way are still: {under_way}. Ask again when they have ended, or cancel them."
                if under_way
                else "Ask again in a moment.",
            )

    def begin(
        self,
        request: RunRequest,
        work: Callable[[DeskRun[R]], Awaitable[R]],
        cancelled: Callable[[DeskRun[R]], R],
        *,
        position: int = 0,
        reason: str | None = None,
    ) -> DeskRun[R]:
        """Accept a request: `work` runs in a task of its own; `cancelled` makes the result of a run that is cancelled before it has one.

        `position` and `reason` say how many requests are before it and what it waits for.
        """
        run: DeskRun[R] = DeskRun(request, self._chronicle)
        token = current_run_id.set(run.id)
        try:
            run.emit(
                EventKind.RUN_QUEUED,
                run_kind=request.kind,
                title=request.title,
                conversation=request.conversation,
                position=position,
                reason=reason if position else None,
                **request.content,
            )
            logger.info("queued at position %d: %s %r", position, request.kind, request.title)
            self._active[run.id] = run
            run.task = asyncio.get_running_loop().create_task(self._carry_out(run, work, cancelled), name=run.id)
            # The requester may be gone; the failure is in the journal and needs no reader here.
            run.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        finally:
            current_run_id.reset(token)
        return run

    def under_way(self, run_id: str | None) -> AnyRun:
        """Return the run with this id, which has not ended.

        Raises:
            KeyError: if it has ended or does not exist.
        """
        return self._active[run_id or ""]

    def find_active(self, run_id: str) -> AnyRun | None:
        """Return the run if it is in progress, None if it has ended.

        Raises:
            InvalidArgumentsError: if there never was a run with this id.
        """
        if run_id in self._active:
            return self._active[run_id]
        self.summary(run_id)
        return None

    def summaries(self, limit: int) -> list[RunSummary]:
        """Return the latest runs, newest first."""
        return self._chronicle.journal.runs.latest(limit)

    def summary(self, run_id: str) -> RunSummary:
        """Return the summary of one run.

        Raises:
            InvalidArgumentsError: if there is no run with this id.
        """
        summary = self._chronicle.journal.runs.get(run_id)
        if summary is None:
            raise InvalidArgumentsError(f"There is no run '{run_id}' here", "`analystd runs` lists them.")
        return summary

    async def aclose(self) -> None:
        """Cancel the runs in progress and wait until they end."""
        for run in self.active:
            run.interrupt = None
            run.cancel()
        await asyncio.gather(*(run.task for run in self.active if run.task), return_exceptions=True)

    async def _carry_out(
        self, run: DeskRun[R], work: Callable[[DeskRun[R]], Awaitable[R]], cancelled: Callable[[DeskRun[R]], R]
    ) -> R:
        current_run_id.set(run.id)
        run.has_begun = True
        try:
            result = await work(run)
        except asyncio.CancelledError:
            result = cancelled(run)
        except AnalystdError as exc:
            self._fail(run, exc)
            raise
        except Exception as exc:
            logger.exception("the run failed")
            error = AnalystdError(f"Internal error: {type(exc).__name__}", "The log has the details: `analystd logs`.")
            self._fail(run, error)
            raise error from exc
        finally:
            self._active.pop(run.id, None)
        run.emit(EventKind.RUN_FINISHED, status=result["status"], result=result, **_ender(run, result))
        logger.info("finished: %s", result["status"])
        return result

    def _fail(self, run: AnyRun, error: AnalystdError) -> None:
        run.emit(
            EventKind.RUN_FINISHED,
            status="failed",
            error={"kind": error.kind, "message": error.message, "hint": error.hint},
        )
        error.run_id = run.id
        logger.info("failed: %s", error.message)

    def _close_lost_runs(self) -> None:
        """End the runs that an earlier daemon left open when it died."""
        for run in self._chronicle.journal.runs.under_way():
            asker = Requester(run["client_id"] or "", run["client"] or "")
            error = {"kind": "daemon_lost", "message": "The daemon ended while this run was under way", "hint": None}
            self._chronicle.record(
                EventKind.RUN_FINISHED, run["run_id"], asker, run["session"], status="failed", error=error
            )


def _ender(run: AnyRun, result: Result) -> dict[str, Any]:
    """Return the requester that cancelled the run before it was done, if any, as event content."""
    if run.cancelled_by is None or result["status"] not in ("cancelled", "interrupted"):
        return {}
    return {"cancelled_by": attribution(run.cancelled_by)}
