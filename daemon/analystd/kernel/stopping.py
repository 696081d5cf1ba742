"""Stopping a cell: an interrupt, a firmer one, and the end of the kernel if neither helps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from analystd.kernel.execution import Cell
from analystd.kernel.kernel_client import KernelClient
from analystd.kernel.waits import is_over

_HEARD_SECONDS = 0.3
"""How soon a kernel hears of an interrupt, unless C code keeps its threads from running."""

_BREACH_GRACE_SECONDS = 1.0
"""The grace of code that oversteps a limit, which may take a gigabyte more each second."""


@dataclass(frozen=True)
class StopReason:
    """Why code is stopped."""

    message: str
    tell_variables: bool
    """Whether the largest variables belong to the reason."""


async def stop_cell(kernel: KernelClient, cell: Cell, grace_seconds: float) -> bool:
    """Interrupt the cell, and end the kernel if it runs on; whether the kernel was spared."""
    kernel.interrupt()
    heard_by = min(_HEARD_SECONDS, grace_seconds)
    if not await is_over(cell, heard_by):
        kernel.insist()
    spared = await is_over(cell, grace_seconds - heard_by)
    if not spared:
        kernel.process.kill()
        await asyncio.wait([cell.finished])
    return spared


async def stop_all(kernel: KernelClient, cell: Cell) -> None:
    """Stop a cell that oversteps a limit, with all that it started; the kernel too if they do not end."""
    # Of a thousand forked processes the code's own may hardly get its turn to end.
    sweeping = asyncio.create_task(kernel.process.end_children(_BREACH_GRACE_SECONDS))
    spared = await stop_cell(kernel, cell, _BREACH_GRACE_SECONDS)
    await sweeping
    if spared and kernel.alive and not await kernel.process.end_children(_BREACH_GRACE_SECONDS):
        kernel.process.kill()
        await asyncio.wait([kernel.process.ended])
