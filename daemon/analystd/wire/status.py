"""The handshake, errors, and the daemon's reports of its own state; each shape is declared once."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from analystd.wire.events import RunSummary
from analystd.wire.names import Subscription
from analystd.wire.results import SessionState
from analystd.wire.structured import Absent

SandboxLevel = Literal["full", "partial", "none"]


class Hello(TypedDict):
    """The parameters of `analystd/hello`: the daemon's token, and the identity of the client. A client keeps its `id` across connections.

    `program` and `prefix` are the client's interpreter and its installation folder, which are hidden from code in the jail.
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
    """The daemon's answer to `analystd/hello`."""

    pid: int
    version: str
    protocol: int


class Options(TypedDict):
    """`initializationOptions`; other keys are ignored."""

    workspace: NotRequired[str | None]
    desk: NotRequired[bool | None]
    settings: NotRequired[dict[str, str | float | bool] | None]
    events: NotRequired[Any]
    events_after: NotRequired[Any]


class SandboxBrief(TypedDict):
    """How strong the sandbox is, and why."""

    level: SandboxLevel
    reason: str


class EngineBrief(TypedDict):
    """The model that answers."""

    kind: str
    model: str


class About(TypedDict):
    """The member `capabilities.experimental.analystd` of the `initialize` result; without a desk, only the members that do not concern one."""

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
    """The `data` of an error: its kind for programs, the run that it belongs to, what to do. LSP requires `retry` for `initialize`."""

    kind: str
    run_id: str | None
    hint: str | None
    retry: NotRequired[bool]


class KeptSession(TypedDict):
    """A session that holds variables; their number is None while the session runs code."""

    workspace: str
    session: str
    variables: int | None


class ShutdownResult(TypedDict):
    """The result of `analystd.shutdown`: the runs that are awaited or cancelled, and the variables that will be lost."""

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
    """The sandbox, with its known gaps."""

    gaps: list[str]


class EngineState(EngineBrief):
    """The model as `analystd.status` reports it; unknown members are null."""

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
    """The disk and memory in use, or why they cannot be measured."""

    workspace_size_gb: NotRequired[float]
    workspace_limit_gb: NotRequired[float]
    ram_used_percent: NotRequired[float]
    ram_free_percent: NotRequired[float]
    error: NotRequired[str]


class DeskState(TypedDict):
    """A desk as `analystd.status` reports it; `quarantined` is the number of quarantine entries since it was opened."""

    workspace: str
    problem: str | None
    """Why the workspace cannot be used at present, for example because its folder was removed."""
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
