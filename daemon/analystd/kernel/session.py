"""A Python session that outlives its kernels: runs code, stops it, and begins afresh when the kernel is gone."""

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
"""How long code may take to end after an interrupt, before its kernel is ended."""

_VARIABLES_SECONDS = 3.0
_LARGEST_SECONDS = 1.0
_ASKED_FIRST_SECONDS = 0.2
_TOLD_VARIABLES = 5
_ASIDE_SECONDS = 2.0
"""How long an editor waits for completions; longer ones would come too late to be of use."""

_OF_MEMORY = ("memory", "free_ram")

_Answer = TypeVar("_Answer")

TroubleHandler = Callable[[Trouble], None]


class KernelSession(Session):
    """A session on kernels of our own. `spares` are shared by the sessions of a desk, and then closed by their owner.

    `guard` looks after each of its kernels, if it has spares of its own. `on_trouble` is told what happens while no code runs.
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
        """Whether there is code to run, and its kernel is not ready for it yet."""
        self._unwanted = False
        """Whether that code was interrupted."""
        self._turn = asyncio.Lock()
        self._variables: tuple[SessionVariable, ...] = ()
        self._breach: asyncio.Future[StopReason] | None = None
        self._over = asyncio.Event()
        """Whether no code is under way, nor being stopped."""
        self._over.set()
        self._untold: list[str] = []
        """What happened since the last run, and is told with the next one."""
        self._stopping: asyncio.Task[bool] | None = None
        self._retired: set[asyncio.Task[None]] = set()

    def info(self) -> SessionInfo:
        """A snapshot; never starts anything."""
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
        """Run `code`, starting the kernel if need be; see `Session.execute`."""
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
        """Stop what runs: as Ctrl-C at first, by ending the kernel if that does not help within the grace. What waits for its kernel never runs.

        Returns:
            The sentence on what was lost, if the kernel was ended.
        """
        self._unwanted = self._preparing
        if self._kernel is not None and self._kernel.cell is not None:
            spared = await stop_cell(self._kernel, self._kernel.cell, self._grace_seconds)
            return None if spared else LOST_BY_INTERRUPT
        return None

    def stop_for(self, message: str, *, tell_variables: bool = False) -> None:
        """Have the code under way stopped because of a limit: as for a timeout, with `message` in the outcome; harmless when none runs.

        What it started is ended with it. `tell_variables` adds the names of the largest ones.
        """
        if self._breach is not None and not self._breach.done():
            self._breach.set_result(StopReason(message, tell_variables))

    async def reset(self) -> None:
        """Forget all variables: the spare takes the kernel's place.

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
        """The user's variables, sorted by name; while code runs, as they were before. Empty when there is no kernel."""
        if (asked := await self._ask_variables()) is not None:
            self._variables = asked
        return self._variables

    async def variable_count(self) -> int | None:
        """How many variables there are; None where it is not known, because code runs or the kernel does not tell."""
        asked = await self._ask_variables()
        return None if asked is None else len(asked)

    async def largest_variables(self, limit: int = _TOLD_VARIABLES) -> tuple[SessionVariable, ...]:
        """The variables that take most memory, the largest first; also while code runs, when those of its functions are among them.

        Without an answer within a second, as they were when `variables` was asked for. Containers are judged by a few of their elements.
        """
        kernel = self._kernel
        if kernel is None or not kernel.alive:
            return ()
        try:
            return await asyncio.wait_for(kernel.largest_variables(limit), _LARGEST_SECONDS)
        except (ConnectionError, TimeoutError, LookupError, TypeError, ValueError):
            return tuple(sorted(self._variables, key=lambda variable: -(variable.memory_bytes or 0))[:limit])

    async def complete(self, code: str, cursor: int) -> Completions:
        """How the word before `cursor` may go on; see `Session.complete`."""
        cursor = max(0, min(cursor, len(code)))
        return await self._ask_aside(lambda kernel: kernel.complete(code, cursor)) or Completions((), cursor, cursor)

    async def inspect(self, code: str, cursor: int) -> str | None:
        """What stands at `cursor`; see `Session.inspect`."""
        cursor = max(0, min(cursor, len(code)))
        return await self._ask_aside(lambda kernel: kernel.inspect(code, cursor))

    async def aclose(self) -> None:
        """End the kernel and all that it started. Harmless when repeated."""
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
            logger.warning("Session %s did not tell its variables within %g s", self.name, _VARIABLES_SECONDS)
        except (LookupError, TypeError, ValueError):
            logger.warning("Session %s gave an answer that is none", self.name)
        return None

    async def _ask_aside(self, ask: Callable[[KernelClient], Awaitable[_Answer]]) -> _Answer | None:
        """The answer of a kernel that is there and idle, if it comes soon."""
        kernel = self._kernel
        if kernel is None or not kernel.alive or kernel.cell is not None:
            return None
        try:
            return await asyncio.wait_for(ask(kernel), _ASIDE_SECONDS)
        except (ConnectionError, TimeoutError):
            return None
        except (LookupError, TypeError, ValueError):
            logger.warning("Session %s gave an answer that is none", self.name)
            return None

    async def _prepared(self, overstepped: str | None) -> tuple[KernelClient | None, list[str]]:
        """A kernel that is ready for code, and what its run has to tell first; no kernel if the code was interrupted meanwhile."""
        notes, self._untold = [*filter(None, [self._lost()]), *self._untold], []
        self._preparing, self._unwanted = True, False
        try:
            kernel = await self._live_kernel()
            # What the user has made since the last code ran is theirs; once code runs nobody can tell.
            trusted = self._spares.launch.trusted
            if trusted is not None and trusted.may_have_news():
                await in_time(trusted.look)
            if overstepped is not None:
                notes.append(free_to_help(overstepped))
                if kernel.process.watch is not None:
                    await kernel.process.watch.excuse()
        except BaseException:
            self._untold = notes
            raise
        finally:
            self._preparing = False
        return (None if self._unwanted else kernel), [marked(note) for note in notes]

    async def _carried_out(
        self, kernel: KernelClient, cell: Cell, timeout_seconds: float, moved_before: int
    ) -> Execution:
        """What came of a cell: when it is over, its time is, or a limit is overstepped."""
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
                await self._tell_moved_aside(cell, moved_before)
                return await self._finished(kernel, cell)
            await stop_cell(kernel, cell, self._grace_seconds)
            await self._tell_moved_aside(cell, moved_before)
            return timed_out(kernel, cell, timeout_seconds, self._grace_seconds)
        except BaseException:
            # Whoever asked has gone.
            self._stopping = asyncio.create_task(stop_cell(kernel, cell, self._grace_seconds), name=f"stop-{self.name}")
            await asyncio.shield(self._stopping)
            raise
        finally:
            self._breach = None
            self._over.set()
            if kernel.process.watch is not None:
                kernel.process.watch.end()
            self._spares.refill()

    async def _tell_moved_aside(self, cell: Cell, moved_before: int) -> None:
        """Say in the code's output what was moved aside while it ran."""
        trusted = self._spares.launch.trusted
        if trusted is None:
            return
        if trusted.may_have_news():
            await in_time(trusted.look)
        trusted.has_run()
        for entry in trusted.entries_since(moved_before):
            # The desk, which was told in the loop, comes first.
            await asyncio.sleep(0)
            cell.published("stream", {"name": "stderr", "text": marked(entry.sentence() + ".")})

    async def _finished(self, kernel: KernelClient, cell: Cell) -> Execution:
        """What came of a cell that is over; with `exit()` it has ended its kernel."""
        if cell.asked_exit:
            kernel.death_told = True
            cell.published("stream", {"name": "stderr", "text": marked(LOST_BY_EXIT)})
            await kernel.process.aclose()
        return outcome(kernel, cell)

    async def _overstepped(self, kernel: KernelClient, breach: Breach) -> None:
        """Do something about a limit: stop the code under way, or end what earlier code has left running."""
        if kernel is not self._kernel:
            kernel.process.end_for(breach)
        elif not self._over.is_set():
            self.stop_for(breach.message, tell_variables=breach.limit in _OF_MEMORY)
            await self._over.wait()
        elif (told := await relieve(kernel, breach)) is not None:
            self._untold.append(f"Since the last run: {told}")
            self._tell(Trouble("limit", told))

    def _on_end(self, kernel: KernelClient) -> None:
        """Tell of the end of a kernel that no code was running in."""
        if kernel is self._kernel and self._over.is_set() and not kernel.death_told:
            text = f"The session's process {kernel.process.how_it_ended()}; all variables are lost."
            self._tell(Trouble("limit" if kernel.process.overstepped else "died", text))

    def _tell(self, trouble: Trouble) -> None:
        logger.warning("session %s: %s", self.name, trouble.text)
        if self._on_trouble is not None:
            self._on_trouble(trouble)

    async def _limited(self, kernel: KernelClient, cell: Cell, breach: StopReason, moved_before: int) -> Execution:
        """Stop a cell because of a limit, with all that it started, and say so."""
        asked = asyncio.create_task(self.largest_variables() if breach.tell_variables else no_variables())
        # With the interrupt the functions end, and their variables.
        await asyncio.wait([asked], timeout=_ASKED_FIRST_SECONDS)
        await stop_all(kernel, cell)
        await self._tell_moved_aside(cell, moved_before)
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
        if kernel is None or kernel.alive or kernel.death_told:
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
                # Without its seals it runs nothing.
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
