"""Time limits for awaited work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from analystd.client.errors import RequestTimeoutError

T = TypeVar("T")


async def within(seconds: float | None, what: str, work: Coroutine[Any, Any, T], hint: str) -> T:
    """Return the result of `work`, which is cancelled after `seconds`; None means no limit.

    Raises:
        RequestTimeoutError: when it took longer.
    """
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise RequestTimeoutError(f"{what} did not come within {seconds:g} s", hint) from None
