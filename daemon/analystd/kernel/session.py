"""A Python session that outlives its kernels: it runs and stops code, and starts a new kernel when the old one has ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from analystd.jail.limits import Breach
from analystd.jail.sandbox import Sandbox
from analystd.kernel.base import (
    NEVER_RAN,
    Completions,
    Execution,
    Session,
    SessionInfo,
    SessionState,
    SessionVariable,
    Trouble,
)
from analystd.kernel.execution import Cell, OutputHandler
from analystd.kernel.execution_results import LOST_BY_EXIT, LOST_BY_INTERRUPT, outcome, overstepped, timed_out
from analystd.kernel.idle import relieve
from analystd.kernel.kernel_client import KernelClient
from analystd.kernel.launch import Launch
from analystd.kernel.resource_guard import Guard
from analystd.kernel.stopping import StopReason, stop_all, stop_cell
from analystd.kernel.waits import first, free_to_help, in_time, marked, no_variables
from analystd.kernel.warm_kernel import WarmKernels

logger = logging.getLogger(__name__)

GRACE_SECONDS = 2.0
"""How long code may take to end after an interrupt before its kernel is killed."""

_VARIABLES_SECONDS = 3.0
_LARGEST_SECONDS = 1.0
_ASKED_FIRST_SECONDS = 0.2
_NAMED_VARIABLES = 5
_ASIDE_SECONDS = 2.0
"""The time limit for completions and inspections; later answers would be of no use to an editor."""

_OF_MEMORY = ("memory", "free_ram")

_Answer = TypeVar("_Answer")

TroubleHandler = Callable[[Trouble], None]


class KernelSession(Session):
    """A session on kernels that the daemon starts.

    `spares` are shared by the sessions of a desk and closed by their owner; without them, `guard` watches the session's own kernels.
    """

    def __init__(
        self,
        name: str,
        workspace: Path,
        runtime: Path,
        sandbox: Sandbox,
        *,
        read_only_paths: Sequence[Path] = (),
        python: Path | None = None,
        spares: WarmKernels | None = None,
        grace_seconds: float = GRACE_SECONDS,
        guard: Guard | None = None,
        on_background_output: OutputHandler | None = None,
        on_trouble: TroubleHandler | None = None,
    ) -> None:
        self.name = name
        self._own_spares = spares is None
        launch = Launch(workspace, runtime, sandbox, tuple(read_only_paths), python)
        self._spares = spares or WarmKernels(launch, guard=guard)
        self._grace_seconds = grace_seconds
        self._on_background_output = on_background_output
        self._on_trouble = on_trouble
        self._kernel: KernelClient | None = None
        self._starting = False
        self._preparing = False
        """Whether code is waiting for its kernel to be ready."""
        self._unwanted = False
        """Whether the waiting code was interrupted."""
        self._turn = asyncio.Lock()
        self._variables: tuple[SessionVariable, ...] = ()
        self._breach: asyncio.Future[StopReason] | None = None
        self._over = asyncio.Event()
        """Set while no code is running or being stopped."""
        self._over.set()
        self._pending_notes: list[str] = []
        """Notes on events since the last run, to be added to the output of the next one."""
        self._stopping: asyncio.Task[bool] | None = None
        self._retired: set[asyncio.Task[None]] = set()

    def info(self) -> SessionInfo:
        """Return a snapshot; never starts anything."""
        kernel = self._kernel
        alive = kernel is not None and kernel.alive
        return SessionInfo(
            name=self.name,
            state=self._state(),
            pid=kernel.process.pid if kernel is not None and alive else None,
            execution_count=kernel.execution_count if kernel is not None else 0,
            memory_bytes=kernel.process.memory_bytes() if kernel is not None else None,
        )

    async def execute(
        self,
        code: str,
        *,
        timeout_seconds: float,
        on_output: OutputHandler,
        on_late_output: OutputHandler | None = None,
        overstepped: str | None = None,
        file: str | None = None,
    ) -> Execution:
        """Run `code`, starting the kernel if necessary; see `Session.execute`."""
        async with self._turn:
            kernel, notes = await self._prepared(overstepped)
            if kernel is None:
                return replace(NEVER_RAN, stderr="".join(notes))
            trusted = self._spares.launch.trusted
            moved_before = 0 if trusted is None else trusted.count
            cell = kernel.run(code, on_output, on_late_output, file)
            for note in notes:
                cell.published("stream", {"name": "stderr", "text": note})
            return await self._carried_out(kernel, cell, timeout_seconds, moved_before)

    async def interrupt(self) -> str | None:
        """Interrupt the running code as with Ctrl-C, and kill the kernel if that does not help. Code that waits for its kernel never runs.

        Returns:
            The sentence on what was lost, if the kernel was killed.
        """
        self._unwanted = self._preparing
        if self._kernel is not None and self._kernel.cell is not None:
            spared = await stop_cell(self._kernel, self._kernel.cell, self._grace_seconds)
            return None if spared else LOST_BY_INTERRUPT
        return None

    def stop_for(self, message: str, *, name_variables: bool = False) -> None:
        """Stop the running code and its processes because of a limit: as for a timeout, with `message` in the outcome.

        `name_variables` adds the names of the largest variables. Harmless when no code runs.
        """
        if self._breach is not None and not self._breach.done():
            self._breach.set_result(StopReason(message, name_variables))

    async def reset(self) -> None:
        """Delete all variables: the spare replaces the kernel.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        self._variables = ()
        old = self._kernel
        if old is None:
            return
        if old.cell is not None:
            old.cell.interrupted = True
        self._kernel = None
        self._retire(old)
        await self._live_kernel()
        self._spares.refill()

    async def variables(self) -> tuple[SessionVariable, ...]:
        """Return the user's variables, sorted by name; while code runs, those from before. Empty when there is no kernel."""
        if (asked := await self._ask_variables()) is not None:
            self._variables = asked
        return self._variables

    async def variable_count(self) -> int | None:
        """Return the number of variables; None if it is unknown because code is running or the kernel does not answer."""
        asked = await self._ask_variables()
        return None if asked is None else len(asked)

    async def largest_variables(self, limit: int = _NAMED_VARIABLES) -> tuple[SessionVariable, ...]:
        """Return the variables that take the most memory, the largest first; while code runs, including those of its functions.

        Without an answer within a second, use the last result of `variables`. The size of a container is estimated from a few elements.
        """
        kernel = self._kernel
        if kernel is None or not kernel.alive:
            return ()
        try:
            return await asyncio.wait_for(kernel.largest_variables(limit), _LARGEST_SECONDS)
        except (ConnectionError, TimeoutError, LookupError, TypeError, ValueError):
            return tuple(sorted(self._variables, key=lambda variable: -(variable.memory_bytes or 0))[:limit])

    async def complete(self, code: str, cursor: int) -> Completions:
        """Return completions for the word before `cursor`; see `Session.complete`."""
        cursor = max(0, min(cursor, len(code)))
        return await self._ask_aside(lambda kernel: kernel.complete(code, cursor)) or Completions((), cursor, cursor)

    async def inspect(self, code: str, cursor: int) -> str | None:
        """Describe the name at `cursor`; see `Session.inspect`."""
        cursor = max(0, min(cursor, len(code)))
        return await self._ask_aside(lambda kernel: kernel.inspect(code, cursor))

    async def aclose(self) -> None:
        """End the kernel and everything that it started. Harmless when repeated."""
        if self._kernel is not None:
            self._retire(self._kernel)
            self._kernel = None
        if self._stopping is not None:
            await asyncio.wait([self._stopping])
        await asyncio.gather(*self._retired)
        if self._own_spares:
            await self._spares.aclose()

    def __repr__(self) -> str:
        return f"<KernelSession {self.name} {self._state()}>"

    async def _ask_variables(self) -> tuple[SessionVariable, ...] | None:
        kernel = self._kernel
        if kernel is None or not kernel.alive:
            return ()
        if kernel.cell is not None:
            return None
        try:
            return await asyncio.wait_for(kernel.variables(), _VARIABLES_SECONDS)
        except ConnectionError:
            return ()
        except TimeoutError:
            logger.warning("Session %s did not report its variables within %g s", self.name, _VARIABLES_SECONDS)
        except (LookupError, TypeError, ValueError):
            logger.warning("Session %s sent an invalid answer", self.name)
        return None

    async def _ask_aside(self, ask: Callable[[KernelClient], Awaitable[_Answer]]) -> _Answer | None:
        """Return the answer of the kernel if it is idle and answers in time; else None."""
        kernel = self._kernel
        if kernel is None or not kernel.alive or kernel.cell is not None:
            return None
        try:
            return await asyncio.wait_for(ask(kernel), _ASIDE_SECONDS)
        except (ConnectionError, TimeoutError):
            return None
        except (LookupError, TypeError, ValueError):
            logger.warning("Session %s sent an invalid answer", self.name)
            return None

    async def _prepared(self, overstepped: str | None) -> tuple[KernelClient | None, list[str]]:
        """Return a kernel that is ready for code, and the notes for the code's output; no kernel if the code was interrupted meanwhile."""
        notes, self._pending_notes = [*filter(None, [self._lost()]), *self._pending_notes], []
        self._preparing, self._unwanted = True, False
        try:
            kernel = await self._live_kernel()
            # Files that appeared since the last code ran are the user's; once code runs, their origin is unknown.
            trusted = self._spares.launch.trusted
            if trusted is not None and trusted.may_have_news():
                await in_time(trusted.look)
            if overstepped is not None:
                notes.append(free_to_help(overstepped))
                if kernel.process.watch is not None:
                    await kernel.process.watch.excuse()
        except BaseException:
            self._pending_notes = notes
            raise
        finally:
            self._preparing = False
        return (None if self._unwanted else kernel), [marked(note) for note in notes]

    async def _carried_out(
        self, kernel: KernelClient, cell: Cell, timeout_seconds: float, moved_before: int
    ) -> Execution:
        """Wait until a cell ends, times out or exceeds a limit, and return its outcome."""
        loop = asyncio.get_running_loop()
        breach = self._breach = loop.create_future()
        self._over.clear()
        if kernel.process.watch is not None:
            kernel.process.watch.begin()
        try:
            await first([cell.finished, breach], loop.time() + timeout_seconds)
            if breach.done() and not cell.answered:
                return await self._limited(kernel, cell, breach.result(), moved_before)
            if cell.finished.done():
                await self._note_moved_aside(cell, moved_before)
                return await self._finished(kernel, cell)
            await stop_cell(kernel, cell, self._grace_seconds)
            await self._note_moved_aside(cell, moved_before)
            return timed_out(kernel, cell, timeout_seconds, self._grace_seconds)
        except BaseException:
            # The requester has cancelled the run.
            self._stopping = asyncio.create_task(stop_cell(kernel, cell, self._grace_seconds), name=f"stop-{self.name}")
            await asyncio.shield(self._stopping)
            raise
        finally:
            self._breach = None
            self._over.set()
            if kernel.process.watch is not None:
                kernel.process.watch.end()
            self._spares.refill()

    async def _note_moved_aside(self, cell: Cell, moved_before: int) -> None:
        """Add notes to the code's output on what was moved aside while it ran."""
        trusted = self._spares.launch.trusted
        if trusted is None:
            return
        if trusted.may_have_news():
            await in_time(trusted.look)
        trusted.has_run()
        for entry in trusted.entries_since(moved_before):
            # Let the desk's report, which was scheduled in the loop, come first.
            await asyncio.sleep(0)
            cell.published("stream", {"name": "stderr", "text": marked(entry.sentence() + ".")})

    async def _finished(self, kernel: KernelClient, cell: Cell) -> Execution:
        """Return the outcome of a cell that is over; after `exit()`, end its kernel."""
        if cell.asked_exit:
            kernel.death_reported = True
            cell.published("stream", {"name": "stderr", "text": marked(LOST_BY_EXIT)})
            await kernel.process.aclose()
        return outcome(kernel, cell)

    async def _overstepped(self, kernel: KernelClient, breach: Breach) -> None:
        """Handle an exceeded limit: stop the running code, or kill the processes that earlier code left running."""
        if kernel is not self._kernel:
            kernel.process.end_for(breach)
        elif not self._over.is_set():
            self.stop_for(breach.message, name_variables=breach.limit in _OF_MEMORY)
            await self._over.wait()
        elif (message := await relieve(kernel, breach)) is not None:
            self._pending_notes.append(f"Since the last run: {message}")
            self._report(Trouble("limit", message))

    def _on_end(self, kernel: KernelClient) -> None:
        """Report the end of a kernel in which no code was running."""
        if kernel is self._kernel and self._over.is_set() and not kernel.death_reported:
            text = f"The session's process {kernel.process.how_it_ended()}; all variables are lost."
            self._report(Trouble("limit" if kernel.process.overstepped else "died", text))

    def _report(self, trouble: Trouble) -> None:
        logger.warning("session %s: %s", self.name, trouble.text)
        if self._on_trouble is not None:
            self._on_trouble(trouble)

    async def _limited(self, kernel: KernelClient, cell: Cell, breach: StopReason, moved_before: int) -> Execution:
        """Stop a cell and its processes because of a limit, and return the outcome."""
        asked = asyncio.create_task(self.largest_variables() if breach.name_variables else no_variables())
        # Ask before the interrupt, which ends the functions and deletes their variables.
        await asyncio.wait([asked], timeout=_ASKED_FIRST_SECONDS)
        await stop_all(kernel, cell)
        await self._note_moved_aside(cell, moved_before)
        return overstepped(kernel, cell, breach.message, await asked)

    def _state(self) -> SessionState:
        if self._starting:
            return "starting"
        if self._kernel is None:
            return "absent"
        if not self._kernel.alive:
            return "dead"
        return "busy" if self._kernel.cell is not None else "idle"

    def _lost(self) -> str | None:
        kernel = self._kernel
        if kernel is None or kernel.alive or kernel.death_reported:
            return None
        return f"Since the last run the session's process {kernel.process.how_it_ended()}; all variables are lost."

    async def _live_kernel(self) -> KernelClient:
        if self._stopping is not None:
            await asyncio.wait([self._stopping])
            self._stopping = None
        if self._kernel is not None and not self._kernel.alive:
            self._retire(self._kernel)
            self._kernel = None
        if self._kernel is None:
            self._starting = True
            self._variables = ()
            try:
                self._kernel = await self._spares.take()
            finally:
                self._starting = False
            self._adopt(self._kernel)
            try:
                await self._kernel.process.arm()
            except BaseException:
                # Without its seals it must not run code.
                self._retire(self._kernel)
                self._kernel = None
                raise
        return self._kernel

    def _adopt(self, kernel: KernelClient) -> None:
        kernel.on_background_output = self._on_background_output
        kernel.process.on_breach = partial(self._overstepped, kernel)
        kernel.process.ended.add_done_callback(lambda _: self._on_end(kernel))

    def _retire(self, kernel: KernelClient) -> None:
        task = asyncio.create_task(kernel.aclose(), name=f"retire-{self.name}")
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)
