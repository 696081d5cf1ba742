"""What is done about a limit that a session oversteps while no code runs in it: nobody's code can be stopped for it."""

from __future__ import annotations

import asyncio

from analystd.jail.limits import Breach
from analystd.kernel.kernel_client import KernelClient

_CHILDREN_SECONDS = 2.0
_AGAIN_SECONDS = 30.0
"""Who oversteps the same limit again so soon does it by itself, or starts anew what was ended."""


async def relieve(kernel: KernelClient, breach: Breach) -> str | None:
    """End what the kernel has started; the kernel itself where there is nothing, or where that has not helped for long.

    Returns:
        What to tell, if the variables are kept: the end of a kernel is told by whoever it belongs to.
    """
    has_children = await asyncio.to_thread(lambda: kernel.process.has_children)
    if kernel.cell is not None or (not has_children and not breach.is_own):
        # Code has begun meanwhile, and can be stopped; or it is somebody else who fills the disk or the memory.
        return None
    now = asyncio.get_running_loop().time()
    again = now - kernel.relieved.get(breach.limit, -_AGAIN_SECONDS) < _AGAIN_SECONDS
    if breach.is_own and (again or not has_children):
        kernel.process.end_for(breach)
        return None
    kernel.relieved[breach.limit] = now
    if not await kernel.process.end_children(_CHILDREN_SECONDS) and kernel.cell is None:
        kernel.process.end_for(breach)
        return None
    return f"{breach.message.rstrip('. ')}. No code ran: what earlier code had left running was ended; the variables are kept."
