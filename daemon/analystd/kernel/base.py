"""What a desk needs from a Python session, wherever its kernel runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from analystd.protocol import PythonStatus

SessionState = Literal["absent", "starting", "idle", "busy", "dead"]


@dataclass(frozen=True)
class Output:
    """Something that running code put out: text on a stream, or one display."""

    kind: Literal["stdout", "stderr", "display"]
    text: str = ""
    data: dict[str, Any] | None = None
    """A display's MIME bundle: type to text, or to base64 for binary types; large structures are `EncodedJson`."""


@dataclass(frozen=True)
class RaisedError:
    """An exception that the code raised. `line` is 1-based in the caller's code; `traceback` lines carry no colour codes."""

    name: str
    message: str
    traceback: tuple[str, ...]
    line: int | None


@dataclass(frozen=True)
class Execution:
    """What came of running code. `stdout` and `stderr` are bounded; `truncated` says whether anything was cut."""

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
        """Return its members by name, without copying what is large."""
        error = None if self.error is None else {**vars(self.error), "traceback": list(self.error.traceback)}
        return {**vars(self), "displays": list(self.displays), "error": error}


NEVER_RAN = Execution("interrupted", None, "", "", None, (), None, False, 0.0)
"""What came of code that was cancelled before its turn."""


@dataclass(frozen=True)
class SessionInfo:
    """What `status` shows of a session."""

    name: str
    state: SessionState
    pid: int | None
    execution_count: int
    memory_bytes: int | None


@dataclass(frozen=True)
class Variable:
    """A name in the session that the user made."""

    name: str
    type: str
    shape: str | None
    memory_bytes: int | None
    preview: str


@dataclass(frozen=True)
class Completions:
    """What may stand in the code from `start` to `end`, both counted in Unicode code points."""

    matches: tuple[str, ...]
    start: int
    end: int


class Session(Protocol):
    """A namespace that remembers. The owner runs one `execute` at a time; `interrupt` may be called during it."""

    def info(self) -> SessionInfo:
        """A snapshot; never starts anything."""
        ...

    async def execute(self, code: str, *, timeout_seconds: float, on_output: Callable[[Output], None]) -> Execution:
        """Run `code`, starting the kernel if need be. A timeout gives status `limit`, a dead kernel `died`; the next call works.

        Cancelling the task interrupts the code.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        ...

    async def interrupt(self) -> None:
        """Stop what runs: as Ctrl-C at first, by ending the kernel if that does not help."""
        ...

    async def reset(self) -> None:
        """Forget all variables: the next `execute` begins in a fresh namespace.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        ...

    async def variables(self) -> tuple[Variable, ...]:
        """The user's variables, sorted by name; empty when there is no kernel."""
        ...

    async def variable_count(self) -> int | None:
        """How many variables there are; None where it is not known, because code runs or the kernel does not tell."""
        ...

    async def complete(self, code: str, cursor: int) -> Completions:
        """How the word before `cursor`, a position in code points, may go on; within 2 s.

        Empty when the session is busy or has no kernel: never starts one, and runs no code but what libraries do to list attributes.
        """
        ...

    async def inspect(self, code: str, cursor: int) -> str | None:
        """What stands at `cursor`, as plain text of at most some thousand characters: signature and docstring, or a value's type and preview.

        Inside the parentheses of a call it is the function. None when there is nothing to say; limits as for `complete`.
        """
        ...

    async def aclose(self) -> None:
        """End the kernel and all that it started. Harmless when repeated."""
        ...


class SessionSupply(Protocol):
    """Where a desk gets its sessions from; what they share is the supply's."""

    def session(self, name: str, on_background_output: Callable[[Output], None]) -> Session:
        """A new session. `on_background_output` gets what its threads put out after the code that started them ended."""
        ...

    async def aclose(self) -> None:
        """End what the sessions share, after they were closed. Harmless when repeated."""
        ...
