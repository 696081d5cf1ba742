"""Adapt pygls, which assumes one client per process, to a daemon with many connections.

pygls does LSP's own bookkeeping: initialize, documents, handlers by method. `inbound.py` checks the incoming messages. This module answers
with errors, cancels requests, executes commands and ends connections.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Literal, Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter
from pygls.protocol.language_server import lsp_method

from analystd import __version__
from analystd.wire.errors import AnalystdError, InvalidArgumentsError
from analystd.wire.jsonrpc import INTERNAL_ERROR, error_message, message_frame
from analystd.wire.status import About

logger = logging.getLogger(__name__)

CANCELLED = -32800

Phase = Literal["new", "opening", "open", "shut down"]


class ProtocolOwner(Protocol):
    """The connection that a protocol object belongs to."""

    leaving: bool

    @property
    def name(self) -> str:
        """The name that is shown to people."""
        ...

    @property
    def command_names(self) -> list[str]:
        """The names of the commands that the client can execute."""
        ...

    async def open(self, params: types.InitializeParams) -> None:
        """Open the desk that `initialize` asks for, if any."""
        ...

    def about(self) -> About:
        """Return what `initialize` reports about the desk."""
        ...

    def begin(self) -> None:
        """Start to send messages to the client, which has the answer to `initialize`."""
        ...

    async def execute(self, command: str, arguments: dict[str, Any], token: types.ProgressToken | None) -> Any:
        """Execute a command."""
        ...

    def leave(self) -> None:
        """End the connection."""
        ...


class ConnectionProtocol(LanguageServerProtocol):
    """pygls' protocol for one connection of many."""

    _server: ConnectionServer
    phase: Phase = "new"
    """The current phase of LSP's life cycle."""

    def __init__(self, server: ConnectionServer, converter: Any) -> None:
        super().__init__(server, converter)
        self._working: dict[types.ProgressToken, asyncio.Task[Any]] = {}
        """The active requests, by the tokens under which their progress is reported."""

    def serves(self, method: str) -> bool:
        """Return whether the method has a handler."""
        return method == types.CANCEL_REQUEST or method in self.fm.builtin_features or method in self.fm.features

    def is_under_way(self, request_id: str | int) -> bool:
        """Return whether a request with this id has not been answered yet."""
        return request_id in self._request_futures

    def handle(self, method: str, params: Any, request_id: str | int | None = None) -> None:
        """Pass a checked message to its handler: a request, or a notification if it has no id."""
        if method == types.INITIALIZE:
            self.phase = "opening"
        context = contextvars.copy_context()
        if request_id is None:
            context.run(self._handle_notification, method, params)
        else:
            context.run(self._handle_request, request_id, method, params)

    def get_message_type(self, method: str) -> type[Any] | None:  # type: ignore[override]
        """Return the type of a message as pygls does, but without its cache, which keeps closed connections in memory."""
        return types.METHOD_TO_TYPES.get(method, (None,))[0]

    def abandon_requests(self) -> None:
        """Stop waiting for what the client requested; its runs continue."""
        for future in list(self._request_futures.values()):
            future.cancel()

    @lsp_method(types.INITIALIZE)
    async def lsp_initialize(self, params: types.InitializeParams) -> types.InitializeResult:  # type: ignore[override]
        """Open the desk, then answer as pygls does, with the commands and the state of the desk added. May be sent again after an error."""
        try:
            await self._server.connection.open(params)
            result = _outcome_of(super().lsp_initialize(params))
        except BaseException:
            self.phase = "new"
            raise
        self.phase = "open"
        result.capabilities.execute_command_provider = types.ExecuteCommandOptions(
            commands=self._server.connection.command_names, work_done_progress=True
        )
        result.capabilities.experimental = {"analystd": self._server.connection.about()}
        return result

    @lsp_method(types.INITIALIZED)
    def lsp_initialized(self, *_args: Any) -> None:
        """Show the notices, then start to send events."""
        self._server.connection.begin()

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *_args: Any) -> None:  # type: ignore[override]
        """End this connection's requests; the desk stays open."""
        self.phase = "shut down"
        self._server.connection.leaving = True
        self.abandon_requests()

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_args: Any) -> None:  # type: ignore[override]
        """End this connection and no other."""
        self._server.connection.leave()

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Any:  # type: ignore[override]
        """Execute one of the daemon's commands; `$/cancelRequest` cancels exactly this task."""
        arguments: list[Any] = list(params.arguments or [{}])
        if arguments == [[]]:
            # Lua has one empty table for both objects and lists.
            arguments = [{}]
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise InvalidArgumentsError("Invalid arguments: a command takes one object")
        with self._telling_progress(params.work_done_token) as token:
            return await self._server.connection.execute(params.command, arguments[0], token)

    @lsp_method(types.WINDOW_WORK_DONE_PROGRESS_CANCEL)
    def lsp_work_done_progress_cancel(self, params: types.WorkDoneProgressCancelParams) -> None:
        """Cancel the request whose progress is reported under the token."""
        if (task := self._working.get(params.token)) is not None:
            task.cancel()

    @contextmanager
    def _telling_progress(self, token: types.ProgressToken | None) -> Iterator[types.ProgressToken | None]:
        """Yield the token under which to report the current request's progress; None without a token, or if another request uses it."""
        task = asyncio.current_task()
        if token is None or task is None or token in self._working:
            yield None
            return
        self._working[token] = task
        try:
            yield token
        finally:
            del self._working[token]

    def _execute_handler(
        self,
        msg_id: str | int,
        handler: Callable[..., Any],
        callback: Callable[[Future[Any]], None],
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Run a handler as pygls does, but forget its outcome, which pygls keeps forever for every notification."""

        def done(future: Future[Any]) -> None:
            self._request_futures.pop(msg_id, None)
            callback(future)

        super()._execute_handler(msg_id, handler, done, args, kwargs)

    def _handle_cancel_notification(self, msg_id: str | int) -> None:
        """Cancel the task of a command, which then answers its request. Other requests end soon anyway; an unknown id is not an error."""
        future: Any = self._request_futures.get(msg_id)
        if isinstance(future, asyncio.Task):
            future.cancel()

    def _send_handler_result(self, future: Future[Any], *, msg_id: str | int) -> None:
        """Answer a request once. Errors have a code, a sentence and a hint, never a traceback."""
        if future.cancelled():
            self._send_error(msg_id, CANCELLED, "The request was cancelled")
            return
        error = future.exception()
        if error is None:
            self._send_response(msg_id, result=future.result())
        elif isinstance(error, AnalystdError):
            data = {"kind": error.kind, "run_id": error.run_id, "hint": error.hint}
            self._send_error(
                msg_id, error.code, error.message, data if self.phase != "new" else {**data, "retry": False}
            )
        elif isinstance(error, JsonRpcException):
            self._send_error(msg_id, error.code, error.message)
        else:
            logger.error("a request failed", exc_info=error)
            self._send_error(msg_id, INTERNAL_ERROR, f"Internal error: {type(error).__name__}; the log has the details")

    def _send_response(self, msg_id: str | int, result: Any = None, error: types.ResponseError | None = None) -> None:
        """Answer a request without pygls' traversal of the result, which is slow for large results and raises for deeply nested ones."""
        self._result_types.pop(msg_id, None)
        if error is not None:
            self._send_error(msg_id, error.code, error.message)
        else:
            self._send_data({"jsonrpc": "2.0", "id": msg_id, "result": result})

    def _send_error(self, msg_id: str | int, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        self._send_data(error_message(msg_id, code, message, data))

    def _send_data(self, data: Any) -> None:
        """Encode and queue a message, without logging its content as pygls does. If a result cannot be sent, send an error instead."""
        if data and self.writer is not None:
            request_id = data.get("id") if isinstance(data, dict) else None
            if frame := message_frame(data, request_id, self._serialize_message):
                self.writer.write(frame)


def _outcome_of(handler: Generator[Any, Any, types.InitializeResult]) -> types.InitializeResult:
    """Return the result of a pygls handler, a generator that must not wait for another handler."""
    try:
        next(handler)
    except StopIteration as end:
        outcome: types.InitializeResult = end.value
        return outcome
    raise RuntimeError("pygls asks for a handler of `initialize` that was never registered")


class ConnectionServer(LanguageServer):
    """A pygls server object that knows its connection."""

    protocol: ConnectionProtocol

    def __init__(self, connection: ProtocolOwner) -> None:
        self.connection = connection
        super().__init__(
            "analystd",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Full,
            protocol_cls=ConnectionProtocol,
            converter_factory=default_converter,
        )

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log an error, which pygls would show to the user as a message."""
        logger.warning("%s: %s", self.connection.name, error)
