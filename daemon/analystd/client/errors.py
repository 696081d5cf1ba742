"""Errors that only a client raises; all others are those of `analystd.errors`, as the daemon reports them."""

from __future__ import annotations

from analystd.client.events import Snapshot
from analystd.wire.errors import AnalystdError


class RequestCancelledError(AnalystdError):
    """The request was cancelled before it had a result."""

    kind = "cancelled"
    code = -32800


class RequestTimeoutError(AnalystdError, TimeoutError):
    """There was no answer within the `timeout` of the call."""

    kind = "timeout"


class EventsGoneError(AnalystdError):
    """Some of the requested events are no longer kept; the iterator continues with those after `snapshot.seq`."""

    kind = "events_gone"

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(
            f"Some of the events before number {snapshot.seq} are not kept any more",
            "`snapshot` has the latest runs; go on with the same iterator to hear what comes after it.",
        )
        self.snapshot = snapshot
        """The latest runs and the sessions, as of event `snapshot.seq`."""
