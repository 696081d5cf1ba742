"""Queues that decide which client uses a session, a conversation or the model next.

Clients take turns, so that one with many requests does not delay the others; the requests of one client are served in order. Interactive
requests precede batch requests, but each `_BATCH_EVERY`th turn goes to a waiting batch request, so that none waits forever.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from analystd.wire.errors import OverloadedError

MAX_WAITING = 64
"""Maximum number of waiting requests per client."""

_BATCH_EVERY = 4


@dataclass(frozen=True)
class QueueRequest:
    """A request for a turn: its client, and whether it is a batch request. `on_move` is called with each new position in the queue."""

    client: str | None = None
    batch: bool = False
    on_move: Callable[[int], None] = lambda position: None


class Reservation:
    """A place in a queue. Entering the context waits for the turn, leaving it gives the place up."""

    def __init__(self, turnstile: FairQueue, ticket: QueueRequest, number: int) -> None:
        self.ticket = ticket
        self.number = number
        self.position = 0
        """Number of places that must be given up before this one's turn; 0 when the turn has come."""
        self.turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turnstile = turnstile

    async def __aenter__(self) -> Self:
        try:
            await self.turn
        except asyncio.CancelledError:
            self.leave()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the place up, whether waiting or held. Harmless when repeated."""
        self._turnstile.leave(self)


class FairQueue:
    """Admits `places` holders at a time. If there are several places, batch requests leave one of them for interactive ones."""

    def __init__(self, name: str, *, places: int = 1, max_waiting: int = MAX_WAITING) -> None:
        self._name = name
        self._places = places
        self._max_waiting = max_waiting
        self._waiting: list[Reservation] = []
        self._holding: set[Reservation] = set()
        self._numbers = itertools.count(1)
        self._served: dict[str | None, int] = {}
        self._since_batch = 0

    @property
    def waiting(self) -> int:
        """Number of waiting requests."""
        return len(self._waiting)

    def turn(self, ticket: QueueRequest | None = None) -> Reservation:
        """Take a place in the queue now; it must be entered, or the queue stops.

        Raises:
            OverloadedError: if too many of the client's requests wait already.
        """
        ticket = ticket or QueueRequest()
        own = sum(place.ticket.client == ticket.client for place in self._waiting)
        if own >= self._max_waiting:
            raise OverloadedError(
                f"{self._name} has {own} requests waiting from one client, the most that are accepted",
                "Wait for some to finish, or cancel them with `analystd.cancelRun`.",
            )
        place = Reservation(self, ticket, next(self._numbers))
        self._waiting.append(place)
        self._let_through()
        self._tell_positions(newcomer=place)
        return place

    def leave(self, place: Reservation) -> None:
        """Give a place up; see `Reservation.leave`."""
        if place in self._holding:
            self._holding.remove(place)
        elif place in self._waiting:
            self._waiting.remove(place)
        else:
            return
        place.turn.cancel()
        self._let_through()
        self._tell_positions()
        if not self._holding:
            self._served.clear()

    def _let_through(self) -> None:
        while len(self._holding) < self._places:
            batches_full = sum(place.ticket.batch for place in self._holding) >= max(1, self._places - 1)
            able = [place for place in self._waiting if not (place.ticket.batch and batches_full)]
            if not able:
                return
            chosen = next(self._in_order(able))
            self._waiting.remove(chosen)
            self._holding.add(chosen)
            self._since_batch = _after(self._since_batch, chosen, self._waiting)
            self._served[chosen.ticket.client] = next(self._numbers)
            chosen.position = 0
            # A request that was cancelled just now passes the turn on as soon as its task runs.
            if not chosen.turn.done():
                chosen.turn.set_result(None)

    def _tell_positions(self, newcomer: Reservation | None = None) -> None:
        for position, place in enumerate(self._in_order(self._waiting), 1):
            if place.position != position:
                place.position = position
                # A new request learns its position from the reservation itself.
                if place is not newcomer:
                    place.ticket.on_move(position)

    def _in_order(self, places: Iterable[Reservation]) -> Iterator[Reservation]:
        """Yield the places in the order in which their turns come if no further request arrives."""
        rest, served, since_batch = list(places), dict(self._served), self._since_batch
        numbers = itertools.count(max(served.values(), default=0) + 1)
        while rest:
            is_batchs_turn = since_batch >= _BATCH_EVERY - 1
            chosen = min(
                rest,
                key=lambda place: (
                    place.ticket.batch != is_batchs_turn,
                    served.get(place.ticket.client, 0),
                    place.number,
                ),
            )
            rest.remove(chosen)
            served[chosen.ticket.client] = next(numbers)
            since_batch = _after(since_batch, chosen, rest)
            yield chosen


def _after(since_batch: int, chosen: Reservation, rest: Iterable[Reservation]) -> int:
    """Return the number of interactive turns for which batch requests have waited, once `chosen` has its turn."""
    if chosen.ticket.batch:
        return 0
    return since_batch + any(place.ticket.batch for place in rest)
