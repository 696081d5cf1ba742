"""What the handlers share: argument schemas in short form, and waiting for a run on behalf of a client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, get_args

from lsprotocol import types

from analystd.desk.runs import DeskRun
from analystd.desk.segments import Event
from analystd.server.connection import ClientConnection
from analystd.tools.base import Schema
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.protocol import EventKind, Priority

STRING = {"type": "string"}
SESSION = {"type": "string", "minLength": 1, "maxLength": 64}
POSITIVE = {"type": "number", "exclusiveMinimum": 0}
PRIORITY = {"enum": list(get_args(Priority))}
COUNT = {"type": "integer", "minimum": 1}


def object_schema(required: dict[str, Any], optional: dict[str, Any] | None = None) -> Schema:
    """The schema of an object with these members and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def table(properties: dict[str, Any]) -> Schema:
    """Return the schema of an object with these members among others, or of the empty list as which Lua sends an empty table."""
    return {"type": ["object", "array"], "properties": properties, "maxItems": 0}


def require_enabled(enabled: bool, command: str, setting: str) -> None:
    """Refuse a command whose tool is switched off.

    Raises:
        InvalidArgumentsError: naming the setting.
    """
    if not enabled:
        raise InvalidArgumentsError(
            f"The command '{command}' is switched off", f"{setting}=false is in force for this workspace."
        )


async def follow(connection: ClientConnection, run: DeskRun, token: types.ProgressToken | None) -> dict[str, Any]:
    """The result of a run, with `$/progress` on the way. A cancelled request cancels the run and is answered at once.

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


def _report(connection: ClientConnection, run: DeskRun, token: types.ProgressToken | None, event: Event) -> None:
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
