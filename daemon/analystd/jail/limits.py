"""What the programs in the jail may use: their memory, processes and threads, the room on disk. A look tells what is overstepped."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

from analystd.jail.aside import Aside
from analystd.jail.cgroups import smallest_task_limit
from analystd.jail.held import NamelessFiles, held_files
from analystd.jail.process_tree import Census, census, process_tree, proportional_bytes, written_bytes
from analystd.jail.resource_usage import folder_bytes, memory
from analystd.jail.workspace import GIGABYTE, Workspace

_FEW_PROCESSES = 32
_FEW_THREADS = 64
"""So many are not too many even where half of what is allowed would be less."""
_TOLERATED_MEMORY_BYTES = 64 << 20
_TOLERATED_DISK_BYTES = 16 << 20
_NOISE_BYTES = 1 << 20
_UNKNOWN_SECONDS = 5.0
"""Where the exact memory of processes cannot be had for so long, the quick sum is believed: somebody may see to it."""
_COUNTED_PROCESSES = 2
"""So many times what is allowed are counted: to find all of a fork bomb's may take longer than it takes to make more."""
_HIDDEN_LOOKS = 3
"""Files are on their way through a socket for moments; who keeps them there longer hides them."""

LimitName = Literal["free_ram", "memory", "processes", "threads", "workspace", "free_disk", "trusted_names"]

SHARED: frozenset[LimitName] = frozenset({"free_ram", "workspace", "free_disk"})
"""Limits that somebody else may be the cause of: a program outside, another session, the user's own files."""


@dataclass(frozen=True)
class SessionLimits:
    """What a session may use, beside the workspace's own limits (its size, the machine's free memory)."""

    memory_percent: float = 75.0
    """The memory of all of the session's processes, as a share of the machine's (or the container's)."""
    processes: int = 512
    """How many processes there may be at a time; a fork bomb has thousands within a second."""
    threads: int = 4096
    """How many threads they may have together; at most half of what the machine or the container allows."""
    min_free_disk_gb: float = 0.5
    """What must stay free on the disk of the workspace."""
    interval_seconds: float = 0.2
    """The time between two looks while code runs or something grows; a process fills about 1 GB in it."""
    idle_seconds: float = 2.0
    """The time between two looks while nothing happens."""


@dataclass(frozen=True)
class Breach:
    """A limit that is overstepped."""

    limit: LimitName
    measured: float
    """In GB, in percent of the memory that is free, or the number of processes or threads."""
    message: str
    """For people: the limit, the measured value and what to do."""
    burden: float = field(default=0.0, compare=False)
    """What the session itself has of it, in bytes or a number: it makes matters worse where this grows."""
    is_own: bool = field(default=True, compare=False)
    """Whether it is the session that makes matters worse; of a limit that others may overstep, that is seen from one look to the next."""
    tolerance: float = field(default=0.0, compare=False)
    """By how much that may grow where the limit was overstepped already, for instance to free what is too much."""


@dataclass(frozen=True)
class Look:
    """What one look has found."""

    pids: frozenset[int]
    census: Census
    disk_used: int
    breaches: tuple[Breach, ...] = ()
    """The most urgent one first."""
    size: int = 0
    """What the workspace holds, as far as it is known."""


