"""`status`, `shutdown`."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from analystd.protocol import Command
from analystd.server.connection import Connection, Handler
from analystd.server.handlers.base import object_schema
from analystd.tools.base import validate

STATUS = object_schema({})
SHUTDOWN = object_schema({}, {"now": {"type": "boolean"}})


async def status(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """The daemon as a whole."""
    validate(STATUS, arguments)
    return connection.hub.status()


async def shutdown(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Stop the daemon after its runs, or at once; gives `{"pid", "runs"}`, the runs that are waited for or cut off."""
    validate(SHUTDOWN, arguments)
    hub = connection.hub
    report = {"pid": hub.status()["pid"], "runs": [run.id for desk in hub.desks.values() for run in desk.runs.active]}
    if arguments.get("now", False):
        hub.stopping.set()
    else:
        hub.spawn(hub.stop_after_runs())
    return report


COMMANDS: dict[Command, Handler] = {Command.STATUS: status, Command.SHUTDOWN: shutdown}
