"""Handle a limit that a session exceeds while no code runs in it, when there is no code to stop."""

from __future__ import annotations

import asyncio

from analystd.jail.limits import Breach
from analystd.kernel.kernel_client import KernelClient

_CHILDREN_SECONDS = 2.0
_AGAIN_SECONDS = 30.0
"""A session that exceeds the same limit again this soon does so by itself, or restarts what was killed."""


async def relieve(kernel: KernelClient, breach: Breach) -> str | None:
    """Kill the processes that the kernel has started; kill the kernel if there are none, or if that has recently not helped.

    Returns:
        The message for the user if the variables are kept; the kernel's owner reports the end of a kernel.
    """
    has_children = await asyncio.to_thread(lambda: kernel.process.has_children)
    if kernel.cell is not None or (not has_children and not breach.is_own):
        # Code has begun meanwhile, and can be stopped; or something else is filling the disk or the memory.
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
    return f"{breach.message.rstrip('. ')}. No code was running: processes left by earlier code were killed; the variables are kept."
