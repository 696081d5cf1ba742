"""Events, and what a desk reports of its runs; each shape is declared once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, NotRequired, TypedDict

from analystd.wire.names import EventKind, Subscription
from analystd.wire.results import AgentResult, Failure, PythonResult, QuarantineEntry, SessionState, WriteResult
from analystd.wire.structured import Absent


class Attribution(TypedDict):
    """The requester: a name for people, and an id that stays the same when the client reconnects."""

    client: str | None
    client_id: str | None


class Event(TypedDict):
    """One line of the journal. `EVENT_KEYS` lists the further keys of each `kind`."""

    seq: int
    run_id: str | None
    kind: str
    at: float
    client: str | None
    client_id: str | None
    session: str | None
    run_kind: NotRequired[Annotated[Literal["agent", "python", "write"], Absent("")]]
    title: NotRequired[Annotated[str, Absent("")]]
    conversation: NotRequired[str | None]
    position: NotRequired[int]
    reason: NotRequired[Literal["conversation", "model", "session"] | None]
    prompt: NotRequired[Annotated[str, Absent("")]]
    forget_runs: NotRequired[list[str]]
    code: NotRequired[Annotated[str, Absent("")]]
    uri: NotRequired[str | None]
    line: NotRequired[int | None]
    path: NotRequired[Annotated[str, Absent("")]]
    sandbox: NotRequired[Annotated[Literal["full", "partial", "none"], Absent("")]]
    files: NotRequired[list[str]]
    text: NotRequired[Annotated[str, Absent("")]]
    stream: NotRequired[Annotated[Literal["stdout", "stderr"], Absent("")]]
    data: NotRequired[dict[str, Any]]
    step: NotRequired[int]
    tool: NotRequired[Annotated[str, Absent("")]]
    arguments: NotRequired[dict[str, Any]]
    reply: NotRequired[Annotated[str, Absent("")]]
    ok: NotRequired[bool]
    seconds: NotRequired[float]
    displays: NotRequired[Annotated[int, Absent(0)]]
    valid: NotRequired[Annotated[bool, Absent(True)]]
    hint: NotRequired[str]
    worker: NotRequired[Annotated[str, Absent("")]]
    status: NotRequired[Annotated[str, Absent("")]]
    result: NotRequired[AgentResult | PythonResult | WriteResult]
    error: NotRequired[Failure]
    cancelled_by: NotRequired[Attribution]
    entry: NotRequired[QuarantineEntry]
    truncated: NotRequired[Annotated[bool, Absent(False)]]
    """Whether the event was too large to send, and its large parts were cut."""
    original_bytes: NotRequired[int | None]


CUT_KEYS = ("truncated", "original_bytes")
"""The keys of an event of any kind that was too large and whose large parts were cut."""


class EventKeys(NamedTuple):
    """The keys of an event kind beyond those that all events have: required ones and optional ones."""

    always: tuple[str, ...] = ()
    sometimes: tuple[str, ...] = ()


EVENT_KEYS: dict[EventKind, EventKeys] = {
    EventKind.RUN_QUEUED: EventKeys(
        ("run_kind", "title", "conversation", "position", "reason"),
        ("prompt", "forget_runs", "code", "uri", "line", "path"),
    ),
    EventKind.RUN_WAITING: EventKeys(("position", "reason")),
    EventKind.RUN_STARTED: EventKeys(("sandbox",), ("files",)),
    EventKind.TEXT: EventKeys(("text",)),
    EventKind.TOOL_CALL: EventKeys(("step", "tool", "arguments", "reply")),
    EventKind.OUTPUT: EventKeys(("stream", "text"), ("step",)),
    EventKind.DISPLAY: EventKeys(("data",), ("step",)),
    EventKind.TOOL_RESULT: EventKeys(("step", "tool", "ok", "text", "seconds"), ("displays", "valid", "hint")),
    EventKind.RUN_FINISHED: EventKeys(("status",), ("result", "error", "cancelled_by")),
    EventKind.SESSION_RESET: EventKeys(),
    EventKind.WORKER_DIED: EventKeys(("worker", "text")),
    EventKind.LIMIT: EventKeys(("text",), ("worker",)),
    EventKind.QUARANTINED: EventKeys(("text", "entry")),
}


class RunSummary(TypedDict):
    """A run in the list of `analystd.listRuns`, and the result of `analystd.startAgent` and `analystd.startPython`."""

    run_id: str
    kind: str
    title: str
    status: str
    client: str | None
    client_id: str | None
    session: str | None
    conversation: str | None
    started_at: float
    seconds: float | None


class RunList(TypedDict):
    """The result of `analystd.listRuns`, newest first."""

    runs: list[RunSummary]


class RunStory(TypedDict):
    """The result of `analystd.getRun`: consecutive events of the run, and whether more follow."""

    run: RunSummary
    events: list[Event]
    more: bool


class Snapshot(TypedDict):
    """The state of a desk after event `seq`: its latest runs, newest first, and its sessions; events from `first_seq` on can be read."""

    seq: int
    first_seq: int
    runs: list[RunSummary]
    sessions: list[SessionState]


class EventPage(TypedDict):
    """The result of `analystd.events`; while there are `more`, ask again after the last event's number."""

    events: list[Event]
    seq: int
    more: bool
    snapshot: NotRequired[Snapshot]


class SubscribeResult(TypedDict):
    """The result of `analystd.subscribe`: what the client receives of the events with numbers above `seq`."""

    events: Subscription
    seq: int
