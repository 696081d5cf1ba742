"""Handlers of `cancelRun`, `listRuns`, `getRun`, `events` and `subscribe`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from lsprotocol import types

from analystd.desk.desk import Desk
from analystd.desk.journal import JournalPage
from analystd.desk.segments import JournalEntry
from analystd.server.connection import ClientConnection
from analystd.server.handlers.registry import handles
from analystd.wire import commands
from analystd.wire.arguments import Events, GetRun, ListRuns, OneRun, Subscribe
from analystd.wire.events import Event, EventPage, RunList, RunStory, SubscribeResult
from analystd.wire.results import CancelResult


@handles(commands.CANCEL_RUN)
async def cancel_run(connection: ClientConnection, asked: OneRun, _token: types.ProgressToken | None) -> CancelResult:
    """Cancel a run, which then ends soon."""
    return {"status": connection.desk.cancel(asked.run_id, connection.asker)}


@handles(commands.LIST_RUNS)
async def list_runs(connection: ClientConnection, asked: ListRuns, _token: types.ProgressToken | None) -> RunList:
    """List the latest runs, newest first."""
    return {"runs": connection.desk.runs.summaries(asked.limit)}


@handles(commands.GET_RUN)
async def get_run(connection: ClientConnection, asked: GetRun, _token: types.ProgressToken | None) -> RunStory:
    """Return a run and its events after a sequence number, or as many of them as fit in an answer."""
    # In this order: if the summary says that the run is over, its end is among the events.
    summary = connection.desk.runs.summary(asked.run_id)
    page = await connection.desk.journal.of_run(asked.run_id, asked.after)
    return {"run": summary, "events": _encoded(page.entries), "more": page.more}


@handles(commands.EVENTS)
async def events(connection: ClientConnection, asked: Events, _token: types.ProgressToken | None) -> EventPage:
    """Return a page of the events after a sequence number, or a snapshot if these are no longer kept."""
    desk = connection.desk
    if not desk.tells_all_after(asked.after):
        return {"events": [], "seq": desk.journal.seq, "more": False, "snapshot": desk.snapshot()}
    page = await _next_page(desk, asked.after, asked.limit)
    seq = desk.journal.seq
    return {"events": _encoded(page.entries), "seq": seq, "more": page.last < seq}


@handles(commands.SUBSCRIBE)
async def subscribe(
    connection: ClientConnection, asked: Subscribe, _token: types.ProgressToken | None
) -> SubscribeResult:
    """Set which events this client is sent; this applies to events with numbers greater than `seq`."""
    return {"events": asked.events, "seq": connection.feed.subscribe(asked.events)}


async def _next_page(desk: Desk, after: int, limit: int) -> JournalPage:
    """Return the next page that contains an event, if any."""
    page = await desk.journal.page(after, limit=limit)
    while not page.entries and page.last < desk.journal.seq:
        page = await desk.journal.page(page.last, limit=limit)
    return page


def _encoded(entries: Iterable[JournalEntry]) -> list[Event]:
    # Events are sent as the journal has them, and are never decoded here.
    return cast("list[Event]", [entry.to_json() for entry in entries])
