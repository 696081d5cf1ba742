"""A Python session that outlives its kernels: runs code, stops it, and begins afresh when the kernel is gone."""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from analystd.jail.sandbox import Sandbox
from analystd.kernel.base import Completions, Execution, RaisedError, Session, SessionInfo, SessionState, Variable
from analystd.kernel.cell import Cell, OutputHandler
from analystd.kernel.live import Kernel
from analystd.kernel.provisioner import Launch
from analystd.kernel.spare import SpareKernels

logger = logging.getLogger(__name__)

GRACE_SECONDS = 2.0
"""How long code may take to end after an interrupt, before its kernel is ended."""

_VARIABLES_SECONDS = 3.0
_ASIDE_SECONDS = 2.0
"""How long an editor waits for completions; longer ones would come too late to be of use."""

_Answer = TypeVar("_Answer")


class KernelSession(Session):
    """A session on kernels of our own. `spares` are shared by the sessions of a desk, and then closed by their owner."""

    def __init__(
        self,
        name: str,
        workspace: Path,
        runtime: Path,
        sandbox: Sandbox,
        *,
        read_only_paths: Sequence[Path] = (),
        python: Path | None = None,
        spares: SpareKernels | None = None,
        grace_seconds: float = GRACE_SECONDS,
        on_background_output: OutputHandler | None = None,
    ) -> None:
        self.name = name
        self._own_spares = spares is None
        self._spares = spares or SpareKernels(Launch(workspace, runtime, sandbox, tuple(read_only_paths), python))
        self._grace_seconds = grace_seconds
        self._on_background_output = on_background_output
        self._kernel: Kernel | None = None
        self._starting = False
        self._turn = asyncio.Lock()
        self._variables: tuple[Variable, ...] = ()
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

    async def execute(self, code: str, *, timeout_seconds: float, on_output: OutputHandler) -> Execution:
        """Run `code`, starting the kernel if need be; see `Session.execute`."""
        async with self._turn:
            return await self._execute(code, timeout_seconds, on_output)

    async def interrupt(self) -> None:
        """Stop what runs: as Ctrl-C at first, by ending the kernel if that does not help within the grace."""
        if self._kernel is not None and self._kernel.cell is not None:
            await self._stop(self._kernel, self._kernel.cell)

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

    async def variables(self) -> tuple[Variable, ...]:
        """The user's variables, sorted by name; while code runs, as they were before. Empty when there is no kernel."""
        kernel = self._kernel
        if kernel is None or not kernel.alive:
            return ()
        if kernel.cell is None:
            try:
                self._variables = await asyncio.wait_for(kernel.variables(), _VARIABLES_SECONDS)
            except ConnectionError:
                return ()
            except TimeoutError:
                logger.warning("Session %s did not tell its variables within %g s", self.name, _VARIABLES_SECONDS)
        return self._variables

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

    async def _ask_aside(self, ask: Callable[[Kernel], Awaitable[_Answer]]) -> _Answer | None:
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

    async def _execute(self, code: str, timeout_seconds: float, on_output: OutputHandler) -> Execution:
        lost = self._lost()
        kernel = await self._live_kernel()
        cell = kernel.run(code, on_output)
        if lost is not None:
            cell.published("stream", {"name": "stderr", "text": f"[{lost}]\n"})
        try:
            if await _over(cell, timeout_seconds):
                if cell.asked_exit:
                    await kernel.process.aclose()
                return _outcome(kernel, cell)
            await self._stop(kernel, cell)
            return _timed_out(kernel, cell, timeout_seconds, self._grace_seconds)
        except asyncio.CancelledError:
            self._stopping = asyncio.create_task(self._stop(kernel, cell), name=f"stop-{self.name}")
            await asyncio.shield(self._stopping)
            raise
        finally:
            self._spares.refill()

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

    async def _live_kernel(self) -> Kernel:
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
            self._kernel.on_background_output = self._on_background_output
        return self._kernel

    async def _stop(self, kernel: Kernel, cell: Cell) -> bool:
        """Interrupt the cell, and end the kernel if it runs on; whether the kernel was spared."""
        kernel.interrupt()
        spared = await _over(cell, self._grace_seconds)
        if not spared:
            kernel.process.kill()
            await asyncio.wait([cell.finished])
        return spared

    def _retire(self, kernel: Kernel) -> None:
        task = asyncio.create_task(kernel.aclose(), name=f"retire-{self.name}")
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)


async def _over(cell: Cell, seconds: float) -> bool:
    await asyncio.wait([cell.finished], timeout=seconds if math.isfinite(seconds) else None)
    return cell.finished.done()


def _outcome(kernel: Kernel, cell: Cell) -> Execution:
    if cell.answered:
        return cell.execution()
    if kernel.alive:
        silence = RaisedError("KernelError", "The session did not say what came of the code.", (), None)
        return cell.execution(error=None if cell.interrupted else silence)
    kernel.death_told = True
    logger.warning("A kernel %s", "\n".join([kernel.process.how_it_ended(), *kernel.process.last_words()]))
    if cell.interrupted:
        message = "The code did not end when it was interrupted, so its process was ended; all variables are lost."
        return cell.execution("interrupted", RaisedError("KeyboardInterrupt", message, (), None))
    words = kernel.process.last_words()
    message = f"The session's process {kernel.process.how_it_ended()}; all variables are lost."
    return cell.execution("died", RaisedError("KernelDied", message, tuple(words), _line_of_crash(words)))


def _line_of_crash(words: list[str]) -> int | None:
    # faulthandler writes the innermost frame first.
    lines = (re.match(r'  File "<cell \d+>", line (\d+) in ', line) for line in words)
    return next((int(line[1]) for line in lines if line), None)


def _timed_out(kernel: Kernel, cell: Cell, seconds: float, grace_seconds: float) -> Execution:
    error = cell.execution().error
    if kernel.alive:
        message = f"The code ran longer than {seconds:g} s and was interrupted; the variables are kept."
    else:
        kernel.death_told = True
        message = (
            f"The code ran longer than {seconds:g} s and did not end within {grace_seconds:g} s of being interrupted, "
            "so its process was ended; all variables are lost."
        )
    traceback, line = (error.traceback, error.line) if error is not None else ((), None)
    return cell.execution("limit", RaisedError("TimeoutError", message, traceback, line))
