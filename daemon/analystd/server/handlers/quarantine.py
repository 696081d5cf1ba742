"""`listQuarantine`, `restoreQuarantine`, `discardQuarantine`."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from analystd.server.connection import ClientConnection, Handler
from analystd.server.handlers.base import STRING, object_schema
from analystd.tools.base import validate
from analystd.wire.protocol import Command

LIST_QUARANTINE = object_schema({})
RESTORE_QUARANTINE = object_schema({"id": STRING}, {"preview": {"type": "boolean"}, "digest": STRING})
DISCARD_QUARANTINE = object_schema({"id": STRING})


async def list_quarantine(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """List what was moved aside; a `QuarantineList`."""
    validate(LIST_QUARANTINE, arguments)
    return await connection.desk.quarantined.entries()


async def restore_quarantine(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """Put an entry back, or show what would be put back; a `RestoreResult`."""
    validate(RESTORE_QUARANTINE, arguments)
    if arguments.get("preview", False):
        return await connection.desk.quarantined.preview(arguments["id"])
    return await connection.desk.quarantined.restore(arguments["id"], arguments.get("digest"))


async def discard_quarantine(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """Remove an entry for good; a `RestoreResult`."""
    validate(DISCARD_QUARANTINE, arguments)
    return await connection.desk.quarantined.discard(arguments["id"])


COMMANDS: dict[Command, Handler] = {
    Command.LIST_QUARANTINE: list_quarantine,
    Command.RESTORE_QUARANTINE: restore_quarantine,
    Command.DISCARD_QUARANTINE: discard_quarantine,
}
