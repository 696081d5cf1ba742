"""Handlers of `listFiles`, `readFile` and `writeFile`."""

from __future__ import annotations

from lsprotocol import types

from analystd.server.connection import ClientConnection
from analystd.server.handlers.base import follow
from analystd.server.handlers.registry import handles
from analystd.tools import files
from analystd.wire import commands
from analystd.wire.arguments import ListFiles, ReadFile, WriteFile
from analystd.wire.results import FileListing, FileText, WriteResult


@handles(commands.LIST_FILES)
async def list_files(connection: ClientConnection, asked: ListFiles, _token: types.ProgressToken | None) -> FileListing:
    """List a folder of the workspace."""
    connection.desk.presence.require()
    return await files.list_files(connection.desk.data, asked)


@handles(commands.READ_FILE)
async def read_file(connection: ClientConnection, asked: ReadFile, _token: types.ProgressToken | None) -> FileText:
    """Read lines of a file of the workspace."""
    connection.desk.presence.require()
    return await files.read_file(connection.desk.data, asked)


@handles(commands.WRITE_FILE)
async def write_file(connection: ClientConnection, asked: WriteFile, token: types.ProgressToken | None) -> WriteResult:
    """Write a file of the workspace; this is a run, because it changes the workspace."""
    return await follow(connection, connection.desk.start_write(asked, connection.asker), token)
