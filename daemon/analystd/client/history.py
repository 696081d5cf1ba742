"""What a desk's history gives: events, and runs as they are listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analystd.client._records import Record
from analystd.client.displays import Display
from analystd.client.quarantine import QuarantineEntry
from analystd.client.results import Failure
from analystd.wire.protocol import EventKind


@dataclass(frozen=True, eq=False)
class RunSummary(Record):
    """One run in a list: `kind` is `agent`, `python` or `write`; `started_at` is in Unix seconds; `seconds` is None until it ends."""

    run_id: str
    kind: str
    title: str
    status: str
    client: str | None
    session: str | None
    conversation: str | None
    started_at: float
    seconds: float | None
    client_id: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status not in ("queued", "running")


@dataclass(frozen=True, eq=False)
class Event(Record):
    """One event of a desk. `seq` counts per desk, `at` is in Unix seconds; which of the other members there are depends on `kind`."""

    seq: int
    run_id: str | None
    kind: str
    at: float
    client: str | None = None
    client_id: str | None = None
    session: str | None = None
    run_kind: str = ""
    title: str = ""
    prompt: str = ""
    forget_runs: Sequence[str] = ()
    code: str = ""
    path: str = ""
    uri: str | None = None
    line: int | None = None
    conversation: str | None = None
    position: int | None = None
    reason: str | None = None
    sandbox: str = ""
    files: Sequence[str] = ()
    text: str = ""
    entry: QuarantineEntry | None = None
    stream: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reply: str = ""
    ok: bool | None = None
    valid: bool = True
    hint: str | None = None
    seconds: float | None = None
    displays: int = 0
    worker: str = ""
    status: str = ""
    result: Mapping[str, Any] | None = None
    error: Failure | None = None
    cancelled_by: Mapping[str, Any] | None = None
    truncated: bool = False
    """Whether the event was too large to be sent, so that whatever was large in it is cut."""
    original_bytes: int | None = None

    @property
    def display(self) -> Display | None:
        """What a `display` event shows."""
        return Display.of(self.data) if self.kind == EventKind.DISPLAY else None

    @property
    def ends_run(self) -> bool:
        """Whether it is the last of its run."""
        return self.kind == EventKind.RUN_FINISHED


@dataclass(frozen=True, eq=False)
class RunRecord(Record):
    """Everything about one run."""

    run: RunSummary
    events: tuple[Event, ...]


@dataclass(frozen=True, eq=False)
class Snapshot(Record):
    """How a desk stands after event `seq`: its latest runs, newest first, and its sessions. Events from `first_seq` on can be read."""

    seq: int
    first_seq: int
    runs: tuple[RunSummary, ...]
    sessions: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class EventPage(Record):
    """A page of events, the desk's latest number, whether there is `more` after the last event, and a snapshot in place of what is not kept."""

    events: tuple[Event, ...]
    seq: int
    more: bool = False
    snapshot: Snapshot | None = None
