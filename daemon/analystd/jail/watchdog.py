"""The watchdog over a program in the jail, from its start to its end: often while code runs or something grows, seldom while nothing does."""

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
"""Does something about a limit that is overstepped, and returns when that is done. To interrupt and to kill is its business."""

FIRST_SECONDS = 0.1
"""Code that ends sooner is not looked at: it costs nothing then, and what overstepped a limit can still be deleted."""

_COST_SHARE = 5
"""Looking at many files takes long: it is not done again before so many times that have passed."""
_PATIENCE_SECONDS = 0.25
"""How long a look waits for what the system may keep back for many seconds, as it does while processes fork."""
_PATIENCE_TO_EXCUSE_SECONDS = 2.0
_BEGINNING_BYTES = 192 << 20
"""What a program takes until it is ready for its first code. It may, where a limit is overstepped already: that code may be what helps."""
_GROWN_BYTES = 8 << 20
_GROWN_TASKS = 4
_WALL_MEMORY_PERCENT = 90
_WALL_MORE_TASKS = 1024
"""The control group's limits lie above ours, so that it is we who say which one was overstepped; it holds what comes between two looks."""
_EVERYTHING_LOOKS = 20
"""Where nothing seems to happen, everything is looked at all the same each so many times."""


class Watchdog:
    """Looks after the process `pid` and all that it starts, until it ends or `aclose`."""

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
        """When it is time to look at files once more."""
        self._is_blind = False
        self._pause_seconds = self._limits.interval_seconds
        self._excused: dict[LimitName, float] = {}
        """Limits that were overstepped when nothing could be done about it, and what the session had of them then."""
        self._looking = asyncio.Lock()
        self._task = asyncio.create_task(self._watch(), name=f"watchdog-{pid}")

    def begin(self) -> None:
        """Look often from now on: code runs."""
        self._is_new = False
        self._code_runs = True
        self._begun.set()

    def end(self) -> None:
        """Look less often, as long as nothing grows: no code runs, but what it has started may."""
        self._code_runs = False
        self._begun.clear()
        self._pause_seconds = self._limits.interval_seconds

    async def excuse(self) -> None:
        """Take what is overstepped now for given: from here on, it counts only once it gets worse."""
        self._files_again = 0.0
        look = await self._look(everything=True, patience_seconds=_PATIENCE_TO_EXCUSE_SECONDS)
        if look is not None:
            self._excused = {breach.limit: breach.burden for breach in look.breaches}

    async def aclose(self) -> None:
        """Look no more; to be called when the processes have ended. Harmless when repeated."""
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
            breach = self._to_be_told(before, look)
            if breach is not None:
                await self._tell(breach)
            self._adapt(before, look)

    async def _pause(self) -> None:
        """Wait for the next look; when code begins to run meanwhile, only until it has run for a moment."""
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
                # Whatever it was, to look no more would be worse: a machine full of processes has no thread left for it, for one.
                if not self._is_blind:
                    logger.exception("The watchdog could not look; it tries again")
                self._is_blind = True
                return None
            finally:
                self._cost = loop.time() - begun
                if files:
                    self._files_again = loop.time() + self._cost * _COST_SHARE
            self._is_blind = False
            return self._last

    def _to_be_told(self, before: Look | None, look: Look) -> Breach | None:
        """The first breach that something is to be done about."""
        overstepped = {breach.limit for breach in look.breaches}
        if overstepped <= SHARED:
            # Otherwise there may be more that was not looked at for urgency.
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

    async def _tell(self, breach: Breach) -> None:
        logger.warning("%s", breach.message)
        while_code_ran = self._code_runs
        try:
            await self._on_breach(breach)
        except Exception:
            logger.exception("Nothing could be done about a limit")
        if while_code_ran or breach.limit in SHARED:
            # Its files and variables are still there, and nobody but the user can say which may go.
            await self.excuse()

    def _adapt(self, before: Look | None, look: Look) -> None:
        """Choose when to look again."""
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
