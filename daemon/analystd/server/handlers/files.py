"""`viewData`, `listFiles`, `readFile`, `writeFile`."""

from __future__ import annotations

import os
from typing import Any

from lsprotocol import types

from analystd.data.base import FileInJail, OpenFile
from analystd.data.question import Question
from analystd.errors import InvalidArgumentsError, WorkspaceError
from analystd.protocol import Command
from analystd.server.connection import Connection, Handler
from analystd.server.handlers.base import STRING, follow, require_enabled
from analystd.tools import files
from analystd.tools.base import Schema, validate
from analystd.tools.data_view import DATA_VIEW

VIEW_DATA: Schema = {
    **DATA_VIEW.parameters,
    "properties": {**DATA_VIEW.parameters["properties"], "uri": STRING},
    "required": ["operation"],
}


async def view_data(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Look at a table; the result is a `ViewResult`."""
    require_enabled(connection.desk.settings.enable_data_view, Command.VIEW_DATA, "AGENT_ENABLE_DATA_VIEW")
    validate(VIEW_DATA, arguments)
    if ("path" in arguments) == ("uri" in arguments):
        raise InvalidArgumentsError("Invalid arguments: give either 'path' or 'uri'")
    if "path" in arguments:
        return await connection.desk.view(FileInJail(arguments["path"]), Question.of(arguments))
    return await _view_uri(connection, arguments)


async def _view_uri(connection: Connection, arguments: dict[str, Any]) -> Any:
    """A file of the window's folders: opened here, read-only, and handed to the worker as a descriptor."""
    path = connection.document_path(arguments["uri"])
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as exc:
        raise WorkspaceError(f"{path} cannot be opened: {exc.strerror}") from exc
    try:
        return await connection.desk.view(OpenFile(path.name, descriptor), Question.of(arguments))
    finally:
        os.close(descriptor)


async def list_files(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """List a folder of the workspace."""
    _require_files(connection, Command.LIST_FILES)
    validate(files.LIST_FILES.parameters, arguments)
    return await files.list_files(connection.desk.data, arguments)


async def read_file(connection: Connection, arguments: dict[str, Any], _token: types.ProgressToken | None) -> Any:
    """Read lines of a file of the workspace."""
    _require_files(connection, Command.READ_FILE)
    validate(files.READ_FILE.parameters, arguments)
    return await files.read_file(connection.desk.data, arguments)


async def write_file(connection: Connection, arguments: dict[str, Any], token: types.ProgressToken | None) -> Any:
    """Write a file of the workspace; a run, since it changes something."""
    _require_files(connection, Command.WRITE_FILE)
    validate(files.WRITE_FILE.parameters, arguments)
    return await follow(connection, connection.desk.start_write(arguments, connection.name), token)


def _require_files(connection: Connection, command: Command) -> None:
    require_enabled(connection.desk.settings.enable_files, command, "AGENT_ENABLE_FILES")


COMMANDS: dict[Command, Handler] = {
    Command.VIEW_DATA: view_data,
    Command.LIST_FILES: list_files,
    Command.READ_FILE: read_file,
    Command.WRITE_FILE: write_file,
}
