"""An object to await for a resource, or to enter as a block that closes the resource at its end."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar


class Ending(Protocol):
    """An async context manager that returns itself."""

    async def __aenter__(self) -> Self:
        """Return itself."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """End it."""
        ...


E = TypeVar("E", bound=Ending)


class AwaitableContext(Coroutine[Any, Any, E], Generic[E]):
    """A coroutine that is also a context manager: `thing = await opening`, or `async with opening as thing:`."""

    def __init__(self, work: Coroutine[Any, Any, E]) -> None:
        self._work = work
        self._thing: E | None = None

    def __await__(self) -> Generator[Any, Any, E]:
        return self._work.__await__()

    async def __aenter__(self) -> E:
        self._thing = await self._work
        return await self._thing.__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        assert self._thing is not None
        await self._thing.__aexit__(*exc)

    def send(self, value: Any) -> Any:
        """Send a value into the coroutine."""
        return self._work.send(value)

    def throw(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> Any:
        """Raise an exception in the coroutine."""
        return self._work.throw(typ) if val is None and tb is None else self._work.throw(typ, val, tb)

    def close(self) -> None:
        """Close the coroutine."""
        self._work.close()
