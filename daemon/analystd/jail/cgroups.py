"""Read the control groups (versions 1 and 2) of this process, and the memory and number of processes that they allow.

A machine may have version 2, version 1, or both side by side. Inside a container, the paths that the kernel reports may begin outside of it.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Controller = Literal["memory", "pids"]

_MEMORY_FILES = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
_BELIEVED_SECONDS = 60
_ESCAPES = {r"\040": " ", r"\011": "\t", r"\012": "\n", r"\134": "\\"}


@dataclass(frozen=True)
class ControlGroup:
    """A control group: a folder of a mounted hierarchy."""

    version: Literal[1, 2]
    folder: Path
    top: Path
    """Where its hierarchy is mounted; groups above that are not visible."""

    def outwards(self) -> Iterator[ControlGroup]:
        """Yield the group and its ancestors, innermost first; the limits of all of them apply."""
        for folder in (self.folder, *self.folder.parents):
            if folder.is_relative_to(self.top):
                yield ControlGroup(self.version, folder, self.top)


@dataclass(frozen=True)
class GroupUsage:
    """The limit and current usage of a group: bytes of memory, or a number of processes and threads."""

    limit: int
    used: int


def own_groups(controller: Controller) -> list[ControlGroup]:
    """Return `groups_of` this process, cached for a minute: a process is rarely moved to another group."""
    return _remembered_groups(controller, int(time.monotonic()) // _BELIEVED_SECONDS)


def groups_of(controller: Controller, proc: Path) -> list[ControlGroup]:
    """Return the groups whose `controller` limits a process, given its folder in `/proc`: at most one of each version."""
    paths = _paths(proc)
    groups = []
    for version, root, top, controllers in _hierarchies(proc):
        path = paths.get("" if version == 2 else controller)
        if path is not None and (version == 2 or controller in controllers):
            groups.append(ControlGroup(version, top / _below(path, root), top))
    return groups


def memory_usage(group: ControlGroup, machine_bytes: int) -> GroupUsage | None:
    """Return the group's memory limit and usage, without reclaimable caches; None if it has no limit below the machine's memory."""
    limit_file, used_file, cache = _MEMORY_FILES[group.version]
    limit = _number(group.folder / limit_file)
    if limit is None or not 0 < limit < machine_bytes or (used := _number(group.folder / used_file)) is None:
        return None
    return GroupUsage(limit, max(0, used - _statistics(group.folder / "memory.stat").get(cache, 0)))


def task_usage(group: ControlGroup) -> GroupUsage | None:
    """Return the group's limit and number of processes and threads; None if it has no limit."""
    limit, used = _number(group.folder / "pids.max"), _number(group.folder / "pids.current")
    return None if limit is None or used is None else GroupUsage(limit, used)


def smallest_task_limit() -> int | None:
    """Return the maximum number of processes and threads on this machine or in the container; None if it is unknown."""
    return _remembered_task_limit(int(time.monotonic()) // _BELIEVED_SECONDS)


@functools.lru_cache(maxsize=4)
def _remembered_groups(controller: Controller, _period: int) -> list[ControlGroup]:
    return groups_of(controller, Path("/proc/self"))


@functools.lru_cache(maxsize=2)
def _remembered_task_limit(_period: int) -> int | None:
    limits = [_number(Path("/proc/sys/kernel") / name) for name in ("pid_max", "threads-max")]
    for own in own_groups("pids"):
        limits += [usage.limit for group in own.outwards() if (usage := task_usage(group)) is not None]
    return min((limit for limit in limits if limit is not None), default=None)


def _paths(proc: Path) -> dict[str, str]:
    """Return the process's path in each hierarchy, by controller; version 2 has the empty name."""
    paths: dict[str, str] = {}
    for line in _lines(proc / "cgroup"):
        _, controllers, path = line.split(":", 2)
        paths.update(dict.fromkeys(controllers.split(","), path))
    return paths


def _hierarchies(proc: Path) -> Iterator[tuple[Literal[1, 2], str, Path, frozenset[str]]]:
    """Yield each mounted hierarchy as (version, mounted group, mount point, controllers)."""
    for line in _lines(proc / "mountinfo"):
        words = line.split()
        with contextlib.suppress(ValueError, IndexError):
            kind, _, options = words[words.index("-") + 1 :][:3]
            root, place = map(_unescaped, words[3:5])
            if kind == "cgroup2":
                yield 2, root, Path(place), frozenset()
            elif kind == "cgroup":
                yield 1, root, Path(place), frozenset(options.split(","))


def _below(path: str, root: str) -> str:
    """Return the path of a group relative to the mounted one; empty where the path leads out of it, as in some containers."""
    if root == "/":
        return "" if path.startswith("/..") else path.strip("/")
    return path.removeprefix(root).strip("/") if path == root or path.startswith(f"{root}/") else ""


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    """Return the number in a file; None if there is no file or no limit (`max`)."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _statistics(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _unescaped(text: str) -> str:
    for escape, character in _ESCAPES.items():
        text = text.replace(escape, character)
    return text
