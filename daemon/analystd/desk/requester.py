"""The client that asks a desk for something."""

from __future__ import annotations

from dataclasses import dataclass

from analystd.wire.events import Attribution


@dataclass(frozen=True)
class Requester:
    """A client as its runs, their events and the queues identify it."""

    id: str
    """The client's id, which stays the same when the client reconnects, also to another daemon."""
    name: str
    """The name shown to people."""


def attribution(asker: Requester | None) -> Attribution:
    """Return the requester in the form that events and summaries have; without one, the desk acted on its own."""
    if asker is None:
        return {"client": None, "client_id": None}
    return {"client": asker.name, "client_id": asker.id}
