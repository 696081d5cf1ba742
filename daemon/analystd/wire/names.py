"""The names on the wire: methods, commands, event kinds, and the fixed words of arguments.

Tests and third-party clients rely on them; changing one requires a new `PROTOCOL_VERSION`. Relays use this module, so it imports nothing
heavy.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

PROTOCOL_VERSION = 1

HELLO_METHOD = "analystd/hello"
"""Request that opens every connection to the daemon's socket, before LSP's own `initialize`."""

EVENT_METHOD = "analystd/event"
"""Notification, daemon to client: one `Event`."""

SNAPSHOT_METHOD = "analystd/snapshot"
"""Notification, daemon to client: a `Snapshot`, in place of events that were too many or are no longer kept."""


class Command(StrEnum):
    """The commands of `workspace/executeCommand`; each takes one object."""

    RUN_AGENT = "analystd.runAgent"
    START_AGENT = "analystd.startAgent"
    EXEC_PYTHON = "analystd.execPython"
    START_PYTHON = "analystd.startPython"
    VIEW_DATA = "analystd.viewData"
    LIST_FILES = "analystd.listFiles"
    READ_FILE = "analystd.readFile"
    WRITE_FILE = "analystd.writeFile"
    RESET_SESSION = "analystd.resetSession"
    INTERRUPT = "analystd.interrupt"
    VARIABLES = "analystd.variables"
    CANCEL_RUN = "analystd.cancelRun"
    LIST_RUNS = "analystd.listRuns"
    GET_RUN = "analystd.getRun"
    EVENTS = "analystd.events"
    SUBSCRIBE = "analystd.subscribe"
    LIST_QUARANTINE = "analystd.listQuarantine"
    RESTORE_QUARANTINE = "analystd.restoreQuarantine"
    DISCARD_QUARANTINE = "analystd.discardQuarantine"
    STATUS = "analystd.status"
    SHUTDOWN = "analystd.shutdown"


class EventKind(StrEnum):
    """The kinds of `analystd/event`."""

    RUN_QUEUED = "run_queued"
    RUN_WAITING = "run_waiting"
    RUN_STARTED = "run_started"
    TEXT = "text"
    TOOL_CALL = "tool_call"
    OUTPUT = "output"
    DISPLAY = "display"
    TOOL_RESULT = "tool_result"
    RUN_FINISHED = "run_finished"
    SESSION_RESET = "session_reset"
    WORKER_DIED = "worker_died"
    LIMIT = "limit"
    QUARANTINED = "quarantined"


Subscription = Literal["all", "mine", "none"]
Priority = Literal["interactive", "batch"]
ViewOperation = Literal["columns", "head", "tail", "shape", "schema", "rows", "describe", "profile"]
