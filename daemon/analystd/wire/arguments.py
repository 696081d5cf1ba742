"""The arguments of the commands, with their types and defaults; a `JsonSchema` adds what a schema says beyond a type.

A member with a default is optional; one whose default is None is never null on the wire.

"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from analystd.wire.names import Priority, Subscription, ViewOperation
from analystd.wire.structured import JsonSchema, LuaTable

MAIN = "main"
"""The Python session of requests that name none."""

DEFAULT_ROWS = 10
MAX_LISTED_RUNS = 10_000
PAGE_EVENTS = 10_000
"""Maximum number of events in one page."""

Session = Annotated[str, JsonSchema(minLength=1, maxLength=64)]
Count = Annotated[int, JsonSchema(minimum=1)]
Position = Annotated[int, JsonSchema(minimum=0)]
Seconds = Annotated[float, JsonSchema(exclusiveMinimum=0)]
JailPath = Annotated[str, JsonSchema(description="A path inside the workspace.")]


@dataclass(frozen=True, kw_only=True)
class NoArguments:
    """The arguments of commands that take none."""


# The agent


@dataclass(frozen=True, kw_only=True)
class DocumentRange(LuaTable):
    """A range in a document, as LSP defines it."""


@dataclass(frozen=True, kw_only=True)
class Context(LuaTable):
    """The text that the editor sends with a question."""

    uri: str | None = None
    range: DocumentRange | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunAgent:
    """A question to the model."""

    prompt: Annotated[str, JsonSchema(minLength=1)]
    conversation: str | None = None
    """The conversation to continue (`AgentResult.conversation`); without it, a new one begins."""
    forget_runs: Annotated[tuple[str, ...], JsonSchema(maxItems=1000)] = ()
    """Runs of the conversation to leave out of it from now on."""
    session: Session = MAIN
    """The Python session that the model works in; `main` by default."""
    max_steps: Count | None = None
    """Maximum number of tool calls."""
    max_seconds: Seconds | None = None
    """Seconds after which the run ends; the answer then says what was found so far."""
    priority: Priority = "interactive"
    """`batch` lets interactive requests go first."""
    context: Context | None = None
    """`{"uri", "range", "text"}`: the text that the question is about, and where it stands."""


# Python


@dataclass(frozen=True, kw_only=True)
class ExecPython:
    """Code to run."""

    code: str
    reset: bool = False
    """Whether to delete the session's variables first."""
    session: Session = MAIN
    """The session; `main` by default. A new name creates a new session."""
    timeout_seconds: Seconds | None = None
    """Seconds after which the code is stopped; its status is then `limit`."""
    priority: Priority = "interactive"
    """`batch` lets interactive requests go first."""
    uri: str | None = None
    """The document that contains the code."""
    line: Count | None = None
    """The 1-based line of the document where the code begins."""


@dataclass(frozen=True, kw_only=True)
class OneSession:
    """The session that a command is about."""

    session: Session = MAIN


# Tables

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "contains", "starts_with", "missing", "present"]
OPERATORS: tuple[Operator, ...] = get_args(Operator)

_VALUE = {"type": ["number", "string", "boolean", "null"]}
_VALUES = {"type": "array", "items": _VALUE, "maxItems": 1000}
_WITHOUT_VALUE = ("missing", "present")
_WITH_VALUE = tuple(op for op in OPERATORS if op not in ("in", *_WITHOUT_VALUE))


