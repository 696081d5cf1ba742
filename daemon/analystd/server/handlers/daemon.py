"""`status`, `shutdown`."""

from __future__ import annotations

import os
from typing import Any

from lsprotocol import types

from analystd.server.connection import ClientConnection, Handler
from analystd.server.handlers.base import object_schema
from analystd.tools.base import validate
from analystd.wire.protocol import Command

STATUS = object_schema({})
SHUTDOWN = object_schema({}, {"now": {"type": "boolean"}, "hand_over": {"type": "boolean"}})


async def status(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """The daemon as a whole."""
    validate(STATUS, arguments)
    return await connection.hub.status()


async def shutdown(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Stop the daemon after its runs, or at once (`now`), or for a newer version (`hand_over`) if it holds no variables.

    Gives `{"pid", "runs", "sessions"}`: the runs that are waited for or cut off, and the sessions that hold variables.
    """
    validate(SHUTDOWN, arguments)
    hub = connection.hub
    runs = [run.id for desk in hub.desks.values() for run in desk.runs.active]
    report = {"pid": os.getpid(), "runs": runs, "sessions": await hub.drain.kept()}
    if arguments.get("now", False):
        hub.stopping.set()
    elif arguments.get("hand_over", False):
        if not report["sessions"] and not hub.drain.makes_way:
            hub.spawn(hub.make_way(connection.version))
    else:
        hub.spawn(hub.stop_after_runs())
    return report


COMMANDS: dict[Command, Handler] = {Command.STATUS: status, Command.SHUTDOWN: shutdown}
