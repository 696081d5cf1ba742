"""The Python client: ask, run, view and follow from a script, over the same daemon that the editors use.

async with analystd.connect() as desk:
    result = await desk.run_agent("How many rows does prices.csv have?")

with analystd.connect_sync() as desk:
    print(desk.exec_python("1 + 1").result)
"""

from __future__ import annotations

from analystd.client._connect import connect, connect_sync, connect_to_daemon
from analystd.client.client import Client
from analystd.client.displays import Display
from analystd.client.errors import EventsGoneError, RequestCancelledError, RequestTimeoutError
from analystd.client.events import Event, EventPage, RunRecord, RunSummary, Snapshot
from analystd.client.feed import EventStream
from analystd.client.results import (
    AgentResult,
    PythonResult,
    QuarantineEntry,
    Restoration,
    SessionState,
    SessionVariables,
    Step,
    ViewResult,
    WrittenFile,
)
from analystd.client.runs import AnyResult, Run
from analystd.client.status import Status
from analystd.client.sync_client import SyncClient
from analystd.client.sync_runs import SyncRun, SyncStream

__all__ = [
    "AgentResult",
    "AnyResult",
    "Client",
    "Display",
    "Event",
    "EventPage",
    "EventStream",
    "EventsGoneError",
    "PythonResult",
    "QuarantineEntry",
    "RequestCancelledError",
    "RequestTimeoutError",
    "Restoration",
    "Run",
    "RunRecord",
    "RunSummary",
    "SessionState",
    "SessionVariables",
    "Snapshot",
    "Status",
    "Step",
    "SyncClient",
    "SyncRun",
    "SyncStream",
    "ViewResult",
    "WrittenFile",
    "connect",
    "connect_sync",
    "connect_to_daemon",
]
