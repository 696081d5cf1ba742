"""Stop a cell: interrupt it, interrupt it by a signal, and kill the kernel if neither helps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from analystd.kernel.execution import Cell
from analystd.kernel.kernel_client import KernelClient
from analystd.kernel.waits import is_over

_ACKNOWLEDGE_SECONDS = 0.3
"""How soon a kernel acknowledges an interrupt, unless C code keeps its threads from running."""

_BREACH_GRACE_SECONDS = 1.0
"""The grace period of code that exceeds a limit, and may take another gigabyte each second."""


@dataclass(frozen=True)
class StopReason:
    """Why code is stopped."""

    message: str
    name_variables: bool
    """Whether to name the largest variables in the outcome."""


async def stop_cell(kernel: KernelClient, cell: Cell, grace_seconds: float) -> bool:
    """Interrupt the cell, and kill the kernel if the cell keeps running; return whether the kernel survived."""
    kernel.interrupt()
    acknowledge_seconds = min(_ACKNOWLEDGE_SECONDS, grace_seconds)
    if not await is_over(cell, acknowledge_seconds):
        kernel.insist()
    spared = await is_over(cell, grace_seconds - acknowledge_seconds)
    if not spared:
        kernel.process.kill()
        await asyncio.wait([cell.finished])
    return spared


async def stop_all(kernel: KernelClient, cell: Cell) -> None:
    """Stop a cell that exceeds a limit and the processes that it started; kill the kernel if they do not end."""
    # Among a thousand forked processes, the code's own may hardly get processor time to end.
    sweeping = asyncio.create_task(kernel.process.end_children(_BREACH_GRACE_SECONDS))
    spared = await stop_cell(kernel, cell, _BREACH_GRACE_SECONDS)
    await sweeping
    if spared and kernel.alive and not await kernel.process.end_children(_BREACH_GRACE_SECONDS):
        kernel.process.kill()
        await asyncio.wait([kernel.process.ended])
