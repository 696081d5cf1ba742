"""Every name that goes over the wire: commands, events, statuses, and the shapes of results.

Tests and clients written elsewhere rely on them; `docs/protocol.md` tells the same in prose. Changing one is a new `PROTOCOL_VERSION`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

PROTOCOL_VERSION = 1

HELLO_METHOD = "analystd/hello"
"""Request that opens every connection to the daemon's socket, before LSP's own `initialize`."""

EVENT_METHOD = "analystd/event"
"""Notification, daemon to client: one `Event`."""

SNAPSHOT_METHOD = "analystd/snapshot"
"""Notification, daemon to client: a `Snapshot`, in place of events that were too many or are not kept any more."""


class Command(StrEnum):
    """The commands of `workspace/executeCommand`; each takes one object."""

    RUN_AGENT = "analystd.runAgent"
    START_AGENT = "analystd.startAgent"
    EXEC_PYTHON = "analystd.execPython"
    START_PYTHON = "analystd.startPython"
    VIEW_DATA = "analystd.viewData"
    LIST_FILES = "analystd.listFiles"
    READ_FILE = "analystd.readFile"
    WRITE_FILE = "analystd.writeFile"
    RESET_SESSION = "analystd.resetSession"
    INTERRUPT = "analystd.interrupt"
    VARIABLES = "analystd.variables"
    CANCEL_RUN = "analystd.cancelRun"
    LIST_RUNS = "analystd.listRuns"
    GET_RUN = "analystd.getRun"
    EVENTS = "analystd.events"
    SUBSCRIBE = "analystd.subscribe"
    LIST_QUARANTINE = "analystd.listQuarantine"
    RESTORE_QUARANTINE = "analystd.restoreQuarantine"
    DISCARD_QUARANTINE = "analystd.discardQuarantine"
    STATUS = "analystd.status"
    SHUTDOWN = "analystd.shutdown"


class EventKind(StrEnum):
    """What an `analystd/event` tells of."""

    RUN_QUEUED = "run_queued"
    RUN_WAITING = "run_waiting"
    RUN_STARTED = "run_started"
    TEXT = "text"
    TOOL_CALL = "tool_call"
    OUTPUT = "output"
    DISPLAY = "display"
    TOOL_RESULT = "tool_result"
    RUN_FINISHED = "run_finished"
    SESSION_RESET = "session_reset"
    WORKER_DIED = "worker_died"
    LIMIT = "limit"
    QUARANTINED = "quarantined"


AgentStatus = Literal["done", "cancelled", "failed", "limit"]
Subscription = Literal["all", "mine", "none"]
Priority = Literal["interactive", "batch"]
PythonStatus = Literal["ok", "error", "interrupted", "died", "limit"]
ViewOperation = Literal["columns", "head", "tail", "shape", "schema", "rows", "describe", "profile"]


class Attribution(TypedDict):
    """Who it was: the name for people, and the id that stays the same when the client connects again."""

    client: str | None
    client_id: str | None


class Usage(TypedDict):
    """What a run cost; `cached_tokens` are prompt tokens that were in the model's KV cache already."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float


class Failure(TypedDict):
    """Why a run failed."""

    kind: str
    message: str
    hint: str | None


class Step(TypedDict):
    """One tool call of a run, with what came of it.

    `displays` is how many plots, tables and other displays it showed, if any; `valid` is False for a call that did not fit its tool's schema;
    `hint` is what the model was told beside the output, to help it with an error.
    """

    tool: str
    arguments: dict[str, Any]
    ok: bool
    output: str
    seconds: float
    displays: NotRequired[int]
    valid: NotRequired[bool]
    hint: NotRequired[str]


class UnsupportedNumber(TypedDict):
    """A number in an answer that no output of its conversation supports.

    `start` and `end` count characters of the answer, and these are Unicode code points, not units of UTF-16.
    """

    text: str
    start: int
    end: int


class AgentResult(TypedDict):
    """The result of `analystd.runAgent`."""

    run_id: str
    conversation: str
    status: AgentStatus
    answer: str
    steps: list[Step]
    usage: Usage
    unsupported: NotRequired[list[UnsupportedNumber]]
    warnings: NotRequired[list[str]]
    error: NotRequired[Failure]


class PythonError(TypedDict):
    """A Python exception: `line` is the 1-based line of the caller's own code, or None."""

    name: str
    message: str
    traceback: list[str]
    line: int | None


class PythonResult(TypedDict):
    """The result of `analystd.execPython`; `displays` holds one MIME bundle per display."""

    run_id: str
    status: PythonStatus
    execution_count: int | None
    stdout: str
    stderr: str
    result: str | None
    displays: list[dict[str, Any]]
    error: PythonError | None
    truncated: bool
    seconds: float


class WriteResult(TypedDict):
    """The result of `analystd.writeFile`; of one that was cancelled, nothing is known of the file."""

    run_id: str
    status: Literal["done", "cancelled"]
    text: str
    path: NotRequired[str]
    size: NotRequired[int]
    created: NotRequired[bool]


