"""A Python session that outlives its kernels: runs code, stops it, and begins afresh when the kernel is gone."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from analystd.jail.sandbox import Sandbox
from analystd.kernel.base import NEVER_RAN, Completions, Execution, Session, SessionInfo, SessionState, Variable
from analystd.kernel.cell import Cell, OutputHandler
from analystd.kernel.guard import Guard
from analystd.kernel.live import Kernel
from analystd.kernel.outcomes import outcome, overstepped, timed_out
from analystd.kernel.provisioner import Launch
from analystd.kernel.spare import SpareKernels

logger = logging.getLogger(__name__)

GRACE_SECONDS = 2.0
"""How long code may take to end after an interrupt, before its kernel is ended."""

UNGUARDED_SECONDS = 0.1
"""Code that ends sooner is not guarded: it costs nothing then, and what overstepped a limit can still be deleted."""

_HEARD_SECONDS = 0.3
"""How soon a kernel hears of an interrupt, unless C code keeps its threads from running."""

_BREACH_GRACE_SECONDS = 1.0
"""The grace of code that oversteps a limit, which may take a gigabyte more each second."""

_VARIABLES_SECONDS = 3.0
_LARGEST_SECONDS = 1.0
_ASKED_FIRST_SECONDS = 0.2
_TOLD_VARIABLES = 5
_ASIDE_SECONDS = 2.0
"""How long an editor waits for completions; longer ones would come too late to be of use."""

_LOOK_SECONDS = 0.1
"""How long code and its result wait for a look through the workspace, which takes longer where there are many files."""

_Answer = TypeVar("_Answer")


class KernelSession(Session):
    """A session on kernels of our own. `spares` are shared by the sessions of a desk, and then closed by their owner.

    `guard` is entered around each run of code (from `UNGUARDED_SECONDS` on) with the root of the kernel's processes and `stop_for`.
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
        spares: SpareKernels | None = None,
        grace_seconds: float = GRACE_SECONDS,
        guard: Guard | None = None,
        on_background_output: OutputHandler | None = None,
    ) -> None:
        self.name = name
        self._own_spares = spares is None
        self._spares = spares or SpareKernels(Launch(workspace, runtime, sandbox, tuple(read_only_paths), python))
        self._grace_seconds = grace_seconds
        self._guard = guard
        self._on_background_output = on_background_output
        self._kernel: Kernel | None = None
        self._starting = False
        self._preparing = False
        """Whether there is code to run, and its kernel is not ready for it yet."""
        self._unwanted = False
        """Whether that code was interrupted."""
        self._turn = asyncio.Lock()
        self._variables: tuple[Variable, ...] = ()
        self._breach: asyncio.Future[_Breach] | None = None
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
        """Stop what runs: as Ctrl-C at first, by ending the kernel if that does not help within the grace. What waits for its kernel never runs."""
        self._unwanted = self._preparing
        if self._kernel is not None and self._kernel.cell is not None:
            await self._stop(self._kernel, self._kernel.cell, self._grace_seconds)

    def stop_for(self, message: str, *, tell_variables: bool = False) -> None:
        """Have the code under way stopped because of a limit: as for a timeout, with `message` in the outcome; harmless when none runs.

        What it started is ended with it. `tell_variables` adds the names of the largest ones.
        """
        if self._breach is not None and not self._breach.done():
            self._breach.set_result(_Breach(message, tell_variables))

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
        if (asked := await self._ask_variables()) is not None:
            self._variables = asked
        return self._variables

    async def variable_count(self) -> int | None:
        """How many variables there are; None where it is not known, because code runs or the kernel does not tell."""
        asked = await self._ask_variables()
        return None if asked is None else len(asked)

    async def largest_variables(self, limit: int = _TOLD_VARIABLES) -> tuple[Variable, ...]:
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

    async def _ask_variables(self) -> tuple[Variable, ...] | None:
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
        self._preparing, self._unwanted = True, False
        try:
            kernel = await self._live_kernel()
        finally:
            self._preparing = False
        if self._unwanted:
            return NEVER_RAN if lost is None else replace(NEVER_RAN, stderr=_marked(lost))
        trusted = self._spares.launch.trusted
        entries = trusted.count if trusted is not None else 0
        if trusted is not None:
            await _in_time(trusted.before_code)
        cell = kernel.run(code, on_output)
        if lost is not None:
            cell.published("stream", {"name": "stderr", "text": _marked(lost)})
        breach = self._breach = asyncio.get_running_loop().create_future()
        try:
            await self._over_or_stopped(kernel, cell, breach, timeout_seconds)
            if trusted is not None:
                await _in_time(trusted.look)
                for entry in trusted.entries_since(entries):
                    cell.published("stream", {"name": "stderr", "text": _marked(entry.sentence() + ".")})
            if breach.done() and not cell.answered:
                return await self._limited(kernel, cell, breach.result())
            if cell.finished.done():
                if cell.asked_exit:
                    await kernel.process.aclose()
                return outcome(kernel, cell)
            await self._stop(kernel, cell, self._grace_seconds)
            return timed_out(kernel, cell, timeout_seconds, self._grace_seconds)
        except BaseException:
            # Whoever asked has gone, or the guard could not do its work.
            self._stopping = asyncio.create_task(
                self._stop(kernel, cell, self._grace_seconds), name=f"stop-{self.name}"
            )
            await asyncio.shield(self._stopping)
            raise
        finally:
            self._breach = None
            self._spares.refill()

    async def _over_or_stopped(
        self, kernel: Kernel, cell: Cell, breach: asyncio.Future[_Breach], timeout_seconds: float
    ) -> None:
        """Wait until the cell is over, its time is, or a limit is overstepped."""
        end = asyncio.get_running_loop().time() + timeout_seconds
        if self._guard is None:
            await _first([cell.finished, breach], end)
            return
        if await _over(cell, min(UNGUARDED_SECONDS, timeout_seconds)):
            return
        async with self._guard(kernel.process.pid, self.stop_for):
            await _first([cell.finished, breach], end)

    async def _limited(self, kernel: Kernel, cell: Cell, breach: _Breach) -> Execution:
        """Stop a cell because of a limit, with all that it started, and say so."""
        asked = asyncio.create_task(self.largest_variables() if breach.tell_variables else _nothing())
        # With the interrupt the functions end, and their variables.
        await asyncio.wait([asked], timeout=_ASKED_FIRST_SECONDS)
        # Of a thousand forked processes the code's own may hardly get its turn to end.
        sweeping = asyncio.create_task(kernel.process.end_children(_BREACH_GRACE_SECONDS))
        spared = await self._stop(kernel, cell, _BREACH_GRACE_SECONDS)
        await sweeping
        if spared and kernel.alive and not await kernel.process.end_children(_BREACH_GRACE_SECONDS):
            kernel.process.kill()
            await asyncio.wait([kernel.process.ended])
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
            await self._kernel.process.arm()
        return self._kernel

    async def _stop(self, kernel: Kernel, cell: Cell, grace_seconds: float) -> bool:
        """Interrupt the cell, and end the kernel if it runs on; whether the kernel was spared."""
        kernel.interrupt()
        heard_by = min(_HEARD_SECONDS, grace_seconds)
        if not await _over(cell, heard_by):
            kernel.insist()
        spared = await _over(cell, grace_seconds - heard_by)
        if not spared:
            kernel.process.kill()
            await asyncio.wait([cell.finished])
        return spared

    def _retire(self, kernel: Kernel) -> None:
        task = asyncio.create_task(kernel.aclose(), name=f"retire-{self.name}")
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)


@dataclass(frozen=True)
class _Breach:
    """Why code is stopped."""

    message: str
    tell_variables: bool


async def _nothing() -> tuple[Variable, ...]:
    return ()


async def _first(futures: list[asyncio.Future[Any]], end: float) -> None:
    seconds = max(0.0, end - asyncio.get_running_loop().time())
    timeout = seconds if math.isfinite(seconds) else None
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


def _marked(text: str) -> str:
    """As what is not the code's own stands in its output."""
    return f"[{text}]\n"


async def _in_time(work: Callable[[], object]) -> None:
    """Do something in a thread, and wait for it, but not for long: it is done there nevertheless."""
    await asyncio.wait([asyncio.ensure_future(asyncio.to_thread(work))], timeout=_LOOK_SECONDS)


async def _over(cell: Cell, seconds: float) -> bool:
    await asyncio.wait([cell.finished], timeout=seconds if math.isfinite(seconds) else None)
    return cell.finished.done()
