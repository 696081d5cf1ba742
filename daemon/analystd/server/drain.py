"""The daemon's way to its end: no new runs, those under way are waited for, and no variable is lost to a newer version."""

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
    """How the desks of a daemon come to rest. They belong to the hub; `release` is its way to close one."""

    def __init__(self, desks: Mapping[Path, Desk], release: Callable[[Desk], Awaitable[None]]) -> None:
        self._desks = desks
        self._release = release
        self.reason: str | None = None
        """Why no new runs are taken, or None."""
        self.makes_way = False
        """Whether this is for a newer version, so that no desk is opened any more."""

    def begin(self, reason: str, *, makes_way: bool = False) -> None:
        """Take no new runs; a request for one is told why."""
        self.reason = reason
        self.makes_way = self.makes_way or makes_way
        for desk in self._desks.values():
            desk.runs.close(reason)
            desk.announce("it makes way when the runs under way have ended")
        logger.info("no new runs: %s", reason)

    async def runs_over(self) -> None:
        """Wait until the runs under way have ended."""
        await asyncio.gather(*(_at_rest(desk) for desk in self._desks.values()))

    async def desks_released(self) -> None:
        """Wait until every desk was released: each is as soon as it has no run, and no session that holds a variable."""
        await asyncio.gather(*(self._let_go(desk) for desk in list(self._desks.values())))

    async def kept(self) -> list[KeptSession]:
        """Return the sessions that hold variables."""
        kept = await asyncio.gather(*map(kept_by, self._desks.values()))
        return [each for sessions in kept for each in sessions]

    async def _let_go(self, desk: Desk) -> None:
        await _at_rest(desk)
        if await kept_by(desk):
            # What the last runs left in memory is of use only to those who may go on with it.
            desk.runs.close(None)
        while (kept := await kept_by(desk)) or desk.runs.active:
            desk.announce(f"it makes way when these sessions hold no variables any more: {kept_in(kept)}")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        await self._release(desk)


async def kept_by(desk: Desk) -> list[KeptSession]:
    """The sessions of a desk that hold variables; how many is None where code runs that is not their first, or they do not tell."""
    found: list[KeptSession] = []
    for info, count in await desk.sessions.variable_counts():
        if count or (count is None and info.execution_count):
            found.append({"workspace": str(desk.workspace.root), "session": info.name, "variables": count})
    return found


async def _at_rest(desk: Desk) -> None:
    while tasks := [run.task for run in desk.runs.active if run.task]:
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
