"""Whether any of some processes has run between two moments, as the kernel's scheduler counts it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from pathlib import Path

from analystd.jail.process_tree import process_tree

Activity = frozenset[tuple[int, ...]]
"""The threads that there are, with how often each was taken from a processor: equal at two moments between which none of them ran."""

_ASLEEP = frozenset("STtZXI")


def activity(roots: Iterable[int]) -> Activity:
    """The activity of processes with all that they started.

    A thread that runs has to be woken before and put to sleep after, which is counted; one that is not asleep now makes the result unlike
    any other.
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
