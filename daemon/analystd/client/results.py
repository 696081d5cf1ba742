"""What the commands give, but for views and displays. Each is a `Record`: attributes are typed, and the wire's own object is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analystd.client.displays import Display
from analystd.client.records import Record
from analystd.protocol import AgentStatus, EventKind, PythonStatus


@dataclass(frozen=True, eq=False)
class Failure(Record):
    """Why a run failed: `kind` for programs, `message` and `hint` for people."""

    kind: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, eq=False)
class Usage(Record):
    """What a run cost. `cached_tokens` are prompt tokens that the model still knew; `seconds` is wall-clock time."""

    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True, eq=False)
class Step(Record):
    """One tool call of a run. `displays` counts what it showed; `valid` is False for a call that fitted no tool and was not run."""

    tool: str
    arguments: Mapping[str, Any]
    ok: bool
    output: str
    seconds: float
    displays: int = 0
    valid: bool = True


@dataclass(frozen=True, eq=False)
class AgentResult(Record):
    """What came of a question. `conversation` continues it; `status` is `done`, `cancelled`, `failed` or `limit`; printed, it is the answer."""

    run_id: str
    conversation: str
    status: AgentStatus
    answer: str
    steps: tuple[Step, ...]
    usage: Usage
    error: Failure | None = None

    def __str__(self) -> str:
        return self.answer


@dataclass(frozen=True, eq=False)
class PythonError(Record):
    """A Python exception: `line` is the 1-based line of the caller's own code, or None."""

    name: str
    message: str
    traceback: Sequence[str]
    line: int | None = None


@dataclass(frozen=True, eq=False)
class PythonResult(Record):
    """What came of code. `result` is the text of its last value; `status` is `ok`, `error`, `interrupted`, `died` or `limit`."""

    run_id: str
    status: PythonStatus
    execution_count: int | None
    stdout: str
    stderr: str
    result: str | None
    displays: tuple[Display, ...]
    error: PythonError | None
    truncated: bool
    seconds: float


@dataclass(frozen=True, eq=False)
class FileEntry(Record):
    """A file or folder: `size` in bytes, `modified` as ISO 8601 has it, in UTC."""

    name: str
    type: str
    size: int | None = None
    modified: str | None = None


@dataclass(frozen=True, eq=False)
class FileList(Record):
    """A folder of the workspace, sorted by name; printed, it is the `text` for people."""

    text: str
    path: str
    entries: tuple[FileEntry, ...]
    truncated: bool

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class FileText(Record):
    """A part of a file: `lines` from the 1-based line `offset` (both None where bytes were asked for), `bytes` from `byte_offset`."""

    text: str
    path: str
    offset: int | None
    lines: int | None
    byte_offset: int | None
    bytes: int
    size: int
    truncated: bool
    encoding: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class WrittenFile(Record):
    """What came of writing a file: `size` in bytes, and whether it is new. `status` is `done` or `cancelled`."""

    run_id: str
    status: str
    text: str
    path: str = ""
    size: int = 0
    created: bool = False


@dataclass(frozen=True, eq=False)
class Variable(Record):
    """A name that the user made in a session."""

    name: str
    type: str
    shape: str | None
    memory_bytes: int | None
    preview: str


@dataclass(frozen=True, eq=False)
class SessionState(Record):
    """A session: `state` is `absent` before its first use; `waiting` counts who waits for it; `variables` are there where asked for."""

    name: str
    state: str
    pid: int | None
    execution_count: int
    memory_bytes: int | None
    waiting: int
    variables: tuple[Variable, ...] = ()


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
    text: str = ""
    stream: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    ok: bool | None = None
    valid: bool = True
    seconds: float | None = None
    run_kind: str = ""
    title: str = ""
    conversation: str | None = None
    position: int | None = None
    reason: str | None = None
    reply: str = ""
    files: Sequence[str] = ()
    displays: int = 0
    status: str = ""
    result: Mapping[str, Any] | None = None
    error: Failure | None = None
    cancelled_by: Mapping[str, Any] | None = None

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


@dataclass(frozen=True, eq=False)
class Sandbox(Record):
    """Behind which walls code runs: `full`, `partial` or `none`, and why."""

    level: str
    reason: str


@dataclass(frozen=True, eq=False)
class Model(Record):
    """Which model is asked; None where there is none."""

    kind: str
    model: str | None = None


@dataclass(frozen=True, eq=False)
class About(Record):
    """What the daemon said of itself and the desk when the client connected; `client` is the name that its runs carry."""

    protocol: int
    client: str
    sandbox: Sandbox
    notices: Sequence[str] = ()
    desk: str = ""
    workspace: str = ""
    engine: Model | None = None
    seq: int = 0


@dataclass(frozen=True, eq=False)
class Status(Record):
    """The daemon as a whole; docs/protocol.md tells what is in the mappings."""

    protocol: int
    version: str
    pid: int
    uptime_seconds: float
    clients: Sequence[Any]
    engine: Mapping[str, Any] | None
    sandbox: Mapping[str, Any]
    memory_bytes: int
    settings_file: str
    log: str
    problems: Sequence[str]
    desks: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, eq=False)
class Stopping(Record):
    """A daemon that stops, and the runs that it waits for or cuts off."""

    pid: int
    runs: Sequence[str]


AnyResult = AgentResult | PythonResult | WrittenFile


def any_result(wire: Mapping[str, Any]) -> AnyResult:
    """The result of a run of whatever kind."""
    if "answer" in wire:
        return AgentResult.of(wire)
    return PythonResult.of(wire) if "stdout" in wire else WrittenFile.of(wire)
