"""Find the descendants of a process and measure their threads, memory, processor time and disk writes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_KILOBYTE = 1024
_MEMORY_FILES = ("/tmp", "/dev/shm")
_FEW_THREADS = 8
_DEAD = frozenset("ZXx")


@dataclass(frozen=True)
class Census:
    """Totals over a set of processes."""

    processes: int = 0
    threads: int = 0
    memory_bytes: int = 0
    """The memory that would be freed if they ended: their private pages, swapped or not, and their shared memory once."""
    processor_ticks: int = 0
    """Processor time since they started, including that of the children that they have waited for."""


def process_tree(pid: int, *, at_most: int | None = None) -> list[int]:
    """Return `pid` and its descendants, including zombies, at most `at_most` of them; empty when it has ended."""
    found: list[int] = []
    todo = [pid]
    while todo and (at_most is None or len(found) < at_most):
        process = todo.pop()
        try:
            todo += children(process)
        except OSError:
            continue
        found.append(process)
    return found


def census(pids: Sequence[int]) -> Census:
    """Count and measure processes quickly; `proportional_bytes` measures their memory more exactly."""
    private, mapped, threads, ticks = 0, 0, 0, 0
    for pid in pids:
        facts = _facts(pid)
        private += facts.get("RssAnon", 0) + facts.get("VmSwap", 0)
        mapped += facts.get("RssShmem", 0)
        threads += facts.get("Threads", 0)
        ticks += _ticks(pid)
    return Census(len(pids), threads, private + _shared_bytes(pids, mapped), ticks)


def memory_bytes(pids: Sequence[int]) -> int:
    """Return the memory that would be freed if these processes ended."""
    return census(pids).memory_bytes


def proportional_bytes(pids: Sequence[int]) -> int:
    """Return the memory of processes with each shared page counted once (Pss); `census` overstates it after a fork.

    Takes milliseconds for each process, so use it only when the quick sum exceeds a limit.
    """
    sizes = list(map(_proportional_sizes, pids))
    return sum(own for own, _ in sizes) + max(sum(shared for _, shared in sizes), _memory_file_bytes(pids))


def written_bytes(pids: Sequence[int]) -> int:
    """Return the bytes that processes have written to disk, including those of the children that they have waited for."""
    return sum(map(_written, pids))


def is_dead(pid: int) -> bool:
    """Return whether a process has ended; one whose first thread has ended still runs in its other threads."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state in _DEAD and _facts(pid).get("Threads", 0) <= 1


def threads_of(pid: int) -> Iterator[Path]:
    """Yield the `/proc` folder of each thread of a process; nothing when the process has ended."""
    try:
        yield from Path(f"/proc/{pid}/task").iterdir()
    except OSError:
        return


def children(pid: int) -> list[int]:
    """Return the children of a process, whichever of its threads started them; of each thread the oldest first.

    Raises:
        OSError: when the process has ended.
    """
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (thread / "children").read_text().split())
        except FileNotFoundError:
            if not Path("/proc/self/task", str(os.getpid()), "children").exists():
                return _children_by_search(pid)
        except ProcessLookupError:
            # This thread has ended; the remaining ones may still have children.
            continue
    return found


def _children_by_search(pid: int) -> list[int]:
    """Return the children of a process, for a kernel without CONFIG_PROC_CHILDREN."""
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error as exc:
        raise ProcessLookupError(pid) from exc


def _facts(pid: int) -> dict[str, int]:
    """Return the number of threads and the sizes in bytes from /proc/PID/status; empty when the process has ended.

    Once its first thread has ended, only the status files of the other threads contain the sizes.
    """
    facts = _numbers(Path(f"/proc/{pid}/status"))
    if facts.get("Threads", 0) > 1 and "VmRSS" not in facts:
        for thread in threads_of(pid):
            if "VmRSS" in (thread_facts := _numbers(thread / "status")):
                return thread_facts
    return facts


def _proportional_sizes(pid: int) -> tuple[int, int]:
    """Return a process's proportional sizes: anonymous pages and shared memory."""
    for place in (Path(f"/proc/{pid}"), *_few(threads_of(pid))):
        sizes = _numbers(place / "smaps_rollup")
        if "Pss_Anon" in sizes:
            return sizes["Pss_Anon"] + sizes.get("SwapPss", 0), sizes.get("Pss_Shmem", 0)
    facts = _facts(pid)
    return facts.get("RssAnon", 0) + facts.get("VmSwap", 0), facts.get("RssShmem", 0)


def _few(threads: Iterator[Path]) -> list[Path]:
    return [thread for _, thread in zip(range(_FEW_THREADS), threads, strict=False)]


def _numbers(path: Path) -> dict[str, int]:
    """Parse the lines `Name: number kB`, in bytes, and `Threads: number`."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return {}
    numbers: dict[str, int] = {}
    for line in lines:
        words = line.split()
        if line.endswith(" kB") and len(words) == 3:
            numbers[words[0].rstrip(":")] = int(words[1]) * _KILOBYTE
        elif words[:1] == ["Threads:"]:
            numbers["Threads"] = int(words[1])
    return numbers


def _written(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("write_bytes:")), 0)


def _ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def _shared_bytes(pids: Sequence[int], mapped: int) -> int:
    """Return the shared memory that processes use: their mappings together cannot exceed the machine's total."""
    if mapped:
        mapped = min(mapped, _numbers(Path("/proc/meminfo")).get("Shmem", mapped))
    return max(mapped, _memory_file_bytes(pids))


def _memory_file_bytes(pids: Sequence[int]) -> int:
    """Return the bytes in the processes' private in-memory file systems, mapped or not."""
    for pid in pids:
        try:
            used = [_usage_if_private(pid, folder) for folder in _MEMORY_FILES]
        except OSError:
            continue
        if any(used):
            return sum(used)
    return 0


def _usage_if_private(pid: int, folder: str) -> int:
    place = f"/proc/{pid}/root{folder}"
    if os.stat(place).st_dev == os.stat(folder).st_dev:  # noqa: PTH116
        return 0
    usage = os.statvfs(place)
    return (usage.f_blocks - usage.f_bfree) * usage.f_frsize
