"""LSP as pygls has it, changed where pygls takes one client per process for granted.

pygls keeps LSP's own bookkeeping: initialize, documents, message types. Answering errors, cancelling, commands and leaving are done here.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, Protocol

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter
from pygls.protocol.language_server import lsp_method

from analystd import __version__, framing
from analystd.errors import AnalystdError, InvalidArgumentsError

logger = logging.getLogger(__name__)

NOT_INITIALIZED = -32002
INVALID_REQUEST = -32600
PARSE_ERROR = -32700
CANCELLED = -32800
INTERNAL_ERROR = -32603


class Owner(Protocol):
    """The connection that a protocol object belongs to."""

    leaving: bool

    @property
    def name(self) -> str:
        """What people are shown."""
        ...

    @property
    def is_open(self) -> bool:
        """Whether `initialize` was carried out."""
        ...

    @property
    def command_names(self) -> list[str]:
        """The commands that can be executed."""
        ...

    async def open(self, params: types.InitializeParams) -> None:
        """Open the desk that `initialize` asks for, if any."""
        ...

    def about(self) -> dict[str, Any]:
        """What `initialize` tells of the desk."""
        ...

    def begin(self) -> None:
        """The client has the answer to `initialize`: it may be told things."""
        ...

    async def execute(self, command: str, arguments: dict[str, Any], token: types.ProgressToken | None) -> Any:
        """Carry out a command."""
        ...

    def leave(self) -> None:
        """End the connection."""
        ...


class ConnectionProtocol(LanguageServerProtocol):
    """pygls' protocol for one connection of many."""

    _server: ConnectionServer

    def refusal(self, message: dict[str, Any]) -> tuple[int, str] | None:
        """Why LSP's life cycle forbids this message now, as code and text, or None."""
        method = message.get("method")
        if method is None or method == types.EXIT:
            return None
        if self._shutdown:
            return INVALID_REQUEST, "The connection is shut down; only `exit` may follow"
        initialized = self._server.connection.is_open
        if not initialized and method != types.INITIALIZE:
            return NOT_INITIALIZED, "Send `initialize` first"
        if initialized and method == types.INITIALIZE:
            return INVALID_REQUEST, "`initialize` was sent already"
        return None

    def abandon_requests(self) -> None:
        """Stop waiting for what the client asked; runs go on."""
        for future in list(self._request_futures.values()):
            future.cancel()

    @lsp_method(types.INITIALIZE)
    def lsp_initialize(self, params: types.InitializeParams) -> Generator[Any, Any, types.InitializeResult]:
        """Open the desk, then answer as pygls does, with our commands and what we say of ourselves."""
        connection = self._server.connection
        yield connection.open, (params,), None
        result = yield from super().lsp_initialize(params)
        result.capabilities.execute_command_provider = types.ExecuteCommandOptions(
            commands=connection.command_names, work_done_progress=True
        )
        result.capabilities.experimental = {"analystd": connection.about()}
        return result

    @lsp_method(types.INITIALIZED)
    def lsp_initialized(self, *_args: Any) -> None:
        """Tell what the client should know."""
        self._server.connection.begin()

    @lsp_method(types.SHUTDOWN)
    def lsp_shutdown(self, *_args: Any) -> None:  # type: ignore[override]
        """End this connection's requests; the desk goes on."""
        self._shutdown = True
        self._server.connection.leaving = True
        self.abandon_requests()

    @lsp_method(types.EXIT)
    def lsp_exit(self, *_args: Any) -> None:  # type: ignore[override]
        """End this connection and no other."""
        self._server.connection.leave()

    @lsp_method(types.WORKSPACE_EXECUTE_COMMAND)
    async def lsp_workspace__execute_command(self, params: types.ExecuteCommandParams) -> Any:  # type: ignore[override]
        """Carry out one of our commands; `$/cancelRequest` cancels this very task."""
        arguments: list[Any] = list(params.arguments or [{}])
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise InvalidArgumentsError("Invalid arguments: a command takes one object")
        return await self._server.connection.execute(params.command, arguments[0], params.work_done_token)

    def _send_handler_result(self, future: Future[Any], *, msg_id: str | int) -> None:
        """Answer a request once; errors carry a code, a sentence and a hint, and never a traceback."""
        self._request_futures.pop(msg_id, None)
        if future.cancelled():
            self._send_error(msg_id, CANCELLED, "The request was cancelled")
            return
        error = future.exception()
        if error is None:
            self._send_response(msg_id, result=future.result())
        elif isinstance(error, AnalystdError):
            data = {"kind": error.kind, "run_id": error.run_id, "hint": error.hint}
            self._send_error(msg_id, error.code, error.message, data)
        elif isinstance(error, JsonRpcException):
            self._send_error(msg_id, error.code, error.message)
        else:
            logger.error("a request failed", exc_info=error)
            self._send_error(msg_id, INTERNAL_ERROR, f"Internal error: {type(error).__name__}; the log has the details")

    def _send_error(self, msg_id: str | int, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        self._send_response(msg_id, error=types.ResponseError(code=code, message=message, data=data))

    def _send_data(self, data: Any) -> None:
        """Encode and queue a message, without pygls' log line of its whole content."""
        if data and self.writer is not None:
            body = json.dumps(data, default=self._serialize_message, ensure_ascii=False).encode(
                "utf-8", "surrogatepass"
            )
            self.writer.write(framing.frame_body(body))


class ConnectionServer(LanguageServer):
    """pygls' server object, which knows its connection."""

    protocol: ConnectionProtocol

    def __init__(self, connection: Owner) -> None:
        self.connection = connection
        super().__init__(
            "analystd",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Full,
            protocol_cls=ConnectionProtocol,
            converter_factory=default_converter,
        )

    def report_server_error(self, error: Exception, source: Any) -> None:
        """Log what pygls would show to the user as a message."""
        logger.warning("%s: %s", self.connection.name, error)
