"""Wait for the end of a process that is not our child."""

from __future__ import annotations

import asyncio
import os

_LOOK_AGAIN_SECONDS = 2.0


async def ended(pid: int) -> None:
    """Wait until a process has ended.

    Raises:
        ProcessLookupError: when there is no such process.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except (AttributeError, OSError):
        await _polled(pid)
        return
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, over.set)
    try:
        await over.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _polled(pid: int) -> None:
    """Do the same as `ended` by polling, on systems without process descriptors."""
    os.kill(pid, 0)
    while True:
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        except PermissionError:
            continue
