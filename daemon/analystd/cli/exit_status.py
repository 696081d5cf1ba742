"""The exit statuses of commands."""

from __future__ import annotations

from analystd.wire.errors import (
    AnalystdError,
    DaemonLostError,
    InvalidArgumentsError,
    ResourceLimitError,
    SessionUnavailableError,
    WorkspaceError,
)

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NO_DAEMON = 3
EXIT_REFUSED = 4


def exit_status_of(error: AnalystdError) -> int:
    """Return the exit status for an error."""
    if isinstance(error, DaemonLostError):
        return EXIT_NO_DAEMON
    if isinstance(error, InvalidArgumentsError):
        return EXIT_USAGE
    if isinstance(error, WorkspaceError | ResourceLimitError | SessionUnavailableError):
        return EXIT_REFUSED
    return EXIT_FAILED
