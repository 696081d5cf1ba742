"""What work gives: answers, code, files, sessions. Each is a `Record`: attributes are typed, and the wire's own object is behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analystd.client._records import Record
from analystd.client.displays import Display
from analystd.wire.protocol import AgentStatus, PythonStatus


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
    """One tool call of a run. `displays` counts what it showed; `valid` is False for a call that fitted no tool and was not run;
    `hint` is what the model was told beside the output, to help it with an error.
    """

    tool: str
    arguments: Mapping[str, Any]
    ok: bool
    output: str
    seconds: float
    displays: int = 0
    valid: bool = True
    hint: str | None = None


@dataclass(frozen=True, eq=False)
class UnsupportedNumber(Record):
    """A number of an answer that no output of its conversation supports: `answer[start:end]`."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class AgentResult(Record):
    """What came of a question. `conversation` continues it; `status` is `done`, `cancelled`, `failed` or `limit`; printed, it is the answer."""

    run_id: str
    conversation: str
    status: AgentStatus
    answer: str
    steps: tuple[Step, ...]
    usage: Usage
    unsupported: tuple[UnsupportedNumber, ...] = ()
    warnings: tuple[str, ...] = ()
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
    """A session: `state` is `absent` before its first use; `waiting` counts who waits for it; `variables` are there where asked for.

    `text` says what was lost by an interrupt, where something was.
    """

    name: str
    state: str
    pid: int | None
    execution_count: int
    memory_bytes: int | None
    waiting: int
    variables: tuple[Variable, ...] = ()
    text: str | None = None


AnyResult = AgentResult | PythonResult | WrittenFile


def any_result(wire: Mapping[str, Any]) -> AnyResult:
    """The result of a run of whatever kind."""
    if "answer" in wire:
        return AgentResult.of(wire)
    return PythonResult.of(wire) if "stdout" in wire else WrittenFile.of(wire)
