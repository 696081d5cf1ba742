"""The handshake, errors, and what the daemon reports of itself, each shape declared once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from analystd.wire.events import RunSummary
from analystd.wire.names import Subscription
from analystd.wire.results import SessionState
from analystd.wire.structured import Absent

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
    desk: NotRequired[Annotated[str, Absent("")]]
    workspace: NotRequired[Annotated[str, Absent("")]]
    engine: NotRequired[EngineBrief]
    events: NotRequired[Subscription | None]
    seq: NotRequired[Annotated[int, Absent(0)]]


class ErrorData(TypedDict):
    """The `data` of an error: what it is for programs, the run that it belongs to, what to do. LSP wants `retry` of `initialize`."""

    kind: str
    run_id: str | None
    hint: str | None
    retry: NotRequired[bool]


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
    quarantined: NotRequired[Annotated[int, Absent(0)]]


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
