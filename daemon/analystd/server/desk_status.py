"""The rows of desks in `status`: a problem with one desk is reported in its own row and hides no other."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import cast

from analystd.desk.desk import Desk
from analystd.desk.run_results import session_state
from analystd.wire.errors import AnalystdError, WorkspaceError
from analystd.wire.status import DeskState, Resources

logger = logging.getLogger(__name__)

_MEASURE_SECONDS = 2.0


class DeskReports:
    """Builds the row of each desk. Only one thread at a time measures a workspace, however slow its disk is."""

    def __init__(self) -> None:
        self._measuring: dict[Path, asyncio.Task[Resources]] = {}

    async def all(self, desks: list[Desk]) -> list[DeskState]:
        """Return the rows in the order of the desks."""
        return list(await asyncio.gather(*map(self._one, desks)))

    async def _one(self, desk: Desk) -> DeskState:
        problem = desk.presence.problem
        report = _without_resources(desk, problem)
        try:
            report["runs"] = [desk.runs.summary(run.id) for run in desk.runs.active]
            report["resources"] = {"error": problem.message} if problem is not None else await self._resources(desk)
        except Exception as exc:
            logger.exception("the desk of %s cannot be reported", desk.workspace.root)
            why = f"This desk cannot be reported: {type(exc).__name__}"
            report["problem"], report["hint"] = why, "The log has the details."
            report["resources"] = {"error": why}
        return report

    async def _resources(self, desk: Desk) -> Resources:
        root = desk.workspace.root
        if root not in self._measuring:
            self._measuring[root] = asyncio.create_task(_measured(desk), name=f"measure-{root}")
            self._measuring[root].add_done_callback(lambda _task: self._measuring.pop(root))
        done, _ = await asyncio.wait([self._measuring[root]], timeout=_MEASURE_SECONDS)
        if not done:
            return {"error": f"The workspace could not be measured within {_MEASURE_SECONDS:g} s"}
        return done.pop().result()


def _without_resources(desk: Desk, problem: WorkspaceError | None) -> DeskState:
    return {
        "workspace": str(desk.workspace.root),
        "problem": None if problem is None else problem.message,
        "hint": None if problem is None else problem.hint,
        "seq": desk.journal.seq,
        "journal": str(desk.journal.folder),
        "unwritten_events": desk.journal.unwritten,
        "journal_problem": desk.journal.problem,
        "runs": [],
        "sessions": [session_state(info) for info in desk.sessions.infos()],
        "quarantined": desk.quarantined.count,
        "resources": {},
    }


async def _measured(desk: Desk) -> Resources:
    try:
        return cast(Resources, await asyncio.to_thread(desk.workspace.get_resource_stats))
    except (AnalystdError, OSError) as exc:
        return {"error": f"The workspace cannot be measured: {exc}"}
