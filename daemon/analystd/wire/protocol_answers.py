"""More shapes that go over the wire, beside `protocol.py`: the handshake, errors, sessions, files, and what `status` tells."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from analystd.wire.protocol import Event, QuarantineEntry, RunSummary, SessionState, Subscription

FileType = Literal["file", "folder", "link", "special"]
SandboxLevel = Literal["full", "partial", "none"]


class Hello(TypedDict):
    """The parameters of `analystd/hello`: the card's token, and who connects. `id` is what a client keeps over its connections.

    `program` and `prefix` are the client's interpreter and where that is installed, which are kept from code in the jail.
    """

    token: str
    client: NotRequired[str]
    id: NotRequired[str | None]
    pid: NotRequired[int]
    version: NotRequired[str]
    environment: NotRequired[dict[str, str]]
    program: NotRequired[str]
    prefix: NotRequired[str]


class HelloResult(TypedDict):
    """The daemon that answers a hello."""

    pid: int
    version: str
    protocol: int


class Options(TypedDict):
    """`initializationOptions`; other keys are passed over."""

    workspace: NotRequired[str | None]
    desk: NotRequired[bool | None]
    settings: NotRequired[dict[str, str | float | bool] | None]
    events: NotRequired[Any]
    events_after: NotRequired[Any]


class SandboxBrief(TypedDict):
    """How strong the walls are, and why so."""

    level: SandboxLevel
    reason: str


class EngineBrief(TypedDict):
    """Which model answers."""

    kind: str
    model: str


class About(TypedDict):
    """What `initialize` answers as `capabilities.experimental.analystd`; a connection without a desk has only what is not about one."""

    protocol: int
    client: str
    client_id: str
    sandbox: SandboxBrief
    notices: list[str]
    desk: NotRequired[str]
    workspace: NotRequired[str]
    engine: NotRequired[EngineBrief]
    events: NotRequired[Subscription | None]
    seq: NotRequired[int]


class ErrorData(TypedDict):
    """The `data` of an error: what it is for programs, the run that it belongs to, what to do. LSP wants `retry` of `initialize`."""

    kind: str
    run_id: str | None
    hint: str | None
    retry: NotRequired[bool]


class VariableInfo(TypedDict):
    """A variable of a session."""

    name: str
    type: str
    shape: str | None
    memory_bytes: int | None
    preview: str


class SessionVariables(SessionState):
    """The result of `analystd.variables`."""

    variables: list[VariableInfo]


class FileEntry(TypedDict):
    """A file or folder in a listing: its bytes (null of what is no file), and when it was changed, in UTC as ISO 8601."""

    name: str
    type: FileType
    size: int | None
    modified: str


class FileListing(TypedDict):
    """The result of `analystd.listFiles`."""

    text: str
    path: str
    entries: list[FileEntry]
    truncated: bool


class FileText(TypedDict):
    """The result of `analystd.readFile`: lines, or bytes, for which `offset` and `lines` are null."""

    text: str
    path: str
    offset: int | None
    lines: int | None
    byte_offset: int
    bytes: int
    size: int
    truncated: bool
    encoding: str


class QuarantineList(TypedDict):
    """The result of `analystd.listQuarantine`: the latest entries first, and how many there are in all."""

    entries: list[QuarantineEntry]
    count: int


class RestoredFile(TypedDict):
    """A file that would be put back."""

    path: str
    size: int


class RestoreResult(TypedDict):
    """The result of `analystd.restoreQuarantine` and `analystd.discardQuarantine`.

    A preview has the files (at most 200), why it could not be put back, and the digest of all of it.
    """

    status: Literal["preview", "restored", "discarded"]
    entry: QuarantineEntry
    files: list[RestoredFile]
    digest: str | None
    problems: list[str]


class CancelResult(TypedDict):
    """The result of `analystd.cancelRun`: `cancelling`, or the status of a run that has ended."""

    status: str


class RunList(TypedDict):
    """The result of `analystd.listRuns`, newest first."""

    runs: list[RunSummary]


class RunStory(TypedDict):
    """The result of `analystd.getRun`: the events in a row, and whether there are more after the last of them."""

    run: RunSummary
    events: list[Event]
    more: bool


class SubscribeResult(TypedDict):
    """The result of `analystd.subscribe`: what is told of the events with numbers above `seq`."""

    events: Subscription
    seq: int


class KeptSession(TypedDict):
    """A session that holds variables; how many is None while it runs code that is not its first."""

    workspace: str
    session: str
    variables: int | None


class ShutdownResult(TypedDict):
    """The result of `analystd.shutdown`: the runs that are waited for, or cut off, and the variables that end with the daemon."""

    pid: int
    runs: list[str]
    sessions: list[KeptSession]


class ClientInfo(TypedDict):
    """A connection to the daemon."""

    name: str
    id: str
    workspace: str | None
    events: Subscription | None
    waiting_bytes: int


class SandboxInfo(SandboxBrief):
    """The walls, with what they leave open."""

    gaps: list[str]


class EngineState(EngineBrief):
    """The model as `status` tells of it; what is not known is null."""

    loaded: bool
    context_tokens: int | None
    conversations: int | None
    pid: int | None
    note: str | None
    warning: str | None
    goes: str | None
    on_gpu: bool | None
    load_seconds: float | None
    tokens_per_second: float | None
    context_used: int | None
    parameters: int | None


class Resources(TypedDict):
    """How full workspace and memory are, or why that cannot be told."""

    workspace_size_gb: NotRequired[float]
    workspace_limit_gb: NotRequired[float]
    ram_used_percent: NotRequired[float]
    ram_free_percent: NotRequired[float]
    error: NotRequired[str]


class DeskState(TypedDict):
    """A desk as `status` tells of it; `quarantined` is how many entries have come into quarantine since it was opened."""

    workspace: str
    problem: str | None
    """Why nobody can work in the workspace now, as where its folder was removed."""
    hint: str | None
    seq: int
    journal: str
    journal_problem: str | None
    unwritten_events: int
    runs: list[RunSummary]
    sessions: list[SessionState]
    resources: Resources
    quarantined: NotRequired[int]


class DaemonStatus(TypedDict):
    """The result of `analystd.status`."""

    protocol: int
    version: str
    pid: int
    uptime_seconds: float
    clients: list[ClientInfo]
    engine: EngineState | None
    sandbox: SandboxInfo
    memory_bytes: int
    settings_file: str
    log: str
    problems: list[str]
    desks: list[DeskState]
