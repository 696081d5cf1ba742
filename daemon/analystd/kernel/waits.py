"""What a session waits for, and the notes that it puts into the output of code."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

from analystd.kernel.base import SessionVariable
from analystd.kernel.execution import Cell

LOOK_SECONDS = 1.0
"""How long code and its result wait for a look through the workspace when there is cause for one; it takes longer where there are many files."""


async def in_time(work: Callable[[], object]) -> None:
    """Do something in a thread, and wait for it, but not for long: it is done there nevertheless."""
    await asyncio.wait([asyncio.ensure_future(asyncio.to_thread(work))], timeout=LOOK_SECONDS)


async def no_variables() -> tuple[SessionVariable, ...]:
    """Return nothing, as who is not asked."""
    return ()


async def first(futures: list[asyncio.Future[Any]], end: float) -> None:
    """Wait until one of some things is done, or the loop's time is `end`."""
    seconds = max(0.0, end - asyncio.get_running_loop().time())
    timeout = seconds if math.isfinite(seconds) else None
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)


def free_to_help(overstepped: str) -> str:
    """Return what code is told that runs although a limit is overstepped."""
    return f"{overstepped.rstrip('. ')}. This code may run, to free what is too much, and is stopped as soon as it takes more."


def marked(text: str) -> str:
    """As what is not the code's own stands in its output."""
    return f"[{text}]\n"


async def is_over(cell: Cell, seconds: float) -> bool:
    """Wait for the end of a cell, for so long at the most; whether it has come."""
    await asyncio.wait([cell.finished], timeout=seconds if math.isfinite(seconds) else None)
    return cell.finished.done()
