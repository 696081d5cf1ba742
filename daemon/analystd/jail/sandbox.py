"""Which walls this machine can put around a worker, and how a worker is started behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["full", "partial", "none"]


@dataclass(frozen=True)
class Policy:
    """What one worker may touch. All else is refused by the kernel of the operating system."""

    workspace: Path
    """Read and written; the worker's HOME, TMPDIR and current folder."""
    runtime: Path
    """A private folder of the worker's own (sockets, caches); read and written."""
    read_only: tuple[Path, ...] = ()
    """Further folders that may be read."""
    interpreter: Path | None = None
    """The Python that the worker runs, if it is not this one; it and its `sys.path` may be read."""


@dataclass(frozen=True)
class Sandbox:
    """The level that was measured on this machine, why it is that one, and what it does not stop."""

    level: Level
    reason: str
    gaps: tuple[str, ...] = ()

    def command(self, argv: Sequence[str], policy: Policy) -> list[str]:
        """The command line that runs `argv` behind the walls of `policy`.

        Raises:
            SessionUnavailableError: at level `none`, unless the user switched the sandbox off.
        """
        raise NotImplementedError

    def environment(self, policy: Policy) -> dict[str, str]:
        """The environment for such a worker: nothing of ours but what it needs (PATH, locale, HOME, TMPDIR, IPYTHONDIR, MPLCONFIGDIR)."""
        raise NotImplementedError


async def measure_sandbox(setting: Literal["auto", "off"]) -> Sandbox:
    """Try the walls in a child process, and tell what holds on this machine."""
    raise NotImplementedError
