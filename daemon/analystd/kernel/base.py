"""What a desk needs from a Python session, wherever its kernel runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from analystd.wire.results import PythonStatus

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


def cut_off(reason: str) -> Execution:
    """Return what came of code of which only the reason of its end is known."""
    return Execution(
        "interrupted", None, "", "", None, (), RaisedError("KeyboardInterrupt", reason, (), None), False, 0.0
    )


NEVER_RAN = cut_off("The code was cancelled before it ran.")
"""What came of code that was cancelled before its turn."""


@dataclass(frozen=True)
class Trouble:
    """What happened to a session while no code of anybody's ran in it."""

    kind: Literal["limit", "died"]
    text: str
    """For people: what happened, and whether the variables are lost."""


@dataclass(frozen=True)
class SessionInfo:
    """What `status` shows of a session."""

    name: str
    state: SessionState
    pid: int | None
    execution_count: int
    memory_bytes: int | None


@dataclass(frozen=True)
class SessionVariable:
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
        """Run `code`, starting the kernel if need be. A timeout gives status `limit`, a dead kernel `died`; the next call works.

        Cancelling the task interrupts the code. `on_late_output` gets what the code's threads and children put out after its end.
        `overstepped` names a limit that is overstepped before: the code may run, to free what is too much, and is told so; it is
        stopped as soon as it makes matters worse. `file` is the path that the code is of, as `__file__` has it.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        ...

    async def interrupt(self) -> str | None:
        """Stop what runs: as Ctrl-C at first, by ending the kernel if that does not help; then gives the sentence on what was lost."""
        ...

    async def reset(self) -> None:
        """Forget all variables: the next `execute` begins in a fresh namespace.

        Raises:
            SessionUnavailableError: when no kernel can be started.
        """
        ...

    async def variables(self) -> tuple[SessionVariable, ...]:
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

    def session(
        self, name: str, on_background_output: Callable[[Output], None], on_trouble: Callable[[Trouble], None]
    ) -> Session:
        """A new session. `on_trouble` is told what happens while no code runs, and `on_background_output` what nobody's code put out."""
        ...

    async def aclose(self) -> None:
        """End what the sessions share, after they were closed. Harmless when repeated."""
        ...
