"""What looks after a session's processes from their start to their end, and can have something done about them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from analystd.jail.limits import SessionLimits
from analystd.jail.watchdog import OnBreach, Watchdog
from analystd.jail.workspace import Workspace


class ResourceGuard(Protocol):
    """Somebody who looks after the processes of one kernel; `jail.watchdog.Watchdog` is one."""

    def begin(self) -> None:
        """Look often from now on: code runs."""
        ...

    def end(self) -> None:
        """Look less often: no code runs, but what it has started may."""
        ...

    async def excuse(self) -> None:
        """Take what is overstepped now for given: from here on, it counts only once it gets worse."""
        ...

    async def aclose(self) -> None:
        """Look no more. Harmless when repeated."""
        ...


Guard = Callable[[int, OnBreach], ResourceGuard]
"""Begins to look after the process tree of a kernel, by its root (behind walls: the launcher), and says what is overstepped."""


def watchdog(workspace: Workspace, *, limits: SessionLimits | None = None, runtime: Path | None = None) -> Guard:
    """Return the guard that keeps to the limits of the jail: memory, processes and threads, the room on disk."""

    def guard(pid: int, on_breach: OnBreach) -> ResourceGuard:
        return Watchdog(pid, workspace, on_breach, limits=limits, runtime=runtime)

    return guard
