"""Check the resource limits of a jailed program: often while code runs or its usage grows, rarely otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from analystd.jail.limits import SHARED, Breach, LimitName, Look, SessionLimits, Watched
from analystd.jail.own_group import OwnGroup
from analystd.jail.resource_usage import memory
from analystd.jail.workspace import Workspace

logger = logging.getLogger(__name__)

OnBreach = Callable[[Breach], Awaitable[None]]
"""Handle an exceeded limit, for instance by interrupting or killing the program, and return when that is done."""

FIRST_SECONDS = 0.1
"""The first check is this long after code begins: shorter code costs nothing, and can still delete what exceeds a limit."""

_COST_SHARE = 5
"""Checking many files takes long: it is repeated only after this multiple of its duration."""
_PATIENCE_SECONDS = 0.25
"""How long a check waits for values that the kernel may delay for many seconds, as it does while processes fork."""
_PATIENCE_TO_EXCUSE_SECONDS = 2.0
_BEGINNING_BYTES = 192 << 20
"""The memory that a program takes until it is ready for its first code.

It is tolerated even if a limit is already exceeded, because that code may be what frees memory.
"""
_GROWN_BYTES = 8 << 20
_GROWN_TASKS = 4
_WALL_MEMORY_PERCENT = 90
_WALL_MORE_TASKS = 1024
"""The control group's limits are above ours, so that our message names the exceeded limit; the group limits growth between two checks."""
_EVERYTHING_LOOKS = 20
"""Even when nothing seems to happen, every check of this number is a full one."""


class Watchdog:
    """Check the limits of the process `pid` and its descendants, until it ends or `aclose` is called."""

    def __init__(
        self,
        pid: int,
        workspace: Workspace,
        on_breach: OnBreach,
        *,
        limits: SessionLimits | None = None,
        runtime: Path | None = None,
    ) -> None:
        self._limits = limits or SessionLimits()
        self._watched = Watched(pid, workspace, self._limits, runtime)
        self._group = OwnGroup.around(
            pid,
            memory_bytes=memory().total * _WALL_MEMORY_PERCENT // 100,
            tasks=self._limits.threads + _WALL_MORE_TASKS,
        )
        self._on_breach = on_breach
        self._is_new = True
        """Whether no code has run yet."""
        self._code_runs = False
        self._begun = asyncio.Event()
        self._last: Look | None = None
        self._looks = 0
        self._cost = 0.0
        self._files_again = 0.0
        """The time of the next check of files."""
        self._is_blind = False
        self._pause_seconds = self._limits.interval_seconds
        self._excused: dict[LimitName, float] = {}
        """Limits that were exceeded when nothing could be done about it, and the session's usage at that time."""
        self._looking = asyncio.Lock()
        self._task = asyncio.create_task(self._watch(), name=f"watchdog-{pid}")

    def begin(self) -> None:
        """Check often from now on: code is running."""
        self._is_new = False
        self._code_runs = True
        self._begun.set()

    def end(self) -> None:
        """Check less often while usage does not grow: no code is running, but what it has started may be."""
        self._code_runs = False
        self._begun.clear()
        self._pause_seconds = self._limits.interval_seconds

    async def excuse(self) -> None:
        """Accept the limits that are exceeded now: from now on, they count only if usage grows."""
        self._files_again = 0.0
        look = await self._look(everything=True, patience_seconds=_PATIENCE_TO_EXCUSE_SECONDS)
        if look is not None:
            self._excused = {breach.limit: breach.burden for breach in look.breaches}

    async def aclose(self) -> None:
        """Stop checking; call this when the processes have ended. Harmless when repeated."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await asyncio.to_thread(self._group.remove)

    async def _watch(self) -> None:
        while True:
            await self._pause()
            before, look = self._last, await self._look()
            if look is None:
                continue
            if not look.pids:
                return
            breach = self._breach_to_handle(before, look)
            if breach is not None:
                await self._handle(breach)
            self._adapt(before, look)

    async def _pause(self) -> None:
        """Wait for the next check; if code begins to run meanwhile, only until it has run for a moment."""
        if self._code_runs:
            await asyncio.sleep(self._pause_seconds)
            return
        try:
            await asyncio.wait_for(self._begun.wait(), self._pause_seconds)
        except TimeoutError:
            return
        await asyncio.sleep(FIRST_SECONDS)

    async def _look(self, *, everything: bool = False, patience_seconds: float = _PATIENCE_SECONDS) -> Look | None:
        async with self._looking:
            self._looks += 1
            everything = everything or self._code_runs or self._looks % _EVERYTHING_LOOKS == 0
            loop = asyncio.get_running_loop()
            begun = loop.time()
            files = begun >= self._files_again
            try:
                before = None if everything else self._last
                look = partial(self._watched.look, before, files=files, patience_seconds=patience_seconds)
                self._last = await asyncio.to_thread(look)
            except Exception:
                # Continue whatever the error: a machine full of processes, for one, has no thread left for a check, and needs them most.
                if not self._is_blind:
                    logger.exception("A check of the resource limits failed; it will be repeated")
                self._is_blind = True
                return None
            finally:
                self._cost = loop.time() - begun
                if files:
                    self._files_again = loop.time() + self._cost * _COST_SHARE
            self._is_blind = False
            return self._last

    def _breach_to_handle(self, before: Look | None, look: Look) -> Breach | None:
        """Return the first breach that must be handled."""
        overstepped = {breach.limit for breach in look.breaches}
        if overstepped <= SHARED:
            # Otherwise an urgent breach may have prevented the check of other limits.
            self._excused = {limit: burden for limit, burden in self._excused.items() if limit in overstepped}
        if before is None and self._is_new:
            self._excused = {
                each.limit: each.burden + _BEGINNING_BYTES for each in look.breaches if each.limit in SHARED
            }
        is_awake = before is None or before.census.processor_ticks != look.census.processor_ticks
        for breach in look.breaches:
            excused = self._excused.get(breach.limit)
            if excused is not None and breach.burden <= excused + breach.tolerance:
                if not self._is_new:
                    self._excused[breach.limit] = min(excused, breach.burden)
            elif breach.limit not in SHARED or self._code_runs or is_awake:
                return breach
        return None

    async def _handle(self, breach: Breach) -> None:
        logger.warning("%s", breach.message)
        while_code_ran = self._code_runs
        try:
            await self._on_breach(breach)
        except Exception:
            logger.exception("Handling an exceeded limit failed")
        if while_code_ran or breach.limit in SHARED:
            # The session's files and variables still exist, and only the user can decide which to delete.
            await self.excuse()

    def _adapt(self, before: Look | None, look: Look) -> None:
        """Choose the time of the next check."""
        usual, idle = self._limits.interval_seconds, self._limits.idle_seconds
        if self._code_runs or before is None or _has_grown(before, look):
            seconds = usual
        else:
            is_asleep = before.census.processor_ticks == look.census.processor_ticks
            seconds = min(max(usual, self._pause_seconds) * 2, idle if is_asleep else idle / 2)
        self._pause_seconds = max(seconds, min(self._cost, idle))


def _has_grown(before: Look, look: Look) -> bool:
    more_memory = look.census.memory_bytes - before.census.memory_bytes > _GROWN_BYTES
    more_tasks = look.census.threads - before.census.threads > _GROWN_TASKS
    return more_memory or more_tasks or look.disk_used - before.disk_used > _GROWN_BYTES
