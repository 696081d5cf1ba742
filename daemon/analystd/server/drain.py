"""Drain the daemon before it ends: accept no new runs, wait for active ones, and keep variables from being lost to a newer version."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from analystd.desk.desk import Desk
from analystd.discovery.sessions_with_variables import kept_in
from analystd.wire.status import KeptSession

logger = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 2.0


class Drain:
    """Drains the desks of a daemon. The hub owns the desks, and closes one when `release` is called."""

    def __init__(self, desks: Mapping[Path, Desk], release: Callable[[Desk], Awaitable[None]]) -> None:
        self._desks = desks
        self._release = release
        self.reason: str | None = None
        """Why no new runs are accepted, or None."""
        self.makes_way = False
        """Whether a newer version takes over, so that no more desks are opened."""

    def begin(self, reason: str, *, makes_way: bool = False) -> None:
        """Accept no new runs; a request for one fails with `reason`."""
        self.reason = reason
        self.makes_way = self.makes_way or makes_way
        for desk in self._desks.values():
            desk.runs.close(reason)
            desk.announce("it makes way when the runs under way have ended")
        logger.info("no new runs: %s", reason)

    async def runs_over(self) -> None:
        """Wait until all active runs have ended."""
        await asyncio.gather(*(_at_rest(desk) for desk in self._desks.values()))

    async def desks_released(self) -> None:
        """Release each desk as soon as it has no run and no session that holds variables; wait until all are released."""
        await asyncio.gather(*(self._let_go(desk) for desk in list(self._desks.values())))

    async def kept(self) -> list[KeptSession]:
        """Return the sessions that hold variables."""
        kept = await asyncio.gather(*map(kept_by, self._desks.values()))
        return [each for sessions in kept for each in sessions]

    async def _let_go(self, desk: Desk) -> None:
        await _at_rest(desk)
        if await kept_by(desk):
            # Accept runs again: the variables left in memory are of use only to clients that may continue to work with them.
            desk.runs.close(None)
        while (kept := await kept_by(desk)) or desk.runs.active:
            desk.announce(f"it makes way when these sessions hold no variables any more: {kept_in(kept)}")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        await self._release(desk)


async def kept_by(desk: Desk) -> list[KeptSession]:
    """Return the sessions of a desk that hold variables.

    A session that does not report its variables, for example because it is busy, counts if it has executed code; its number is None.
    """
    found: list[KeptSession] = []
    for info, count in await desk.sessions.variable_counts():
        if count or (count is None and info.execution_count):
            found.append({"workspace": str(desk.workspace.root), "session": info.name, "variables": count})
    return found


async def _at_rest(desk: Desk) -> None:
    while tasks := [run.task for run in desk.runs.active if run.task]:
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
