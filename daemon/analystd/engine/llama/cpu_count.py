"""Count the CPU cores that are useful for computing a model."""

from __future__ import annotations

import os
from pathlib import Path

import psutil


def usable_cores() -> int:
    """Return the number of cores that this process may use. With more threads, they wait for each other at every layer."""
    cores = min(psutil.cpu_count(logical=False) or 1, len(os.sched_getaffinity(0)))
    quota = _cpu_quota(Path("/sys/fs/cgroup/cpu.max"))
    return max(1, cores if quota is None else min(cores, round(quota)))


def _cpu_quota(file: Path) -> float | None:
    """Return the number of cores that a container may use, from `cpu.max` of its control group (`200000 100000`: two), or None for all."""
    try:
        quota, period = file.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):
        return None
