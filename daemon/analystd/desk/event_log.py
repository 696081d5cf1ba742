"""Write a desk's events to its journal, then send each one to the listeners once, in the order of their numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from analystd.desk.journal import Journal
from analystd.desk.requester import Requester, attribution
from analystd.desk.segments import JournalEntry
from analystd.wire.errors import ResourceLimitError
from analystd.wire.names import EventKind

Listener = Callable[[JournalEntry], None]

AGAIN_SECONDS = 1.0
"""Seconds after which a failed write is repeated, if no other event triggers it earlier."""


class EventLog:
    """The journal's only writer."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._listeners: dict[object, Listener] = {}
        self._again: asyncio.TimerHandle | None = None

    def record(
        self, kind: EventKind, run_id: str | None, asker: Requester | None, session: str | None, **content: Any
    ) -> None:
        """Write an event and send it to the listeners; while the disk cannot be written, keep it and send it once it is written."""
        self._tell(self.journal.append(kind, run_id, **attribution(asker), session=session, **content))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event after it was written; return a function that ends this."""
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def require_writable(self) -> None:
        """Refuse work whose events could not be written.

        Raises:
            ResourceLimitError: with the reason and the number of waiting events.
        """
        self._tell(self.journal.flush())
        if self.journal.problem is not None:
            raise ResourceLimitError(
                f"The journal in {self.journal.folder} cannot be written ({self.journal.problem}); "
                f"{self.journal.unwritten} events wait for it",
                "Make room on its disk; runs are accepted again as soon as it can be written.",
            )

    def close(self) -> None:
        """Write the waiting events, send them, and close the journal. Harmless when repeated."""
        self._tell(self.journal.flush())
        if self._again is not None:
            self._again.cancel()
        self.journal.close()

    def _tell(self, entries: Iterable[JournalEntry]) -> None:
        for entry in entries:
            for listener in list(self._listeners.values()):
                listener(entry)
        if self.journal.unwritten and self._again is None:
            self._again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._tell(self.journal.flush())
