"""The LSP edge: one pygls server object per connection, over the shared hub. Only this module and `handlers/` know pygls.

pygls keeps LSP's own bookkeeping (initialize, documents, message types). Reading, answering errors, cancelling and leaving are done here,
since pygls is made for one client per process.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol, default_converter
from pygls.protocol.language_server import lsp_method

from analystd import __version__, framing
from analystd.desk.desk import Desk
from analystd.desk.journal import Event
from analystd.errors import AnalystdError, InvalidArgumentsError, WorkspaceError
from analystd.protocol import EVENT_METHOD, PROTOCOL_VERSION
from analystd.server.hub import Hub
from analystd.server.outbox import Outbox

logger = logging.getLogger(__name__)

NOT_INITIALIZED = -32002
INVALID_REQUEST = -32600
PARSE_ERROR = -32700
CANCELLED = -32800

Handler = Callable[["Connection", dict[str, Any], "types.ProgressToken | None"], Awaitable[Any]]


class Connection:
    """One client: its desk, its open folders, and what it was sent."""

    def __init__(
        self, hub: Hub, name: str, environment: Mapping[str, str], outbox: Outbox, commands: Mapping[str, Handler]
    ) -> None:
        self.hub = hub
        self.name = name
        self.environment = dict(environment)
        self.commands = commands
        self.leaving = False
        """Whether the client is taking leave, so that its requests end and its runs do not."""
        self._exited = asyncio.Event()
        self._outbox = outbox
        self._desk: Desk | None = None
        self._stop_listening: Callable[[], None] = lambda: None
        self._notices: list[str] = []
        self._server = _Server(self)
        self._protocol = self._server.protocol
        self._protocol.set_writer(outbox)

    @property
    def desk(self) -> Desk:
        """The desk that `initialize` opened."""
        assert self._desk is not None
        return self._desk

    @property
    def is_open(self) -> bool:
        """Whether `initialize` has opened a desk."""
        return self._desk is not None

    @property
    def folders(self) -> list[Path]:
        """The window's workspace folders."""
        workspace = self._server.workspace
        uris = list(workspace.folders) or ([workspace.root_uri] if workspace.root_uri else [])
        return [path for uri in uris if (path := path_of_uri(uri)) is not None]

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Read and handle messages until the client leaves; nothing that it sends ends more than this connection."""
        reading = asyncio.create_task(self._read(reader))
        leaving = asyncio.create_task(self._exited.wait())
        try:
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leaving = True
            for task in (reading, leaving):
                task.cancel()
            await asyncio.gather(reading, leaving, return_exceptions=True)
            self._stop_listening()
            self._protocol.abandon_requests()
            await self._outbox.aclose()

    def leave(self) -> None:
        """End this connection."""
        self._exited.set()

    async def open(self, params: types.InitializeParams) -> None:
        """Open the desk that `initialize` asks for, and hear its events from now on."""
        folder = _workspace_folder(params)
        self._desk, self._notices = await self.hub.desk(folder, self._settings_of(params))
        self._stop_listening = self._desk.listen(self._send_event)

    def about(self) -> dict[str, Any]:
        """What `initialize` tells of the desk, in `capabilities.experimental.analystd`."""
        sandbox = self.hub.sandbox
        return {
            "protocol": PROTOCOL_VERSION,
            "client": self.name,
            "desk": self.desk.workspace.root.name,
            "workspace": str(self.desk.workspace.root),
            "sandbox": {"level": sandbox.level, "reason": sandbox.reason},
            "engine": {"kind": self.hub.engine.info().kind, "model": self.hub.engine.info().model},
            "seq": self.desk.journal.seq,
            "notices": self._notices,
        }

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        self._outbox.write(framing.frame({"jsonrpc": "2.0", "method": method, "params": params}))

    def progress(self, token: types.ProgressToken | None, value: Mapping[str, Any]) -> None:
        """Send `$/progress` for a token of the client's own; nothing without one."""
        if token is not None:
            self.notify("$/progress", {"token": token, "value": dict(value)})

    def tell_notices(self) -> None:
        """Show what is wrong with the client's settings."""
        for notice in self._notices:
            self.notify("window/showMessage", {"type": types.MessageType.Warning.value, "message": notice})

    def document_path(self, uri: str) -> Path:
        """The file of a `uri` that this window may show.

        Raises:
            WorkspaceError: when it is no file, or lies outside the window's folders.
        """
        path = path_of_uri(uri)
        if path is None:
            raise WorkspaceError(f"Not a file: {uri}", "Only file: URIs can be viewed.")
        real = Path(path).resolve()
        if not any(real.is_relative_to(folder.resolve()) for folder in [*self.folders, self.desk.workspace.root]):
            raise WorkspaceError(
                f"{path} is outside this window's folders",
                "Open its folder in the editor, or copy it into the workspace.",
            )
        return real

    def _send_event(self, event: Event) -> None:
        self.notify(EVENT_METHOD, event)

    def _settings_of(self, params: types.InitializeParams) -> dict[str, str]:
        options = params.initialization_options
        given = options.get("settings") if isinstance(options, dict) else None
        return {**self.environment, **{str(name): str(value) for name, value in (given or {}).items()}}

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while (body := await framing.read_body(reader)) is not None:
                self.hub.touch()
                self._handle_body(body)
        except (framing.FramingError, OSError) as exc:
            logger.warning("%s: %s; the connection is closed", self.name, exc)
            self._answer_error(None, PARSE_ERROR, str(exc))

    def _handle_body(self, body: bytes) -> None:
        try:
            message = json.loads(body)
        except (ValueError, RecursionError) as exc:
            self._answer_error(None, PARSE_ERROR, f"The message is not JSON: {exc}")
            return
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            self._answer_error(
                _id_of(message),
                INVALID_REQUEST,
                "The message is not a JSON-RPC 2.0 object; batches are not part of LSP",
            )
            return
        # Requests without parameters may leave them out; pygls' fallback for unknown methods may not.
        message.setdefault("params", None)
        if refusal := self._protocol.refusal(message):
            if "id" in message:
                self._answer_error(_id_of(message), *refusal)
            return
        try:
            self._protocol.handle_message(self._protocol.structure_message(message))
        except JsonRpcException as exc:
            if "id" in message and "method" in message:
                self._answer_error(_id_of(message), exc.code, f"Invalid parameters for {message['method']}")
        except Exception:
            logger.exception("%s sent a message that could not be handled", self.name)
            if "id" in message and "method" in message:
                self._answer_error(_id_of(message), INVALID_REQUEST, "The message could not be understood")

    def _answer_error(self, request_id: str | int | None, code: int, text: str) -> None:
        self._outbox.write(
            framing.frame({"jsonrpc": "2.0", "id": request_id, "error": {"code": code, "message": text}})
        )


