"""`viewData`: a table as a person asks for it, with filters, an order, profiles, and word of how far long work is."""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

from lsprotocol import types

from analystd.data.base import FileInJail, OpenFile, Source
from analystd.data.view_request import OPERATORS, ViewRequest
from analystd.server.connection import ClientConnection, Handler
from analystd.server.documents import open_document
from analystd.server.handlers.base import STRING, object_schema, require_enabled
from analystd.tools.base import Schema, validate
from analystd.tools.data_view import DATA_VIEW
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.protocol import Command

_TOOL = DATA_VIEW.parameters["properties"]

_VALUE = {"type": ["number", "string", "boolean", "null"]}
_VALUES = {"type": "array", "items": _VALUE, "maxItems": 1000}
_WITHOUT_VALUE = ("missing", "present")
_WITH_VALUE = tuple(op for op in OPERATORS if op not in ("in", *_WITHOUT_VALUE))


def _if_op(ops: tuple[str, ...], value: Schema, required: tuple[str, ...] = ()) -> Schema:
    """What a condition's value must be for some of the operators."""
    return {
        "if": {"properties": {"op": {"enum": list(ops)}}, "required": ["op"]},
        "then": {"properties": {"value": value}, "required": list(required)},
    }


_CONDITION: Schema = {
    **object_schema({"column": STRING, "op": {"enum": list(OPERATORS)}}, {"value": {}}),
    "allOf": [
        _if_op(_WITH_VALUE, _VALUE, ("value",)),
        _if_op(("in",), _VALUES, ("value",)),
        _if_op(_WITHOUT_VALUE, {"type": "null"}),
    ],
}
_SORT_KEY = object_schema({"column": STRING}, {"descending": {"type": "boolean"}})

VIEW_DATA: Schema = {
    **DATA_VIEW.parameters,
    "properties": {
        **_TOOL,
        # A profile is for people: a small model has enough to choose from.
        "operation": {"enum": [*_TOOL["operation"]["enum"], "profile"]},
        "uri": STRING,
        "filter": {"type": "array", "items": _CONDITION, "maxItems": 32},
        "sort": {"type": "array", "items": _SORT_KEY, "maxItems": 8},
        "delimiter": STRING,
    },
    "required": ["operation"],
}

_NO_DELIMITERS = frozenset(string.ascii_letters + string.digits + "\"'\r\n\0")


async def view_data(connection: ClientConnection, arguments: dict[str, Any], token: types.ProgressToken | None) -> Any:
    """Look at a table; the result is a `ViewResult`."""
    require_enabled(connection.desk.settings.enable_data_view, Command.VIEW_DATA, "AGENT_ENABLE_DATA_VIEW")
    question = checked_question(arguments)
    with _source(connection, arguments) as source, reading(connection, token, _name(source)) as report:
        return await connection.desk.view(source, question, report)


def checked_question(arguments: dict[str, Any]) -> ViewRequest:
    """The question in the arguments of `viewData`.

    Raises:
        InvalidArgumentsError: when they ask for nothing that can be answered.
    """
    validate(VIEW_DATA, arguments)
    if ("path" in arguments) == ("uri" in arguments):
        raise InvalidArgumentsError("Invalid arguments: give either 'path' or 'uri'")
    delimiter = arguments.get("delimiter")
    if delimiter is not None and not _can_delimit(delimiter):
        raise InvalidArgumentsError(
            f"Invalid arguments: the delimiter is {delimiter!r}",
            "It can be one ASCII character that is no letter, digit, quote or line end.",
        )
    return ViewRequest.of(arguments)


@contextmanager
def reading(
    connection: ClientConnection, token: types.ProgressToken | None, name: str
) -> Iterator[Callable[[float], None] | None]:
    """What to tell how far the reading of a file is; None when the client gave no token, and so does not care."""
    if token is None:
        yield None
        return
    progress = _Progress(connection, token, f"Reading {name}")
    try:
        yield progress.report
    finally:
        progress.end()


class _Progress:
    """`$/progress` of one request. It begins with the first report, so that nothing is said of what is done at once."""

    def __init__(self, connection: ClientConnection, token: types.ProgressToken, title: str) -> None:
        self._connection = connection
        self._token = token
        self._title = title
        self._percentage: int | None = None
        self._is_over = False

    def report(self, done: float) -> None:
        """Tell what part is done, from 0 to 1, if it is more than was told. After the end nothing is sent."""
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
        """Say that it is over, if it was begun; the worker of a cancelled request may still report for a moment."""
        if self._percentage is not None and not self._is_over:
            self._send("end")
        self._is_over = True

    def _send(self, kind: str, **more: Any) -> None:
        self._connection.progress(self._token, {"kind": kind, **more})


@contextmanager
def _source(connection: ClientConnection, arguments: dict[str, Any]) -> Iterator[Source]:
    """The file that is asked for. One of the window's folders is opened here, read-only, and handed over as a descriptor."""
    if "path" in arguments:
        yield FileInJail(arguments["path"])
        return
    path, descriptor = open_document(arguments["uri"], connection.folders, connection.desk.workspace)
    try:
        yield OpenFile(path.name, descriptor)
    finally:
        os.close(descriptor)


def _name(source: Source) -> str:
    return source.name if isinstance(source, OpenFile) else PurePath(source.path).name


def _can_delimit(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text not in _NO_DELIMITERS


COMMANDS: dict[Command, Handler] = {Command.VIEW_DATA: view_data}
