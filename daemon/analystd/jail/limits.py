"""Check a jailed program's use of memory, processes, threads and disk space against its limits."""

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
"""This many threads are always allowed, even if half of the machine's limit is lower."""
_TOLERATED_MEMORY_BYTES = 64 << 20
_TOLERATED_DISK_BYTES = 16 << 20
_NOISE_BYTES = 1 << 20
_UNKNOWN_SECONDS = 5.0
"""If the exact memory of processes is unavailable for this long, the quick sum counts: the code may be preventing the measurement."""
_COUNTED_PROCESSES = 2
"""Counting stops at this multiple of the limit: finding all processes of a fork bomb may take longer than creating more."""
_HIDDEN_LOOKS = 3
"""Files are in transit through a socket only for moments; code that keeps them there for this many checks is hiding them."""

LimitName = Literal["free_ram", "memory", "processes", "threads", "workspace", "free_disk", "trusted_names"]

SHARED: frozenset[LimitName] = frozenset({"free_ram", "workspace", "free_disk"})
"""Limits that something else may have exceeded: a program outside, another session, the user's own files."""


@dataclass(frozen=True)
class SessionLimits:
    """The limits of a session, besides those of the workspace (its size, the machine's free memory)."""

    memory_percent: float = 75.0
    """The maximum memory of all the session's processes, in percent of the machine's (or the container's)."""
    processes: int = 512
    """The maximum number of processes at a time; a fork bomb has thousands within a second."""
    threads: int = 4096
    """The maximum number of threads of all processes; at most half of what the machine or the container allows."""
    min_free_disk_gb: float = 0.5
    """The minimum free space on the workspace's disk."""
    interval_seconds: float = 0.2
    """The time between two checks while code runs or usage grows; a process fills about 1 GB in it."""
    idle_seconds: float = 2.0
    """The time between two checks while nothing happens."""


@dataclass(frozen=True)
class Breach:
    """An exceeded limit."""

    limit: LimitName
    measured: float
    """In GB, as the percentage of free memory, or as the number of processes or threads."""
    message: str
    """The message for users: the limit, the measured value and the remedy."""
    burden: float = field(default=0.0, compare=False)
    """The session's own usage, in bytes or as a number; if it grows, the session is making the breach worse."""
    is_own: bool = field(default=True, compare=False)
    """Whether the session itself is making the breach worse; for a shared limit, determined by comparing two checks."""
    tolerance: float = field(default=0.0, compare=False)
    """How much `burden` may grow if the limit was already exceeded, for instance while freeing space."""


@dataclass(frozen=True)
class Look:
    """The result of one check."""

    pids: frozenset[int]
    census: Census
    disk_used: int
    breaches: tuple[Breach, ...] = ()
    """The most urgent breach first."""
    size: int = 0
    """The last known size of the workspace."""


