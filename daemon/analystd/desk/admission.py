"""The way of a run through the queues before it may start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from analystd.desk.fair_queue import FairQueue, QueueRequest, Reservation
from analystd.desk.runs import AnyRun, DeskRun, R, RunBook, RunRequest


class Admission:
    """A place in a queue for a request, then in another; the run tells where it stands whenever that changes."""

    def __init__(self, request: RunRequest, turnstile: FairQueue, reason: str) -> None:
        self._request = request
        self._run: AnyRun | None = None
        self._reason = reason
        self.first = self.place = self._take(turnstile, reason)
        """`place` is where it waits now."""

    def go_on(self, turnstile: FairQueue, reason: str) -> Reservation:
        """Take a place in the next queue; the first is kept.

        Raises:
            OverloadedError: when too many of the client's requests wait there.
        """
        self._reason = reason
        self.place = self._take(turnstile, reason)
        if self._run is not None and self.place.position:
            self._run.tell_waiting(self.place.position, reason)
        return self.place

    def begin(
        self, book: RunBook, work: Callable[[DeskRun[R]], Awaitable[R]], cancelled: Callable[[DeskRun[R]], R]
    ) -> DeskRun[R]:
        """Accept the request; `work` enters the places."""
        run = book.begin(self._request, work, cancelled, position=self.place.position, reason=self._reason)
        self._run = run
        return run

    def _take(self, turnstile: FairQueue, reason: str) -> Reservation:
        def moved(position: int) -> None:
            if self._run is not None:
                self._run.tell_waiting(position, reason)

        return turnstile.turn(QueueRequest(self._request.asker.id, self._request.batch, moved))
