"""Keep a spare kernel with numpy and pandas loaded, so that a reset session answers at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging

import psutil

from analystd.kernel.kernel_client import KernelClient
from analystd.kernel.launch import Launch
from analystd.kernel.resource_guard import Guard
from analystd.wire.errors import SessionUnavailableError

logger = logging.getLogger(__name__)

PRELOADED = ("numpy", "pandas")
REFILL_DELAY_SECONDS = 1.0
"""The delay before a new spare is started, so that it does not compete with the code that is running."""

MIN_FREE_BYTES = 1 << 30
"""With less free memory no spare is started."""


class WarmKernels:
    """Hand out kernels of one launch, and keep at most one ready after `refill` has been called. A desk's sessions can share it.

    `guard` watches each kernel from its start.
    """

    def __init__(
        self, launch: Launch, *, guard: Guard | None = None, refill_delay_seconds: float = REFILL_DELAY_SECONDS
    ) -> None:
        self.launch = launch
        self._guard = guard
        self._delay = refill_delay_seconds
        self._refilling: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[KernelClient] | None = None
        self._closed = False

    async def take(self) -> KernelClient:
        """Return a kernel without variables: the spare, the one being prepared, or a new one.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        if self._closed:
            raise SessionUnavailableError("The desk is being closed")
        preparing, self._preparing = self._preparing, None
        if preparing is not None:
            with contextlib.suppress(SessionUnavailableError):
                kernel = await self._prepared(preparing)
                if kernel.alive:
                    return kernel
                await kernel.aclose()
        return await KernelClient.start(self.launch, guard=self._guard)

    def refill(self) -> None:
        """Schedule the start of a spare."""
        if self._preparing is None and self._refilling is None and not self._closed:
            self._refilling = asyncio.create_task(self._refill(), name="spare-kernel")

    async def ready(self) -> bool:
        """Return whether there is a spare, after waiting for one that is starting."""
        if self._refilling is not None:
            await asyncio.wait([self._refilling])
        if self._preparing is not None:
            await asyncio.wait([self._preparing])
        return self._preparing is not None and self._preparing.exception() is None

    async def aclose(self) -> None:
        """End the spare and start no other. Harmless when repeated."""
        self._closed = True
        for task in (self._refilling, self._preparing):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        preparing, self._preparing = self._preparing, None
        if preparing is not None and not preparing.cancelled() and preparing.exception() is None:
            await preparing.result().aclose()

    async def _refill(self) -> None:
        try:
            await asyncio.sleep(self._delay)
        finally:
            self._refilling = None
        if self._preparing is None and psutil.virtual_memory().available > MIN_FREE_BYTES:
            self._preparing = asyncio.create_task(
                KernelClient.start(self.launch, PRELOADED, self._guard), name="spare-kernel-start"
            )
            self._preparing.add_done_callback(_log_failure)

    async def _prepared(self, preparing: asyncio.Task[KernelClient]) -> KernelClient:
        try:
            return await asyncio.shield(preparing)
        except asyncio.CancelledError:
            # The caller was cancelled: the kernel is a spare again.
            if self._preparing is None and not self._closed:
                self._preparing = preparing
            raise


def _log_failure(preparing: asyncio.Task[KernelClient]) -> None:
    if not preparing.cancelled() and (error := preparing.exception()) is not None:
        logger.warning("A spare Python session could not be started: %s", error)
