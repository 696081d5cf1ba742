"""Handlers of `listQuarantine`, `restoreQuarantine` and `discardQuarantine`."""

from __future__ import annotations

from lsprotocol import types

from analystd.server.connection import ClientConnection
from analystd.server.handlers.registry import handles
from analystd.wire import commands
from analystd.wire.arguments import DiscardQuarantine, NoArguments, RestoreQuarantine
from analystd.wire.results import QuarantineList, RestoreResult


@handles(commands.LIST_QUARANTINE)
async def list_quarantine(
    connection: ClientConnection, _arguments: NoArguments, _token: types.ProgressToken | None
) -> QuarantineList:
    """List the entries of the quarantine."""
    return await connection.desk.quarantined.entries()


@handles(commands.RESTORE_QUARANTINE)
async def restore_quarantine(
    connection: ClientConnection, asked: RestoreQuarantine, _token: types.ProgressToken | None
) -> RestoreResult:
    """Restore an entry, or show what would be restored."""
    if asked.preview:
        return await connection.desk.quarantined.preview(asked.id)
    return await connection.desk.quarantined.restore(asked.id, asked.digest)


@handles(commands.DISCARD_QUARANTINE)
async def discard_quarantine(
    connection: ClientConnection, asked: DiscardQuarantine, _token: types.ProgressToken | None
) -> RestoreResult:
    """Delete an entry permanently."""
    return await connection.desk.quarantined.discard(asked.id)
