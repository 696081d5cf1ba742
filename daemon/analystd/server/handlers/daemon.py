"""Handlers of `status` and `shutdown`."""

from __future__ import annotations

import os

from lsprotocol import types

from analystd.server.connection import ClientConnection
from analystd.server.handlers.registry import handles
from analystd.wire import commands
from analystd.wire.arguments import NoArguments, Shutdown
from analystd.wire.status import DaemonStatus, ShutdownResult


@handles(commands.STATUS)
async def status(
    connection: ClientConnection, _arguments: NoArguments, _token: types.ProgressToken | None
) -> DaemonStatus:
    """Return the state of the whole daemon."""
    return await connection.hub.status()


@handles(commands.SHUTDOWN)
async def shutdown(connection: ClientConnection, how: Shutdown, _token: types.ProgressToken | None) -> ShutdownResult:
    """Stop the daemon after its runs, or at once (`now`), or for a newer version (`hand_over`) if it holds no variables."""
    hub = connection.hub
    runs = [run.id for desk in hub.desks.values() for run in desk.runs.active]
    report: ShutdownResult = {"pid": os.getpid(), "runs": runs, "sessions": await hub.drain.kept()}
    if how.now:
        hub.stopping.set()
    elif how.hand_over:
        if not report["sessions"] and not hub.drain.makes_way:
            hub.spawn(hub.make_way(connection.version))
    else:
        hub.spawn(hub.stop_after_runs())
    return report
