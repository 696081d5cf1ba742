"""The errors that analystd raises deliberately, and their codes on the wire.

    AnalystdError
    ├── InvalidArgumentsError      -32602  the request's arguments do not match their schema
    ├── WorkspaceError              4001   the jail refuses a path, or a file does not exist
    │   └── DeskInUseError          4001   another daemon serves this workspace
    ├── ResourceLimitError          4002   a limit of the workspace or the machine is reached
    ├── SessionUnavailableError     4003   the Python session could not be started
    ├── EngineUnavailableError      4004   there is no model, or it could not be loaded
    ├── OverloadedError             4005   too many requests are waiting already
    │   └── StoppingError           4005   the daemon is stopping and accepts no new runs
    ├── StartTimeoutError           4006   the request timed out while it waited for its turn
    ├── DaemonLostError             4007   the daemon ended while it handled the request
    └── WorkerDiedError             4003   a child process ended; its owner says what that means

An error means that the request never started; once code or a run has started, the outcome is a result with a status.
"""

from __future__ import annotations

from typing import ClassVar


class AnalystdError(Exception):
    """Base class of all errors that a client may receive: `kind` for programs, the message for people, `hint` for what to do next."""

    kind: ClassVar[str] = "internal"
    code: ClassVar[int] = -32603

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.run_id: str | None = None
        """The run that the error belongs to, once there is one."""


class InvalidArgumentsError(AnalystdError):
    """The arguments do not match their JSON Schema; the message is the validator's own."""

    kind = "invalid_arguments"
    code = -32602


class WorkspaceError(AnalystdError):
    """The jail refuses a path, or the path does not lead to a usable file."""

    kind = "workspace"
    code = 4001


class DeskInUseError(WorkspaceError):
    """Another daemon already serves this workspace."""

    kind = "desk_in_use"


class ResourceLimitError(AnalystdError):
    """A limit is reached; the message names the limit, the measured value and what to do."""

    kind = "resource_limit"
    code = 4002


class SessionUnavailableError(AnalystdError):
    """The Python session could not be started."""

    kind = "session_unavailable"
    code = 4003


class WorkerDiedError(AnalystdError):
    """A child process ended while it was needed."""

    kind = "worker_died"
    code = 4003


class EngineUnavailableError(AnalystdError):
    """There is no model, or it could not be loaded."""

    kind = "engine_unavailable"
    code = 4004


class OverloadedError(AnalystdError):
    """More requests are waiting than the daemon accepts."""

    kind = "overloaded"
    code = 4005


class StoppingError(OverloadedError):
    """The daemon stops after the runs in progress and accepts no new ones."""

    kind = "stopping"


class StartTimeoutError(AnalystdError):
    """The request timed out while it waited for its turn."""

    kind = "start_timeout"
    code = 4006


class DaemonLostError(AnalystdError):
    """The daemon ended, or could not be reached, before it answered."""

    kind = "daemon_lost"
    code = 4007


_KINDS: dict[str, type[AnalystdError]] = {
    error.kind: error
    for error in (
        AnalystdError,
        InvalidArgumentsError,
        WorkspaceError,
        DeskInUseError,
        ResourceLimitError,
        SessionUnavailableError,
        WorkerDiedError,
        EngineUnavailableError,
        OverloadedError,
        StoppingError,
        StartTimeoutError,
        DaemonLostError,
    )
}


def error_of_kind(kind: str, message: str, hint: str | None = None) -> AnalystdError:
    """Return the error that `kind` names, rebuilt on the other side of a process boundary; an `AnalystdError` for an unknown kind."""
    return _KINDS.get(kind, AnalystdError)(message, hint)