class ColumnInfo(TypedDict):
    """A column's name and the type that was read or inferred."""

    name: str
    type: str
    address: NotRequired[str]
    """What it is asked for by in `columns`, `filter` and `sort`, where that is not its name: others have that too, or it has none."""


class ValueCount(TypedDict):
    """A value and how often it occurs."""

    value: Any
    count: int


class HistogramBins(TypedDict):
    """Bins of one width: bin i counts the values from edge i up to edge i + 1."""

    edges: list[float]
    counts: list[int]


class ColumnProfile(TypedDict):
    """What a column holds; what its type does not have is None.

    `count` are the values that are there, `strange` those of them that do not fit the type and are left out of what follows.
    `distinct` is an estimate unless `distinct_exact`; the counts in `top` are lower bounds unless `top_exact`.
    `min` and `max` are the cells themselves, `mean` and `std` (of a sample) doubles.
    """

    column: str
    type: str
    count: int
    missing: int
    strange: int
    distinct: int | None
    distinct_exact: bool
    min: Any
    max: Any
    mean: float | str | None
    std: float | str | None
    histogram: HistogramBins | None
    top: list[ValueCount] | None
    top_exact: bool


class ViewResult(TypedDict):
    """The result of `analystd.viewData`; what an operation does not need is None."""

    operation: str
    text: str
    columns: list[ColumnInfo] | None
    rows: list[list[Any]] | None
    num_rows: int | None
    num_columns: int | None
    offset: int | None
    warnings: list[str]
    profiles: NotRequired[list[ColumnProfile] | None]


class QuarantinedItem(TypedDict):
    """Something that was moved aside: where it was, relative to the workspace, its bytes where they are known, and what trusts such a name."""

    path: str
    kind: str
    size: int | None
    trusted_by: str
    reason: str


class QuarantineEntry(TypedDict):
    """What was moved aside at one time, with the runs that were under way; of `count` things the first ones are in `moved`."""

    id: str
    at: float
    runs: list[str]
    moved: list[QuarantinedItem]
    count: int


class Event(TypedDict):
    """One line of the journal. `EVENT_KEYS` says which of the further keys each `kind` has."""

    seq: int
    run_id: str | None
    kind: str
    at: float
    client: str | None
    client_id: str | None
    session: str | None
    run_kind: NotRequired[Literal["agent", "python", "write"]]
    title: NotRequired[str]
    conversation: NotRequired[str | None]
    position: NotRequired[int]
    reason: NotRequired[Literal["conversation", "model", "session"] | None]
    prompt: NotRequired[str]
    forget_runs: NotRequired[list[str]]
    code: NotRequired[str]
    uri: NotRequired[str | None]
    line: NotRequired[int | None]
    path: NotRequired[str]
    sandbox: NotRequired[Literal["full", "partial", "none"]]
    files: NotRequired[list[str]]
    text: NotRequired[str]
    stream: NotRequired[Literal["stdout", "stderr"]]
    data: NotRequired[dict[str, Any]]
    step: NotRequired[int]
    tool: NotRequired[str]
    arguments: NotRequired[dict[str, Any]]
    reply: NotRequired[str]
    ok: NotRequired[bool]
    seconds: NotRequired[float]
    displays: NotRequired[int]
    valid: NotRequired[bool]
    hint: NotRequired[str]
    worker: NotRequired[str]
    status: NotRequired[str]
    result: NotRequired[AgentResult | PythonResult | WriteResult]
    error: NotRequired[Failure]
    cancelled_by: NotRequired[Attribution]
    entry: NotRequired[QuarantineEntry]
    truncated: NotRequired[bool]
    original_bytes: NotRequired[int | None]


CUT_KEYS = ("truncated", "original_bytes")
"""What an event of any kind has that was too large, and in which whatever was large is cut."""


class EventKeys(NamedTuple):
    """Which keys an event of a kind has beside those that all have: those that are always there, and those that may be."""

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
    """One line of `analystd.listRuns`, and the result of `analystd.startAgent` and `analystd.startPython`."""

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


class SessionState(TypedDict):
    """A Python session, and how many requests wait for it; `text` says what was lost by an interrupt, where something was."""

    name: str
    state: Literal["absent", "starting", "idle", "busy", "dead"]
    pid: int | None
    execution_count: int
    memory_bytes: int | None
    waiting: NotRequired[int]
    text: NotRequired[str]


class Snapshot(TypedDict):
    """How a desk stands after event `seq`: its latest runs, newest first, and its sessions; events from `first_seq` on can be read."""

    seq: int
    first_seq: int
    runs: list[RunSummary]
    sessions: list[SessionState]


class EventPage(TypedDict):
    """The result of `analystd.events`: ask again after the last event's number while there are `more`."""

    events: list[Event]
    seq: int
    more: bool
    snapshot: NotRequired[Snapshot]
