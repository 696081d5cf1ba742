"""`cancelRun`, `listRuns`, `getRun`, `events`, `subscribe`."""

from __future__ import annotations

from typing import Any, get_args

from lsprotocol import types

from analystd.desk.desk import Desk
from analystd.desk.journal import PAGE_EVENTS, JournalPage
from analystd.server.connection import ClientConnection, Handler
from analystd.server.handlers.base import STRING, object_schema
from analystd.tools.base import validate
from analystd.wire.protocol import Command, EventPage, Subscription

ONE_RUN = object_schema({"run_id": STRING})
GET_RUN = object_schema({"run_id": STRING}, {"after": {"type": "integer", "minimum": 0}})
LIST_RUNS = object_schema({}, {"limit": {"type": "integer", "minimum": 1, "maximum": 10_000}})
EVENTS = object_schema(
    {"after": {"type": "integer", "minimum": 0}}, {"limit": {"type": "integer", "minimum": 1, "maximum": PAGE_EVENTS}}
)
SUBSCRIBE = object_schema({"events": {"enum": list(get_args(Subscription))}})

DEFAULT_LIMIT = 50


async def cancel_run(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """Have a run end soon; gives `{"status"}`."""
    validate(ONE_RUN, arguments)
    return {"status": connection.desk.cancel(arguments["run_id"], connection.asker)}


async def list_runs(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """The latest runs, newest first: `{"runs": [RunSummary]}`."""
    validate(LIST_RUNS, arguments)
    return {"runs": connection.desk.runs.summaries(int(arguments.get("limit", DEFAULT_LIMIT)))}


async def get_run(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """A run and its events after a sequence number, or as many of them as an answer holds: a `RunStory`."""
    validate(GET_RUN, arguments)
    # In this order: a run that is over here has its end among the events.
    summary = connection.desk.runs.summary(arguments["run_id"])
    page = await connection.desk.journal.of_run(arguments["run_id"], int(arguments.get("after", 0)))
    return {"run": summary, "events": [entry.to_json() for entry in page.entries], "more": page.more}


async def events(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """A page of what happened after a sequence number, or a snapshot where that is not known any more: an `EventPage`."""
    validate(EVENTS, arguments)
    desk, after = connection.desk, arguments["after"]
    if not desk.tells_all_after(after):
        answer: EventPage = {"events": [], "seq": desk.journal.seq, "more": False, "snapshot": desk.snapshot()}
        return answer
    page = await _next_page(desk, after, arguments.get("limit", PAGE_EVENTS))
    seq = desk.journal.seq
    return {"events": [entry.to_json() for entry in page.entries], "seq": seq, "more": page.last < seq}


async def subscribe(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Which events this client is told of from now on: `{"events", "seq"}`; it holds for greater numbers."""
    validate(SUBSCRIBE, arguments)
    return {"events": arguments["events"], "seq": connection.feed.subscribe(arguments["events"])}


async def _next_page(desk: Desk, after: int, limit: int) -> JournalPage:
    """The next page that has an event in it, if there is one."""
    page = await desk.journal.page(after, limit=limit)
    while not page.entries and page.last < desk.journal.seq:
        page = await desk.journal.page(page.last, limit=limit)
    return page


COMMANDS: dict[Command, Handler] = {
    Command.CANCEL_RUN: cancel_run,
    Command.LIST_RUNS: list_runs,
    Command.GET_RUN: get_run,
    Command.EVENTS: events,
    Command.SUBSCRIBE: subscribe,
}
