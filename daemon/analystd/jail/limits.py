"""The watchdog: while something runs in the jail, its memory, its processes and the room on disk stay within limits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from analystd.jail.processes import deleted_open_bytes, memory_bytes, process_tree, proportional_bytes
from analystd.jail.sizes import folder_bytes, memory
from analystd.jail.workspace import GIGABYTE, Workspace

logger = logging.getLogger(__name__)

_FEW_PROCESSES = 32

LimitName = Literal["free_ram", "memory", "processes", "workspace", "free_disk", "trusted_names"]


@dataclass(frozen=True)
class Limits:
    """What a run may use, beside the workspace's own limits (its size, the machine's free memory)."""

    memory_percent: float = 75.0
    """The memory of all of the run's processes, as a share of the machine's (or the container's)."""
    processes: int = 512
    """How many processes there may be at a time; a fork bomb has thousands within a second."""
    min_free_disk_gb: float = 0.5
    """What must stay free on the disk of the workspace."""
    interval_seconds: float = 0.2
    """The time between two looks; a process fills about 1 GB in it."""


@dataclass(frozen=True)
class Breach:
    """A limit that was overstepped."""

    limit: LimitName
    measured: float
    """In GB, in percent of the memory that is free, or the number of processes."""
    message: str
    """For people: the limit, the measured value and what to do."""


@contextlib.asynccontextmanager
async def watch(
    pid: int,
    workspace: Workspace,
    on_breach: Callable[[Breach], None],
    *,
    limits: Limits | None = None,
    runtime: Path | None = None,
) -> AsyncIterator[None]:
    """Look after the process `pid` and all that it starts for as long as the block lasts.

    `on_breach` is called once, in the event loop, with the first limit that is overstepped; to interrupt and to kill is its owner's
    business. `runtime` is the worker's private folder, whose content counts like the workspace's.
    """
    watcher = asyncio.create_task(_watch(pid, workspace, on_breach, limits or Limits(), runtime), name=f"watch-{pid}")
    try:
        yield
    finally:
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher


def find_breach(pid: int, workspace: Workspace, limits: Limits, runtime: Path | None = None) -> Breach | None:
    """The first limit that `pid` with its descendants oversteps now, the most urgent ones being looked at first."""
    pids = process_tree(pid)
    return (
        _too_little_memory(workspace)
        or _too_many_processes(len(pids), limits)
        or _too_much_memory(pids, limits)
        or _too_little_disk(workspace, limits)
        or _too_many_moved_aside(workspace)
        or _too_large(pids, workspace, [runtime] if runtime else [])
    )


async def _watch(
    pid: int, workspace: Workspace, on_breach: Callable[[Breach], None], limits: Limits, runtime: Path | None
) -> None:
    while True:
        try:
            breach = await asyncio.to_thread(find_breach, pid, workspace, limits, runtime)
        except OSError:
            logger.exception("The watchdog could not look; it tries again")
            breach = None
        if breach is not None:
            logger.warning("%s", breach.message)
            on_breach(breach)
            return
        await asyncio.sleep(limits.interval_seconds)


def _too_little_memory(workspace: Workspace) -> Breach | None:
    free = memory().free_percent
    if free >= workspace.min_free_ram_percent:
        return None
    return Breach(
        "free_ram",
        round(free, 1),
        f"Only {free:.1f}% of the memory is free; at least {workspace.min_free_ram_percent:g}% must be. "
        "Load less at a time, or lower AGENT_MIN_FREE_RAM_PERCENT",
    )


def _too_many_processes(count: int, limits: Limits) -> Breach | None:
    if count <= limits.processes:
        return None
    return Breach(
        "processes", count, f"The session has {count} processes; its limit is {limits.processes}. Start fewer at a time"
    )


def _too_much_memory(pids: Sequence[int], limits: Limits) -> Breach | None:
    limit = memory().total / GIGABYTE * limits.memory_percent / 100
    used = memory_bytes(pids) / GIGABYTE
    if used > limit and 1 < len(pids) <= _FEW_PROCESSES:
        # Forked processes share most of what they have, and the quick sum counts it for each. Of many the exact sum would take too long.
        used = min(used, proportional_bytes(pids) / GIGABYTE)
    if used <= limit:
        return None
    return Breach(
        "memory",
        round(used, 2),
        f"The session uses {used:.1f} GB of memory; its limit is {limit:.1f} GB "
        f"({limits.memory_percent:g}% of the machine's). Load less at a time",
    )


def _too_little_disk(workspace: Workspace, limits: Limits) -> Breach | None:
    free = shutil.disk_usage(workspace.root).free / GIGABYTE
    if free >= limits.min_free_disk_gb:
        return None
    return Breach(
        "free_disk",
        round(free, 2),
        f"Only {free:.2f} GB are free on the workspace's disk; at least {limits.min_free_disk_gb:g} GB must be. "
        "Delete files",
    )


def _too_many_moved_aside(workspace: Workspace) -> Breach | None:
    trusted = workspace.trusted_paths
    if trusted is None or not trusted.is_stormed():
        return None
    return Breach(
        "trusted_names",
        trusted.count,
        "The session goes on making files that tools outside of the jail would run or believe, as fast as they are moved aside. "
        "`analystd quarantine` lists them",
    )


def _too_large(pids: Sequence[int], workspace: Workspace, folders: Sequence[Path]) -> Breach | None:
    named = workspace.size_bytes() + sum(map(folder_bytes, folders))
    size = (named + deleted_open_bytes(pids, workspace.root)) / GIGABYTE
    if size <= workspace.max_gb:
        return None
    return Breach(
        "workspace",
        round(size, 2),
        f"The workspace holds {size:.3g} GB, with files that are deleted but still open; its limit is {workspace.max_gb:g} GB. "
        "Delete files, or raise AGENT_WORKSPACE_MAX_GB",
    )
