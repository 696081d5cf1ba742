"""The queues that a run passes before it may start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from analystd.desk.fair_queue import FairQueue, QueueRequest, Reservation
from analystd.desk.runs import AnyRun, DeskRun, R, RunBook, RunRequest


class Admission:
    """A place in one queue and then in the next; the run reports its position whenever that changes."""

    def __init__(self, request: RunRequest, turnstile: FairQueue, reason: str) -> None:
        self._request = request
        self._run: AnyRun | None = None
        self._reason = reason
        self.first = self.place = self._take(turnstile, reason)
        """`place` is the current place in a queue."""

    def go_on(self, turnstile: FairQueue, reason: str) -> Reservation:
        """Take a place in the next queue and keep the first.

        Raises:
            OverloadedError: if too many of the client's requests wait there.
        """
        self._reason = reason
        self.place = self._take(turnstile, reason)
        if self._run is not None and self.place.position:
            self._run.tell_waiting(self.place.position, reason)
        return self.place

    def begin(
        self, book: RunBook, work: Callable[[DeskRun[R]], Awaitable[R]], cancelled: Callable[[DeskRun[R]], R]
    ) -> DeskRun[R]:
        """Accept the request; `work` waits for its turn at each place."""
        run = book.begin(self._request, work, cancelled, position=self.place.position, reason=self._reason)
        self._run = run
        return run

    def _take(self, turnstile: FairQueue, reason: str) -> Reservation:
        def moved(position: int) -> None:
            if self._run is not None:
                self._run.tell_waiting(position, reason)

        return turnstile.turn(QueueRequest(self._request.asker.id, self._request.batch, moved))
