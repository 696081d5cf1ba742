"""Handler of `viewData`: views of a table with filters, sorting and profiles, and the progress of long work."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from lsprotocol import types

from analystd.data.base import FileInJail, OpenFile, Source
from analystd.data.view_request import ViewRequest
from analystd.server.connection import ClientConnection
from analystd.server.documents import open_document
from analystd.server.handlers.registry import handles
from analystd.wire import commands
from analystd.wire.arguments import ViewData
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ViewResult

_NO_DELIMITERS = frozenset(string.ascii_letters + string.digits + "\"'\r\n\0")


@handles(commands.VIEW_DATA)
async def view_data(connection: ClientConnection, asked: ViewData, token: types.ProgressToken | None) -> ViewResult:
    """Return a view of a table."""
    require_answerable(asked)
    with _source(connection, asked) as source, reading(connection, token, _name(source)) as report:
        return await connection.desk.view(source, ViewRequest.of(asked), report)


def require_answerable(asked: ViewData) -> None:
    """Refuse arguments that match the schema but cannot be answered.

    Raises:
        InvalidArgumentsError: when the arguments cannot be answered.
    """
    if (asked.path is None) == (asked.uri is None):
        raise InvalidArgumentsError("Invalid arguments: give either 'path' or 'uri'")
    if asked.delimiter is not None and not _can_delimit(asked.delimiter):
        raise InvalidArgumentsError(
            f"Invalid arguments: the delimiter is {asked.delimiter!r}",
            "It can be one ASCII character that is no letter, digit, quote or line end.",
        )


@contextmanager
def reading(
    connection: ClientConnection, token: types.ProgressToken | None, name: str
) -> Iterator[Callable[[float], None] | None]:
    """Yield a function that reports the progress of reading a file; None if the client gave no token for it."""
    if token is None:
        yield None
        return
    progress = _Progress(connection, token, f"Reading {name}")
    try:
        yield progress.report
    finally:
        progress.end()


class _Progress:
    """The `$/progress` of one request. It begins with the first report, so that work that is done at once sends none."""

    def __init__(self, connection: ClientConnection, token: types.ProgressToken, title: str) -> None:
        self._connection = connection
        self._token = token
        self._title = title
        self._percentage: int | None = None
        self._is_over = False

    def report(self, done: float) -> None:
        """Report the part that is done, from 0 to 1, if it has grown. After the end, send nothing."""
        percentage = min(max(int(100 * done), 0), 100)
        if self._is_over:
            return
        if self._percentage is None:
            self._percentage = 0
            self._send("begin", title=self._title, cancellable=True, percentage=0)
        if percentage > self._percentage:
            self._percentage = percentage
            self._send("report", percentage=percentage)

    def end(self) -> None:
        """Send the end, if the progress has begun. The worker of a cancelled request may still report for a moment."""
        if self._percentage is not None and not self._is_over:
            self._send("end")
        self._is_over = True

    def _send(self, kind: str, **more: Any) -> None:
        self._connection.progress(self._token, {"kind": kind, **more})


@contextmanager
def _source(connection: ClientConnection, asked: ViewData) -> Iterator[Source]:
    """Yield the requested file. A file in one of the window's folders is opened here, read-only, and passed on as a descriptor."""
    if asked.uri is None:
        assert asked.path is not None
        yield FileInJail(asked.path)
        return
    path, descriptor = open_document(asked.uri, connection.folders, connection.desk.workspace)
    try:
        yield OpenFile(path.name, descriptor)
    finally:
        os.close(descriptor)


def _name(source: Source) -> str:
    return source.name if isinstance(source, OpenFile) else PurePath(source.path).name


def _can_delimit(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in _NO_DELIMITERS