class Watched:
    """A process with all that it starts, and the folders that they may fill; remembers what it needs from look to look.

    `runtime` is the worker's private folder, whose content counts like the workspace's.
    """

    def __init__(self, pid: int, workspace: Workspace, limits: SessionLimits, runtime: Path | None = None) -> None:
        self.pid = pid
        self._workspace = workspace
        self._limits = limits
        self._folders = [workspace.root, *([runtime] if runtime else [])]
        self._device = workspace.root.stat().st_dev
        self._taken: tuple[int, int] | None = None
        """What it had written to disks, and taken of memory, when a limit was overstepped that others share."""
        self._held = NamelessFiles()
        self._held_aside = Aside(lambda pids: held_files(pids, self._device))
        self._exact_aside = Aside(proportional_bytes)
        self._memory_gb = memory().total / GIGABYTE
        self._size = 0
        self._explained = 0
        self._disk_when_explained: int | None = None
        self._looks_unexplained = 0

    def look(self, before: Look | None = None, *, files: bool = True, patience_seconds: float | None = None) -> Look:
        """Look at everything; with a look `before`, only at what costs little where nothing has happened since.

        Args:
            before: The look to compare with.
            files: Whether to find open files; otherwise they are taken for what they were: that takes a while where there are many, or many
                processes.
            patience_seconds: How long to wait for what the system may keep back, after which it is taken for what it was; None for as
                long as it takes.
        """
        most = _COUNTED_PROCESSES * self._limits.processes
        pids = process_tree(self.pid, at_most=most)
        disk_used, disk_free = self._disk_usage()
        # Of so many nothing else is looked at: meanwhile there would be thousands more.
        if crowd := _too_many_processes(len(pids), self._limits, is_all=len(pids) < most):
            return Look(frozenset(pids), Census(len(pids)), disk_used, (crowd,), self._size)
        found = census(pids)
        if threads := _too_many_threads(found, self._limits):
            return Look(frozenset(pids), found, disk_used, (threads,), self._size)
        if before is not None and _is_asleep(before, pids, found):
            shared = [breach for breach in before.breaches if breach.limit in SHARED]
            own = self._too_much_memory(pids, found, patience_seconds)
            return Look(frozenset(pids), found, disk_used, _told(own, *shared), self._size)
        self._memory_gb = memory().total / GIGABYTE
        if files:
            held = self._held_aside.ask(pids, patience_seconds) or replace(self._held, unmeasured=True)
            if held.disk_bytes > self._held.disk_bytes + _NOISE_BYTES:
                # They may have had a name a moment ago, and would count twice.
                self._workspace.forget_size()
            self._held, self._size = held, self._measure(held, disk_used)
        breaches = _told(
            _too_little_memory(found, self._workspace),
            self._too_much_memory(pids, found, patience_seconds),
            _too_little_disk(disk_free, disk_used, self._limits),
            _too_many_moved_aside(self._workspace),
            _too_large(self._size, self._workspace),
        )
        return Look(frozenset(pids), found, disk_used, self._blamed(pids, found, breaches), self._size)

    def _blamed(self, pids: Sequence[int], found: Census, breaches: tuple[Breach, ...]) -> tuple[Breach, ...]:
        """The breaches, with it noted whether the session writes and takes memory while limits are overstepped that others share."""
        before, self._taken = self._taken, None
        if not any(breach.limit in SHARED for breach in breaches):
            return breaches
        written = written_bytes(pids)
        self._taken = (written, found.memory_bytes)
        writes = before is not None and written - before[0] > _NOISE_BYTES
        grows = before is not None and found.memory_bytes - before[1] > _NOISE_BYTES
        is_own = {"free_ram": grows, "workspace": writes, "free_disk": writes}
        return tuple(replace(breach, is_own=is_own.get(breach.limit, True)) for breach in breaches)

    def _too_much_memory(self, pids: Sequence[int], found: Census, patience_seconds: float | None) -> Breach | None:
        limit = self._memory_gb * self._limits.memory_percent / 100
        used = (found.memory_bytes + self._held.memory_bytes) / GIGABYTE
        if used > limit and 1 < len(pids) <= _FEW_PROCESSES:
            # Forked processes share most of what they have, and the quick sum counts it for each. Of many the exact sum would take too long.
            exact = self._exact_aside.ask(pids, patience_seconds)
            if exact is not None:
                used = min(used, (exact + self._held.memory_bytes) / GIGABYTE)
            elif self._exact_aside.late_seconds < _UNKNOWN_SECONDS:
                return None
        if used <= limit:
            return None
        return Breach(
            "memory",
            round(used, 2),
            f"The session uses {used:.1f} GB of memory; its limit is {limit:.1f} GB "
            f"({self._limits.memory_percent:g}% of the machine's). Load less at a time",
            burden=used * GIGABYTE,
            tolerance=_TOLERATED_MEMORY_BYTES,
        )

    def _disk_usage(self) -> tuple[int, int]:
        """Return how many bytes of the workspace's disk are used and free; of another one, once somebody has removed the workspace."""
        for folder in (*self._folders, Path("/")):
            with contextlib.suppress(OSError):
                usage = shutil.disk_usage(folder)
                return usage.used, usage.free
        return 0, 0

    def _named_bytes(self) -> int:
        total = 0
        measures: list[Callable[[], int]] = [partial(folder_bytes, folder) for folder in self._folders[1:]]
        for measure in (self._workspace.size_bytes, *measures):
            with contextlib.suppress(FileNotFoundError):
                total += measure()
        return total

    def _measure(self, held: NamelessFiles, disk_used: int) -> int:
        """Measure what lies in the folders, under a name or without one."""
        size = self._named_bytes() + held.disk_bytes
        self._looks_unexplained = self._looks_unexplained + 1 if held.unmeasured else 0
        if not held.unmeasured or self._disk_when_explained is None:
            self._explained, self._disk_when_explained = size, disk_used
        if self._looks_unexplained < _HIDDEN_LOOKS:
            return size
        # The disk has filled since the last time that everything on it could be accounted for.
        hidden = (disk_used - self._disk_when_explained) - (size - self._explained)
        return size + max(0, hidden)


