"""The interface of the guard that watches a session's processes and reports exceeded limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from analystd.jail.limits import SessionLimits
from analystd.jail.watchdog import OnBreach, Watchdog
from analystd.jail.workspace import Workspace


class ResourceGuard(Protocol):
    """Watches the processes of one kernel, as `jail.watchdog.Watchdog` does."""

    def begin(self) -> None:
        """Check often from now on: code is running."""
        ...

    def end(self) -> None:
        """Check less often: no code is running, but what it has started may be."""
        ...

    async def excuse(self) -> None:
        """Accept the limits that are exceeded now: from now on, they count only if usage grows."""
        ...

    async def aclose(self) -> None:
        """Stop checking. Harmless when repeated."""
        ...


Guard = Callable[[int, OnBreach], ResourceGuard]
"""Start to watch the process tree of a kernel, given its root (in a sandbox, the launcher), and report exceeded limits."""


def watchdog(workspace: Workspace, *, limits: SessionLimits | None = None, runtime: Path | None = None) -> Guard:
    """Return a guard that enforces the jail's limits: memory, processes, threads and disk space."""

    def guard(pid: int, on_breach: OnBreach) -> ResourceGuard:
        return Watchdog(pid, workspace, on_breach, limits=limits, runtime=runtime)

    return guard
