"""Watch the memory of the model's worker while it loads and runs, so that neither the model nor an attacker in the worker fills the machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from analystd.jail.process_tree import memory_bytes, process_tree
from analystd.jail.resource_usage import memory
from analystd.models.memory_estimate import gib
from analystd.wire.errors import EngineUnavailableError

logger = logging.getLogger(__name__)

GROWTH_BYTES = 256 << 20
"""How much a worker may use beyond its memory after loading: some buffers are allocated with the first requests."""

_BUSY_SECONDS = 0.2
_IDLE_SECONDS = 1.0


class Process(Protocol):
    """A process that can be watched."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    def kill(self) -> None:
        """Kill it with all processes that it started."""
        ...


class MemoryGuard:
    """Kills a worker when the machine runs short of memory and the worker has grown, and keeps the reason.

    Weights that are mapped from the file do not count: the system drops them when it needs the memory.
    """

    def __init__(self, min_free_percent: float, is_busy: Callable[[], bool] = lambda: True) -> None:
        self.breach: EngineUnavailableError | None = None
        """Why the worker was killed, if it was."""
        self._min_free_percent = min_free_percent
        self._is_busy = is_busy
        self._loaded_bytes = 0
        self._task: asyncio.Task[None] | None = None

    def watch(self, process: Process) -> None:
        """Start to watch a worker that is about to load its model."""
        self._task = asyncio.create_task(self._watch(process), name=f"memory-{process.pid}")

    def settle(self, process: Process) -> None:
        """Take the worker's current memory as what it needs with a loaded model. Takes a millisecond, and cannot be cancelled."""
        self._loaded_bytes = _used(process.pid)

    def stop(self) -> None:
        """Stop watching. Harmless when repeated."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self, process: Process) -> None:
        while True:
            await asyncio.sleep(_BUSY_SECONDS if self._is_busy() else _IDLE_SECONDS)
            if not Path(f"/proc/{process.pid}").exists():
                return
            try:
                self.breach = await asyncio.to_thread(self._find_breach, process.pid)
            except OSError as exc:
                logger.warning("the memory of the model's worker could not be measured: %s", exc)
                continue
            if self.breach is not None:
                logger.warning("%s", self.breach.message)
                process.kill()
                return

    def _find_breach(self, pid: int) -> EngineUnavailableError | None:
        free = memory().free_percent
        if free >= self._min_free_percent:
            return None
        used = _used(pid)
        if used - self._loaded_bytes <= GROWTH_BYTES:
            # Other processes use the memory.
            return None
        return EngineUnavailableError(
            f"The model's worker was stopped: it used {gib(used)} of memory in addition to the model's file, and only {free:.1f}% of the "
            f"memory is free; the minimum is {self._min_free_percent:g}%",
            "Set AGENT_CONTEXT_TOKENS to a smaller number, choose a smaller model (`analystd model list` shows which ones fit), "
            "or lower AGENT_MIN_FREE_RAM_PERCENT.",
        )


def _used(pid: int) -> int:
    return memory_bytes(process_tree(pid))
