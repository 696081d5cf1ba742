"""What happens at a desk: written to its journal, then told to who listens, in the order of the numbers and each event once."""

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
"""How long after a write failed it is tried again, when nothing happens in between."""


class EventLog:
    """The journal's only writer."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self._listeners: dict[object, Listener] = {}
        self._again: asyncio.TimerHandle | None = None

    def record(
        self, kind: EventKind, run_id: str | None, asker: Requester | None, session: str | None, **content: Any
    ) -> None:
        """Write an event and tell it; while the disk takes nothing, it is kept and told once it is written."""
        self._tell(self.journal.append(kind, run_id, **attribution(asker), session=session, **content))

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Have every event told to `listener` after it was written; gives what ends that."""
        key = object()
        self._listeners[key] = listener
        return lambda: self._listeners.pop(key, None) and None

    def require_writable(self) -> None:
        """Refuse work whose events could not be written.

        Raises:
            ResourceLimitError: that says why, and how many events wait.
        """
        self._tell(self.journal.flush())
        if self.journal.problem is not None:
            raise ResourceLimitError(
                f"The journal in {self.journal.folder} cannot be written ({self.journal.problem}); "
                f"{self.journal.unwritten} events wait for it",
                "Make room on its disk; runs are accepted again as soon as it can be written.",
            )

    def close(self) -> None:
        """Write what is left, tell it, and close. Harmless when repeated."""
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