class _Protocol(LanguageServerProtocol):
    """pygls' protocol for one connection of many."""

    _server: _Server

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
            commands=sorted(connection.commands), work_done_progress=True
        )
        result.capabilities.experimental = {"analystd": connection.about()}
        return result

    @lsp_method(types.INITIALIZED)
    def lsp_initialized(self, *_args: Any) -> None:
        """Tell what is wrong with the settings, once."""
        self._server.connection.tell_notices()

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
        connection = self._server.connection
        handler = connection.commands.get(params.command)
        if handler is None:
            raise InvalidArgumentsError(f"Unknown command '{params.command}'")
        arguments: list[Any] = list(params.arguments or [{}])
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            raise InvalidArgumentsError("Invalid arguments: a command takes one object")
        return await handler(connection, arguments[0], params.work_done_token)

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
            self._send_error(msg_id, -32603, f"Internal error: {type(error).__name__}; the log has the details")

    def _send_error(self, msg_id: str | int, code: int, message: str, data: dict[str, Any] | None = None) -> None:
        self._send_response(msg_id, error=types.ResponseError(code=code, message=message, data=data))

    def _send_data(self, data: Any) -> None:
        """Encode and queue a message, without pygls' log line of its whole content."""
        if data and self.writer is not None:
            body = json.dumps(data, default=self._serialize_message, ensure_ascii=False).encode(
                "utf-8", "surrogatepass"
            )
            self.writer.write(framing.frame_body(body))


class _Server(LanguageServer):
    """pygls' server object, which knows its connection."""

    protocol: _Protocol

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        super().__init__(
            "analystd",
            __version__,
            text_document_sync_kind=types.TextDocumentSyncKind.Full,
            protocol_cls=_Protocol,
            converter_factory=default_converter,
        )

    def report_server_error(self, error: Exception, source: Any) -> None:
        logger.warning("%s: %s", self.connection.name, error)


def path_of_uri(uri: str) -> Path | None:
    """The local path of a `file:` URI, or None for another kind."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path))


def _workspace_folder(params: types.InitializeParams) -> Path:
    options = params.initialization_options
    if isinstance(options, dict) and isinstance(options.get("workspace"), str):
        named = Path(options["workspace"]).expanduser()
        if named.is_absolute():
            return named
        return (_root(params) or Path.cwd()) / named
    root = _root(params)
    if root is None:
        raise WorkspaceError("No folder is open", "Open a folder, or set `analystd.workspace`.")
    return root / "workspace"


def _root(params: types.InitializeParams) -> Path | None:
    for uri in [*(folder.uri for folder in params.workspace_folders or []), params.root_uri]:
        if uri and (path := path_of_uri(uri)):
            return path
    return Path(params.root_path) if params.root_path else None


def _id_of(message: Any) -> str | int | None:
    request_id = message.get("id") if isinstance(message, dict) else None
    return request_id if isinstance(request_id, str | int) else None


async def introduce(
    reader: asyncio.StreamReader, token: str, about: Mapping[str, Any], writer: asyncio.StreamWriter
) -> dict[str, Any] | None:
    """Read a client's hello and answer it; None for a stranger, who is told nothing more than that."""
    with contextlib.suppress(framing.FramingError, ValueError, OSError, asyncio.IncompleteReadError):
        body = await asyncio.wait_for(framing.read_body(reader), 10.0)
        message = json.loads(body or b"null")
        params = message.get("params", {})
        if hmac.compare_digest(str(params.get("token")).encode(), token.encode()):
            writer.write(framing.frame({"jsonrpc": "2.0", "id": message["id"], "result": dict(about)}))
            await writer.drain()
            return dict(params)
        writer.write(
            framing.frame({"jsonrpc": "2.0", "id": 0, "error": {"code": INVALID_REQUEST, "message": "wrong token"}})
        )
    return None
