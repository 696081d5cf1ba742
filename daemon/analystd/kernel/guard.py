"""What looks after a session's processes while code runs in it, and can have that code stopped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from analystd.jail.limits import Breach, Limits, watch
from analystd.jail.workspace import Workspace

_OF_MEMORY = ("memory", "free_ram")


class Stop(Protocol):
    """Has the code under way stopped; harmless when it is over. To be called in the event loop, and does not wait."""

    def __call__(self, message: str, *, tell_variables: bool = False) -> None:
        """Stop the code with `message`, which names the limit; with `tell_variables` the largest ones are named too."""
        ...


Guard = Callable[[int, Stop], AbstractAsyncContextManager[None]]
"""Makes a block that is entered when code has run for a moment, and left when that is over.

It is given the root of the session's process tree (behind walls: the launcher) and the way to stop the code.
"""


def watchdog(workspace: Workspace, *, limits: Limits | None = None, runtime: Path | None = None) -> Guard:
    """The guard that keeps to the limits of the jail: memory, processes, the room on disk."""

    def guard(pid: int, stop: Stop) -> AbstractAsyncContextManager[None]:
        def on_breach(breach: Breach) -> None:
            stop(breach.message, tell_variables=breach.limit in _OF_MEMORY)

        return watch(pid, workspace, on_breach, limits=limits, runtime=runtime)

    return guard
