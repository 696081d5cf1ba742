"""The interface of a Python session, as a desk uses it, independent of where its kernel runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from analystd.wire.results import PythonStatus

SessionState = Literal["absent", "starting", "idle", "busy", "dead"]


@dataclass(frozen=True)
class Output:
    """Output of running code: text on a stream, or one display."""

    kind: Literal["stdout", "stderr", "display"]
    text: str = ""
    data: dict[str, Any] | None = None
    """A display's MIME bundle: type to text, or to base64 for binary types; large structures are `EncodedJson`."""


@dataclass(frozen=True)
class RaisedError:
    """An exception that the code raised. `line` is 1-based in the caller's code; `traceback` lines contain no colour codes."""

    name: str
    message: str
    traceback: tuple[str, ...]
    line: int | None


@dataclass(frozen=True)
class Execution:
    """The outcome of running code. `stdout` and `stderr` are bounded; `truncated` says whether anything was cut."""

    status: PythonStatus
    execution_count: int | None
    stdout: str
    stderr: str
    result: str | None
    """The plain text of the last expression's value, or None."""
    displays: tuple[dict[str, Any], ...]
    error: RaisedError | None
    truncated: bool
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """Return the members by name, without copying large values."""
        error = None if self.error is None else {**vars(self.error), "traceback": list(self.error.traceback)}
        return {**vars(self), "displays": list(self.displays), "error": error}


def cut_off(reason: str) -> Execution:
    """Return the outcome of code of which only the reason for its end is known."""
    return Execution(
        "interrupted", None, "", "", None, (), RaisedError("KeyboardInterrupt", reason, (), None), False, 0.0
    )


NEVER_RAN = cut_off("The code was cancelled before it ran.")
"""The outcome of code that was cancelled before its turn."""


@dataclass(frozen=True)
class Trouble:
    """An event in a session while no code was running in it."""

    kind: Literal["limit", "died"]
    text: str
    """The message for users: what happened, and whether the variables are lost."""


@dataclass(frozen=True)
class SessionInfo:
    """A session's entry in `status`."""

    name: str
    state: SessionState
    pid: int | None
    execution_count: int
    memory_bytes: int | None


@dataclass(frozen=True)
class SessionVariable:
    """A variable that the user defined in the session."""

    name: str
    type: str
    shape: str | None
    memory_bytes: int | None
    preview: str


@dataclass(frozen=True)
class Completions:
    """Possible replacements for the code from `start` to `end`, both counted in Unicode code points."""

    matches: tuple[str, ...]
    start: int
    end: int


class Session(Protocol):
    """A persistent namespace. The owner runs one `execute` at a time; `interrupt` may be called during it."""

    def info(self) -> SessionInfo:
        """Return a snapshot; never starts anything."""
        ...

    async def execute(
        self,
        code: str,
        *,
        timeout_seconds: float,
        on_output: Callable[[Output], None],
        on_late_output: Callable[[Output], None] | None = None,
        overstepped: str | None = None,
        file: str | None = None,
    ) -> Execution:
        """Run `code`, starting the kernel if necessary. A timeout gives status `limit`, a dead kernel `died`; the next call works.

        Cancelling the task interrupts the code.

        Args:
            code: The code.
            timeout_seconds: How long it may run.
            on_output: Called with each output while the code runs.
            on_late_output: Called with what the code's threads and children output after its end.
            overstepped: The message about a limit that is already exceeded. The code may run, to free resources, and its output says
                so; it is stopped as soon as usage grows.
            file: The path of the code's file, for `__file__`.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        ...

    async def interrupt(self) -> str | None:
        """Interrupt the running code as with Ctrl-C; kill the kernel if that does not help, and return the sentence on what was lost."""
        ...

    async def reset(self) -> None:
        """Delete all variables: the next `execute` begins in a fresh namespace.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        ...

    async def variables(self) -> tuple[SessionVariable, ...]:
        """Return the user's variables, sorted by name; empty when there is no kernel."""
        ...

    async def variable_count(self) -> int | None:
        """Return the number of variables; None if it is unknown because code is running or the kernel does not answer."""
        ...

    async def complete(self, code: str, cursor: int) -> Completions:
        """Return completions for the word before `cursor`, a position in code points, within 2 s.

        Empty when the session is busy or has no kernel: this never starts one, and runs no code except for what libraries do to list
        attributes.
        """
        ...

    async def inspect(self, code: str, cursor: int) -> str | None:
        """Describe the name at `cursor` in at most some thousand characters: signature and docstring, or a value's type and preview.

        Inside the parentheses of a call, describe the function. None when nothing is known; the limits are those of `complete`.
        """
        ...

    async def aclose(self) -> None:
        """End the kernel and everything that it started. Harmless when repeated."""
        ...


class SessionSupply(Protocol):
    """Creates a desk's sessions, and owns what they share."""

    def session(
        self, name: str, on_background_output: Callable[[Output], None], on_trouble: Callable[[Trouble], None]
    ) -> Session:
        """Return a new session.

        `on_trouble` is called with events while no code runs, `on_background_output` with output that belongs to no remembered code.
        """
        ...

    async def aclose(self) -> None:
        """Release what the sessions share, after they were closed. Harmless when repeated."""
        ...
