"""Detect whether any of a set of processes has run between two moments, from the kernel scheduler's counters."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from analystd.jail.process_tree import process_tree

Activity = frozenset[tuple[int, ...]]
"""The threads and their context switch counts: equal at two moments if none of the threads ran in between."""

_ASLEEP = frozenset("STtZXI")


def activity(roots: Iterable[int]) -> Activity:
    """Return the activity of processes and all their descendants.

    A thread that runs has to be woken before and put to sleep after, and the kernel counts this. A thread that is not asleep now makes the
    result different from every other.
    """
    threads: set[tuple[int, ...]] = set()
    for root in roots:
        for process in process_tree(root):
            with contextlib.suppress(OSError):
                for thread in os.listdir(f"/proc/{process}/task"):  # noqa: PTH208
                    threads.add((process, int(thread), *_switches(process, thread)))
    return frozenset(threads)


def _switches(process: int, thread: str) -> tuple[int, ...]:
    try:
        text = Path(f"/proc/{process}/task/{thread}/status").read_text("utf-8", "replace")
    except OSError:
        return (time.monotonic_ns(),)
    lines = dict(line.partition(":")[::2] for line in text.splitlines())
    if lines.get("State", "R").strip()[:1] not in _ASLEEP:
        return (time.monotonic_ns(),)
    return (int(lines.get("voluntary_ctxt_switches", 0)), int(lines.get("nonvoluntary_ctxt_switches", 0)))
