"""`cancelRun`, `listRuns`, `getRun`, `events`."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from analystd.protocol import Command
from analystd.server.connection import Connection, Handler
from analystd.server.handlers.base import STRING, object_schema
from analystd.tools.base import validate

ONE_RUN = object_schema({"run_id": STRING})
LIST_RUNS = object_schema({}, {"limit": {"type": "integer", "minimum": 1, "maximum": 10_000}})
EVENTS = object_schema({"after": {"type": "integer", "minimum": 0}})

DEFAULT_LIMIT = 50


async def cancel_run(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Have a run end soon; gives `{"status"}`."""
    validate(ONE_RUN, arguments)
    return {"status": connection.desk.cancel(arguments["run_id"])}


async def list_runs(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """The latest runs, newest first: `{"runs": [RunSummary]}`."""
    validate(LIST_RUNS, arguments)
    return {"runs": connection.desk.runs.summaries(arguments.get("limit", DEFAULT_LIMIT))}


async def get_run(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Everything about one run: `{"run": RunSummary, "events": [Event]}`."""
    validate(ONE_RUN, arguments)
    summary = connection.desk.runs.summary(arguments["run_id"])
    return {"run": summary, "events": connection.desk.journal.of_run(arguments["run_id"])}


async def events(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """What happened after a sequence number."""
    validate(EVENTS, arguments)
    return connection.desk.events_after(arguments["after"])


COMMANDS: dict[Command, Handler] = {
    Command.CANCEL_RUN: cancel_run,
    Command.LIST_RUNS: list_runs,
    Command.GET_RUN: get_run,
    Command.EVENTS: events,
}
