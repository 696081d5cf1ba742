"""The Python sessions of a desk, each a namespace with a queue of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from analystd.desk.fair_queue import FairQueue
from analystd.kernel.base import Output, Session, SessionInfo, SessionSupply, Trouble
from analystd.wire.errors import InvalidArgumentsError, OverloadedError

MAX_SESSIONS = 16
_MAX_NAME = 64


@dataclass
class SessionSlot:
    """A session and the queue for its use."""

    session: Session
    turnstile: FairQueue = field(init=False)

    def __post_init__(self) -> None:
        self.turnstile = FairQueue(f"The session '{self.session.info().name}'")


class Sessions:
    """Sessions by name, created when they are first named."""

    def __init__(
        self,
        supply: SessionSupply,
        on_background_output: Callable[[str, Output], None],
        on_trouble: Callable[[str, Trouble], None],
    ) -> None:
        self._supply = supply
        self._on_background_output = on_background_output
        self._on_trouble = on_trouble
        self._seats: dict[str, SessionSlot] = {}

    def seat(self, name: str) -> SessionSlot:
        """Return the session of that name, created if there is none yet.

        Raises:
            InvalidArgumentsError: if the name is invalid.
            OverloadedError: if there are `MAX_SESSIONS` already.
        """
        if name not in self._seats:
            if not name.isprintable() or not 0 < len(name) <= _MAX_NAME:
                raise InvalidArgumentsError(f"Invalid arguments: {name[:80]!r} is no name for a session")
            if len(self._seats) >= MAX_SESSIONS:
                raise OverloadedError(
                    f"There are {MAX_SESSIONS} sessions already: {', '.join(self._seats)}", "Use one of them."
                )
            session = self._supply.session(
                name, partial(self._on_background_output, name), partial(self._on_trouble, name)
            )
            self._seats[name] = SessionSlot(session)
        return self._seats[name]

    def infos(self) -> list[SessionInfo]:
        """Return a snapshot of all sessions."""
        return [seat.session.info() for seat in self._seats.values()]

    @property
    def hold_variables(self) -> bool:
        """Whether any live session has run code, so that it may hold variables."""
        return any(info.execution_count > 0 and info.pid is not None for info in self.infos())

    async def variable_counts(self) -> list[tuple[SessionInfo, int | None]]:
        """Return each live session with its number of variables; None if it cannot say, for example while it is busy."""
        seats = [seat for seat in self._seats.values() if seat.session.info().pid is not None]
        counts = await asyncio.gather(*(seat.session.variable_count() for seat in seats))
        return [(seat.session.info(), count) for seat, count in zip(seats, counts, strict=True)]

    async def aclose(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(seat.session.aclose() for seat in self._seats.values()))
        await self._supply.aclose()