def find_breach(pid: int, workspace: Workspace, limits: SessionLimits, runtime: Path | None = None) -> Breach | None:
    """Return the first limit that `pid` with its descendants oversteps now, the most urgent ones being looked at first."""
    return next(iter(Watched(pid, workspace, limits, runtime).look().breaches), None)


def _told(*breaches: Breach | None) -> tuple[Breach, ...]:
    return tuple(breach for breach in breaches if breach is not None)


def _is_asleep(before: Look, pids: Sequence[int], found: Census) -> bool:
    """Tell whether the processes are the same and have done nothing since."""
    return frozenset(pids) == before.pids and found.processor_ticks == before.census.processor_ticks


def _too_little_memory(found: Census, workspace: Workspace) -> Breach | None:
    free = memory().free_percent
    if free >= workspace.min_free_ram_percent:
        return None
    return Breach(
        "free_ram",
        round(free, 1),
        f"Only {free:.1f}% of the memory is free; at least {workspace.min_free_ram_percent:g}% must be. "
        "Load less at a time, or lower AGENT_MIN_FREE_RAM_PERCENT",
        burden=found.memory_bytes,
        tolerance=_TOLERATED_MEMORY_BYTES,
    )


def _too_many_processes(count: int, limits: SessionLimits, *, is_all: bool) -> Breach | None:
    if count <= limits.processes:
        return None
    told = f"{count}" if is_all else f"{count} or more"
    return Breach(
        "processes",
        count,
        f"The session has {told} processes; its limit is {limits.processes}. Start fewer at a time",
        burden=count,
    )


def _too_many_threads(found: Census, limits: SessionLimits) -> Breach | None:
    allowed = smallest_task_limit()
    limit = limits.threads if allowed is None else min(limits.threads, max(allowed // 2, _FEW_THREADS))
    if found.threads <= limit:
        return None
    of_machine = "" if limit == limits.threads else f", half of the {allowed} that this machine allows"
    return Breach(
        "threads",
        found.threads,
        f"The session has {found.threads} threads in {found.processes} processes; its limit is {limit}{of_machine}. "
        "Start fewer at a time",
        burden=found.threads,
    )


def _too_little_disk(free_bytes: int, used_bytes: int, limits: SessionLimits) -> Breach | None:
    free = free_bytes / GIGABYTE
    if free >= limits.min_free_disk_gb:
        return None
    return Breach(
        "free_disk",
        round(free, 2),
        f"Only {free:.2f} GB are free on the workspace's disk; at least {limits.min_free_disk_gb:g} GB must be. "
        "Delete files",
        burden=used_bytes,
        tolerance=_TOLERATED_DISK_BYTES,
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
        burden=trusted.count,
    )


def _too_large(size_bytes: int, workspace: Workspace) -> Breach | None:
    size = size_bytes / GIGABYTE
    if size <= workspace.max_gb:
        return None
    return Breach(
        "workspace",
        round(size, 2),
        f"The workspace holds {size:.3g} GB, with files that are deleted but still open; its limit is {workspace.max_gb:g} GB. "
        "Delete files, or raise AGENT_WORKSPACE_MAX_GB",
        burden=size_bytes,
        tolerance=min(_TOLERATED_DISK_BYTES, workspace.max_gb * GIGABYTE / 20),
    )