class Watched:
    """A process, its descendants and the folders that they may fill, with the state that checks need from one to the next.

    `runtime` is the worker's private folder; its content counts like the workspace's.
    """

    def __init__(self, pid: int, workspace: Workspace, limits: SessionLimits, runtime: Path | None = None) -> None:
        self.pid = pid
        self._workspace = workspace
        self._limits = limits
        self._folders = [workspace.root, *([runtime] if runtime else [])]
        self._device = workspace.root.stat().st_dev
        self._taken: tuple[int, int] | None = None
        """The bytes written to disk and the memory in use when a shared limit was last exceeded."""
        self._held = NamelessFiles()
        self._held_aside = Aside(lambda pids: held_files(pids, self._device))
        self._exact_aside = Aside(proportional_bytes)
        self._memory_gb = memory().total / GIGABYTE
        self._size = 0
        self._explained = 0
        self._disk_when_explained: int | None = None
        self._looks_unexplained = 0

    def look(self, before: Look | None = None, *, files: bool = True, patience_seconds: float | None = None) -> Look:
        """Check all limits; with a check `before`, only the cheap ones if nothing has happened since.

        Args:
            before: The previous check.
            files: Whether to measure open files, which takes a while if there are many files or processes; otherwise the previous value
                is used.
            patience_seconds: How long to wait for values that the kernel may delay before using the previous ones; None waits as long
                as necessary.
        """
        most = _COUNTED_PROCESSES * self._limits.processes
        pids = process_tree(self.pid, at_most=most)
        disk_used, disk_free = self._disk_usage()
        # With too many processes nothing else is checked: meanwhile there would be thousands more.
        if crowd := _too_many_processes(len(pids), self._limits, is_all=len(pids) < most):
            return Look(frozenset(pids), Census(len(pids)), disk_used, (crowd,), self._size)
        found = census(pids)
        if threads := _too_many_threads(found, self._limits):
            return Look(frozenset(pids), found, disk_used, (threads,), self._size)
        if before is not None and _is_asleep(before, pids, found):
            shared = [breach for breach in before.breaches if breach.limit in SHARED]
            own = self._too_much_memory(pids, found, patience_seconds)
            return Look(frozenset(pids), found, disk_used, _present(own, *shared), self._size)
        self._memory_gb = memory().total / GIGABYTE
        if files:
            held = self._held_aside.ask(pids, patience_seconds) or replace(self._held, unmeasured=True)
            if held.disk_bytes > self._held.disk_bytes + _NOISE_BYTES:
                # They may have had a name when the size was measured, and would count twice.
                self._workspace.forget_size()
            self._held, self._size = held, self._measure(held, disk_used)
        breaches = _present(
            _too_little_memory(found, self._workspace),
            self._too_much_memory(pids, found, patience_seconds),
            _too_little_disk(disk_free, disk_used, self._limits),
            _too_many_moved_aside(self._workspace),
            _too_large(self._size, self._workspace),
        )
        return Look(frozenset(pids), found, disk_used, self._blamed(pids, found, breaches), self._size)

    def _blamed(self, pids: Sequence[int], found: Census, breaches: tuple[Breach, ...]) -> tuple[Breach, ...]:
        """Return the breaches with `is_own` set: whether the session writes or takes memory while a shared limit is exceeded."""
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
            # Forked processes share most of their memory, and the quick sum counts it for each. For many processes the exact sum is too slow.
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
            f"({self._limits.memory_percent:g}% of the machine's memory). Load less data at a time",
            burden=used * GIGABYTE,
            tolerance=_TOLERATED_MEMORY_BYTES,
        )

    def _disk_usage(self) -> tuple[int, int]:
        """Return the used and free bytes of the workspace's disk; of another disk if the workspace has been removed."""
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
        """Return the size of the folders' content, including files without a name."""
        size = self._named_bytes() + held.disk_bytes
        self._looks_unexplained = self._looks_unexplained + 1 if held.unmeasured else 0
        if not held.unmeasured or self._disk_when_explained is None:
            self._explained, self._disk_when_explained = size, disk_used
        if self._looks_unexplained < _HIDDEN_LOOKS:
            return size
        # Files are hidden: count the growth of the disk since the last time that everything could be measured.
        hidden = (disk_used - self._disk_when_explained) - (size - self._explained)
        return size + max(0, hidden)


def _present(*breaches: Breach | None) -> tuple[Breach, ...]:
    return tuple(breach for breach in breaches if breach is not None)


def _is_asleep(before: Look, pids: Sequence[int], found: Census) -> bool:
    """Return whether the processes are the same and have not run since."""
    return frozenset(pids) == before.pids and found.processor_ticks == before.census.processor_ticks


def _too_little_memory(found: Census, workspace: Workspace) -> Breach | None:
    free = memory().free_percent
    if free >= workspace.min_free_ram_percent:
        return None
    return Breach(
        "free_ram",
        round(free, 1),
        f"Only {free:.1f}% of the memory is free; at least {workspace.min_free_ram_percent:g}% must be. "
        "Load less data at a time, or lower AGENT_MIN_FREE_RAM_PERCENT",
        burden=found.memory_bytes,
        tolerance=_TOLERATED_MEMORY_BYTES,
    )


def _too_many_processes(count: int, limits: SessionLimits, *, is_all: bool) -> Breach | None:
    if count <= limits.processes:
        return None
    text = f"{count}" if is_all else f"{count} or more"
    return Breach(
        "processes",
        count,
        f"The session has {text} processes; its limit is {limits.processes}. Start fewer at a time",
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
        "The session keeps creating files that tools outside of the jail would execute or trust, as fast as they are moved aside. "
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
        f"The workspace holds {size:.3g} GB, including deleted files that are still open; its limit is {workspace.max_gb:g} GB. "
        "Delete files, or raise AGENT_WORKSPACE_MAX_GB",
        burden=size_bytes,
        tolerance=min(_TOLERATED_DISK_BYTES, workspace.max_gb * GIGABYTE / 20),
    )
