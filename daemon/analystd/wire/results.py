"""The results of commands; each shape is declared once, and has the same form in Python and on the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired, TypedDict

from analystd.wire.structured import Absent, Named

AgentStatus = Literal["done", "cancelled", "failed", "limit"]
PythonStatus = Literal["ok", "error", "interrupted", "died", "limit"]
MimeBundle = Annotated[dict[str, Any], Named("MimeBundle")]
FileType = Literal["file", "folder", "link", "special"]


class Usage(TypedDict):
    """The resources that a run used; `cached_tokens` are prompt tokens that were already in the model's KV cache."""

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
    """One tool call of a run, with its result.

    `displays` is the number of plots, tables and other displays that it showed, if any; `valid` is False for a call that did not match its
    tool's schema; `hint` is the advice that the model received with the output of a failed call.
    """

    tool: str
    arguments: dict[str, Any]
    ok: bool
    output: str
    seconds: float
    displays: NotRequired[Annotated[int, Absent(0)]]
    valid: NotRequired[Annotated[bool, Absent(True)]]
    hint: NotRequired[str]


class UnsupportedNumber(TypedDict):
    """A number in an answer that no output of its conversation supports.

    `start` and `end` count characters of the answer, which are Unicode code points, not UTF-16 units.
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
    displays: list[MimeBundle]
    error: PythonError | None
    truncated: bool
    seconds: float


class SessionState(TypedDict):
    """A Python session, with the number of requests that wait for it; `text` says what an interrupt lost, if anything."""

    name: str
    state: Literal["absent", "starting", "idle", "busy", "dead"]
    pid: int | None
    execution_count: int
    memory_bytes: int | None
    waiting: NotRequired[Annotated[int, Absent(0)]]
    text: NotRequired[str]


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


class WriteReport(TypedDict):
    """A file that was written; `text` is a sentence for people."""

    text: str
    path: str
    size: int
    created: bool


class WriteResult(TypedDict):
    """The result of `analystd.writeFile`; if the write was cancelled, nothing is known of the file."""

    run_id: str
    status: Literal["done", "cancelled"]
    text: str
    path: NotRequired[Annotated[str, Absent("")]]
    size: NotRequired[Annotated[int, Absent(0)]]
    created: NotRequired[Annotated[bool, Absent(False)]]


class FileEntry(TypedDict):
    """A file or folder in a listing: its size in bytes (null unless it is a file), and its modification time, in UTC as ISO 8601."""

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


class ColumnInfo(TypedDict):
    """A column's name, and its type as read or inferred."""

    name: str
    type: str
    address: NotRequired[str]
    """The column's address in `columns`, `filter` and `sort`, where that is not its name, because the name is empty or not unique."""


class ValueCount(TypedDict):
    """A value and how often it occurs."""

    value: Any
    count: int


class HistogramBins(TypedDict):
    """Bins of equal width: bin i counts the values from edge i up to edge i + 1."""

    edges: list[float]
    counts: list[int]


class ColumnProfile(TypedDict):
    """Statistics of a column; those that do not apply to its type are None.

    `count` is the number of values present; the `strange` ones among them do not fit the type and are left out of all other statistics.
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
    """The result of `analystd.viewData`; members that the operation does not use are None."""

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
    """A file or folder in quarantine: its original path, relative to the workspace, its size where known, and the program that trusts such a name."""

    path: str
    kind: str
    size: int | None
    trusted_by: str
    reason: str


class QuarantineEntry(TypedDict):
    """The files quarantined at one time, with the runs that were in progress; `moved` holds the first of the `count` items."""

    id: str
    at: float
    runs: list[str]
    moved: list[QuarantinedItem]
    count: int


class QuarantineList(TypedDict):
    """The result of `analystd.listQuarantine`: the latest entries, newest first, and the total number of entries."""

    entries: list[QuarantineEntry]
    count: int


class RestoredFile(TypedDict):
    """A file that would be restored."""

    path: str
    size: int


class RestoreResult(TypedDict):
    """The result of `analystd.restoreQuarantine` and `analystd.discardQuarantine`.

    A preview lists the files (at most 200), why the entry cannot be restored, if so, and a digest of all of that.
    """

    status: Literal["preview", "restored", "discarded"]
    entry: QuarantineEntry
    files: list[RestoredFile]
    digest: str | None
    problems: list[str]


class CancelResult(TypedDict):
    """The result of `analystd.cancelRun`: `cancelling`, or the status of a run that has already ended."""

    status: str
