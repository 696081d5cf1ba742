"""`listFiles`, `readFile`, `writeFile`."""

from __future__ import annotations

from typing import Any

from lsprotocol import types

from analystd.server.connection import ClientConnection, Handler
from analystd.server.handlers.base import follow, require_enabled
from analystd.tools import files
from analystd.tools.base import validate
from analystd.wire.protocol import Command


async def list_files(
    connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None
) -> Any:
    """List a folder of the workspace."""
    _require_files(connection, Command.LIST_FILES)
    validate(files.LIST_FILES.parameters, arguments)
    return await files.list_files(connection.desk.data, arguments)


async def read_file(connection: ClientConnection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Read lines of a file of the workspace."""
    _require_files(connection, Command.READ_FILE)
    validate(files.READ_FILE.parameters, arguments)
    return await files.read_file(connection.desk.data, arguments)


async def write_file(connection: ClientConnection, arguments: dict[str, Any], token: types.ProgressToken | None) -> Any:
    """Write a file of the workspace; a run, since it changes something."""
    _require_files(connection, Command.WRITE_FILE)
    validate(files.WRITE_FILE.parameters, arguments)
    return await follow(connection, connection.desk.start_write(arguments, connection.asker), token)


def _require_files(connection: ClientConnection, command: Command) -> None:
    require_enabled(connection.desk.settings.enable_files, command, "AGENT_ENABLE_FILES")
    connection.desk.presence.require()


COMMANDS: dict[Command, Handler] = {
    Command.LIST_FILES: list_files,
    Command.READ_FILE: read_file,
    Command.WRITE_FILE: write_file,
}
