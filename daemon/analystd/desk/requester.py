"""Who asks something of a desk."""

from __future__ import annotations

from dataclasses import dataclass

from analystd.wire.events import Attribution


@dataclass(frozen=True)
class Requester:
    """A client as its runs, their events and the queues know it."""

    id: str
    """Stays the same when the client connects again, also to another daemon."""
    name: str
    """What people are shown."""


def attribution(asker: Requester | None) -> Attribution:
    """How an event or a summary says who asked; nobody did of what a desk does by itself."""
    if asker is None:
        return {"client": None, "client_id": None}
    return {"client": asker.name, "client_id": asker.id}
