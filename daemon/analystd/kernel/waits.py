"""Waiting with time limits, and the notes that a session adds to the output of code."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from analystd.kernel.base import SessionVariable
from analystd.kernel.execution import Cell

LOOK_SECONDS = 1.0
"""How long code and its result wait for a search of the workspace when one is necessary; with many files it takes longer."""


async def in_time(work: Callable[[], object]) -> None:
    """Run `work` in a thread and wait for a limited time; it continues there afterwards."""
    await asyncio.wait([asyncio.ensure_future(asyncio.to_thread(work))], timeout=LOOK_SECONDS)


async def no_variables() -> tuple[SessionVariable, ...]:
    """Return no variables."""
    return ()


async def first(futures: list[asyncio.Future[Any]], end: float) -> None:
    """Wait until one of the futures is done, or until the loop time `end`."""
    seconds = max(0.0, end - asyncio.get_running_loop().time())
    timeout = seconds if math.isfinite(seconds) else None
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


def free_to_help(overstepped: str) -> str:
    """Return the note for code that runs although a limit is already exceeded."""
    return f"{overstepped.rstrip('. ')}. This code may run to free resources, and is stopped as soon as it uses more."


def marked(text: str) -> str:
    """Mark text in the output of code that is not the code's own."""
    return f"[{text}]\n"


async def is_over(cell: Cell, seconds: float) -> bool:
    """Wait for the end of a cell for at most `seconds`; return whether it has ended."""
    await asyncio.wait([cell.finished], timeout=seconds if math.isfinite(seconds) else None)
    return cell.finished.done()
