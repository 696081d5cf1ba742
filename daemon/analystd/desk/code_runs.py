"""Run code in a desk's sessions, within limits, and report its end and any later output."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from analystd.desk.event_log import EventLog
from analystd.desk.fair_queue import QueueRequest
from analystd.desk.requester import Requester
from analystd.desk.runs import AnyRun
from analystd.desk.sessions import Sessions, SessionSlot
from analystd.jail.workspace import Workspace
from analystd.kernel.base import Execution, Output, SessionSupply, Trouble
from analystd.wire.errors import ResourceLimitError
from analystd.wire.names import EventKind

logger = logging.getLogger(__name__)

_WORKER = "kernel"


class CodeRuns:
    """Runs code for runs, in `sessions`, and records events that belong to no run in progress."""

    def __init__(self, chronicle: EventLog, workspace: Workspace, supply: SessionSupply) -> None:
        self.sessions = Sessions(supply, partial(self._tell_output, None, None), self._tell_trouble)
        self._chronicle = chronicle
        self._workspace = workspace

    async def execute(
        self, run: AnyRun, seat: SessionSlot, code: str, *, reset: bool, timeout: float, file: str | None
    ) -> Execution:
        """Execute the code of a run whose turn has come. Cancelling the run interrupts the code.

        Args:
            run: The run.
            seat: The session, and the turn to use it.
            code: The code.
            reset: Whether to delete the session's variables first.
            timeout: Seconds after which the code is stopped.
            file: The path of the document that contains the code, if any.

        Raises:
            ResourceLimitError: if memory is short and the session holds nothing that the code could free.
        """
        overstepped = await self._overstepped(seat, reset)
        if reset:
            await self.reset(seat, run.request.asker)
        run.interrupt = seat.session.interrupt
        try:
            return await self._execute(run, seat, code, timeout, overstepped, file)
        finally:
            run.interrupt = None

    async def execute_step(
        self, run: AnyRun, seat: SessionSlot, code: str, *, reset: bool, timeout: float, ticket: QueueRequest
    ) -> Execution:
        """Execute the code of a step of an agent's run when its turn in the session comes.

        Raises:
            ResourceLimitError: as in `execute`.
        """
        async with seat.turnstile.turn(ticket):
            overstepped = await self._overstepped(seat, reset)
            if reset:
                await self.reset(seat, run.request.asker)
            return await self._execute(run, seat, code, timeout, overstepped)

    async def reset(self, seat: SessionSlot, asker: Requester | None) -> None:
        """Delete the variables of an idle session, and record that.

        Raises:
            SessionUnavailableError: if no new kernel can be started.
        """
        await seat.session.reset()
        self._chronicle.record(EventKind.SESSION_RESET, None, asker, seat.session.info().name)

    async def _execute(
        self,
        run: AnyRun,
        seat: SessionSlot,
        code: str,
        timeout: float,
        overstepped: str | None,
        file: str | None = None,
    ) -> Execution:
        name = seat.session.info().name
        execution = await seat.session.execute(
            code,
            timeout_seconds=timeout,
            on_output=run.put_out,
            on_late_output=partial(self._tell_output, run.id, run.request.asker, name),
            overstepped=overstepped,
            file=file,
        )
        self._tell_bad_end(run, seat, execution)
        return execution

    async def _overstepped(self, seat: SessionSlot, reset: bool) -> str | None:
        """Return the limit that is exceeded before the code starts, if the code may help by deleting files or variables.

        Raises:
            ResourceLimitError: if memory is short and the session has no memory to free.
        """
        try:
            await asyncio.to_thread(self._workspace.check_resources)
        except ResourceLimitError as exc:
            if not reset and seat.session.info().pid is None:
                await asyncio.to_thread(self._workspace.check_memory)
            return f"{exc.message}. {exc.hint}" if exc.hint else exc.message
        return None

    def _tell_bad_end(self, run: AnyRun, seat: SessionSlot, execution: Execution) -> None:
        """Report that a limit ended the code or that the session's Python died, and what was lost."""
        if execution.error is None:
            return
        if execution.status == "limit":
            kind = EventKind.LIMIT
        elif execution.status == "died" or (execution.status == "interrupted" and seat.session.info().state == "dead"):
            kind = EventKind.WORKER_DIED
        else:
            return
        logger.warning("session %s: %s", run.request.session, execution.error.message)
        run.emit(kind, worker=_WORKER, text=execution.error.message)

    def _tell_trouble(self, session: str, trouble: Trouble) -> None:
        kind = EventKind.LIMIT if trouble.kind == "limit" else EventKind.WORKER_DIED
        self._chronicle.record(kind, None, None, session, worker=_WORKER, text=trouble.text)

    def _tell_output(self, run_id: str | None, asker: Requester | None, session: str, output: Output) -> None:
        """Record output of threads and child processes that outlive their code, with the code's run where it is known."""
        if output.kind == "display":
            self._chronicle.record(EventKind.DISPLAY, run_id, asker, session, data=output.data)
        else:
            self._chronicle.record(EventKind.OUTPUT, run_id, asker, session, stream=output.kind, text=output.text)
