"""What the handlers share: waiting for a run on behalf of a client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lsprotocol import types

from analystd.desk.runs import AnyRun, DeskRun, R
from analystd.desk.segments import Event
from analystd.server.connection import ClientConnection
from analystd.wire.names import EventKind


async def follow(connection: ClientConnection, run: DeskRun[R], token: types.ProgressToken | None) -> R:
    """Wait for a run and return its result, sending `$/progress` meanwhile. A cancelled request cancels the run, and is answered at once.

    Raises:
        AnalystdError: when the run never started.
    """
    connection.progress(token, {"kind": "begin", "title": run.request.title, "cancellable": True})
    stop = (
        connection.desk.listen(lambda entry: _report(connection, run, token, entry.event))
        if token is not None
        else _nothing
    )
    try:
        return await run.result()
    except asyncio.CancelledError:
        if not connection.leaving:
            run.cancel(connection.asker)
        raise
    finally:
        stop()
        connection.progress(token, {"kind": "end"})


def _report(connection: ClientConnection, run: AnyRun, token: types.ProgressToken | None, event: Event) -> None:
    if event["run_id"] == run.id and (words := _PROGRESS_WORDS.get(event["kind"])):
        connection.progress(token, {"kind": "report", "message": words(event)})


_PROGRESS_WORDS: dict[str, Callable[[Event], str]] = {
    EventKind.RUN_STARTED: lambda event: "started",
    EventKind.TOOL_CALL: lambda event: f"{event['tool']} …",
    EventKind.TOOL_RESULT: lambda event: (
        f"{event['tool']}: {event['text'].splitlines()[0][:80] if event['text'] else 'done'}"
    ),
    EventKind.OUTPUT: lambda event: event["text"].strip().rpartition("\n")[2][:80],
}


def _nothing() -> None:
    return None