def _if_op(ops: tuple[str, ...], value: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the part of a condition's schema that says what the value must be for some operators."""
    return {
        "if": {"properties": {"op": {"enum": list(ops)}}, "required": ["op"]},
        "then": {"properties": {"value": value}, "required": list(required)},
    }


@dataclass(frozen=True)
class Condition:
    """A condition of a filter: a comparison of a column's cells with a value."""

    column: str
    op: Operator
    value: Any = None
    """A number, text or boolean; a list of them for `in`; None for `missing` and `present`."""


@dataclass(frozen=True)
class SortKey:
    """A column to sort by; missing values come last in both directions."""

    column: str
    descending: bool = False


_ValidCondition = Annotated[
    Condition,
    JsonSchema(
        allOf=[
            _if_op(_WITH_VALUE, _VALUE, ("value",)),
            _if_op(("in",), _VALUES, ("value",)),
            _if_op(_WITHOUT_VALUE, {"type": "null"}),
        ]
    ),
]


@dataclass(frozen=True, kw_only=True)
class ViewData:
    """A view of a table: of the file at `path` in the workspace, or of the file that `uri` names."""

    path: Annotated[str, JsonSchema(description="A file in the workspace.")] | None = None
    operation: ViewOperation
    n_rows: Annotated[
        int, JsonSchema(minimum=1, maximum=10_000, description=f"Rows to show; {DEFAULT_ROWS} by default.")
    ] = DEFAULT_ROWS
    """Number of rows, at most 10 000."""
    offset: Annotated[int, JsonSchema(minimum=0, description="For rows: the first row, counted from 0.")] = 0
    """The first row of `rows`, counted from 0."""
    columns: Annotated[tuple[str, ...], JsonSchema(description="Only these columns.")] | None = None
    """The columns to show; all by default."""
    uri: str | None = None
    filter: Annotated[tuple[_ValidCondition, ...], JsonSchema(maxItems=32)] = ()
    """`[{"column", "op", "value"}]`: conditions, all of which must hold."""
    sort: Annotated[tuple[SortKey, ...], JsonSchema(maxItems=8)] = ()
    """`[{"column", "descending"}]`: columns to sort by; the first one counts most."""
    delimiter: str | None = None
    """The separator of the cells, for files where it cannot be detected."""


# Files


@dataclass(frozen=True, kw_only=True)
class ListFiles:
    """A folder to list."""

    path: Annotated[JailPath, JsonSchema(default=".")] = "."
    pattern: Annotated[str, JsonSchema(description="Only names that match, such as *.csv.")] | None = None
    recursive: Annotated[bool, JsonSchema(description="Folders inside folders too.")] = False


@dataclass(frozen=True, kw_only=True)
class ReadFile:
    """Lines, or a range of bytes, of a text file."""

    path: JailPath
    offset: Annotated[int, JsonSchema(minimum=1, description="The first line, counted from 1.")] | None = None
    limit: Annotated[int, JsonSchema(minimum=1, description="How many lines at the most.")] | None = None
    byte_offset: (
        Annotated[int, JsonSchema(minimum=0, description="Instead of lines: the first byte, counted from 0.")] | None
    ) = None
    byte_limit: (
        Annotated[int, JsonSchema(minimum=4, description="Instead of lines: how many bytes at the most.")] | None
    ) = None


@dataclass(frozen=True, kw_only=True)
class WriteFile:
    """A text file to write."""

    path: JailPath
    content: str


# Runs and events


@dataclass(frozen=True, kw_only=True)
class OneRun:
    """The run that a command is about."""

    run_id: str


@dataclass(frozen=True, kw_only=True)
class GetRun:
    """A run, and the number after which its events are requested."""

    run_id: str
    after: Position = 0


@dataclass(frozen=True, kw_only=True)
class ListRuns:
    """The number of runs to list, latest first."""

    limit: Annotated[int, JsonSchema(minimum=1, maximum=MAX_LISTED_RUNS)] = 50


@dataclass(frozen=True, kw_only=True)
class Events:
    """The number after which events are requested, and the maximum number of them."""

    after: Position
    limit: Annotated[int, JsonSchema(minimum=1, maximum=PAGE_EVENTS)] = PAGE_EVENTS


@dataclass(frozen=True, kw_only=True)
class Subscribe:
    """The events that the client receives from now on."""

    events: Subscription


# Quarantine


@dataclass(frozen=True, kw_only=True)
class RestoreQuarantine:
    """An entry to restore: only previewed with `preview`; with the `digest` of a preview, restored only if nothing has changed since."""

    id: str
    preview: bool = False
    digest: str | None = None


@dataclass(frozen=True, kw_only=True)
class DiscardQuarantine:
    """An entry to delete permanently."""

    id: str


# The daemon


@dataclass(frozen=True, kw_only=True)
class Shutdown:
    """How the daemon stops: after its runs, at once (`now`), or to make way for a newer version if it holds no variables (`hand_over`)."""

    now: bool = False
    hand_over: bool = False
