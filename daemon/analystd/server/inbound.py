"""Read and check the messages of one client; pass each to its handler, or answer it with an error as JSON-RPC and LSP require.

The checks cover the frame, the JSON, the message's form, the life cycle, the id, and the parameters against LSP's own structures. pygls does
the last only in part (it takes the number 7 for the text "7"), and little of the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from lsprotocol import types

from analystd.server.lsp_params import structured_params
from analystd.server.pygls_adapter import ConnectionProtocol
from analystd.server.send_queue import SendQueue
from analystd.server.trace import NoteMessage, no_trace
from analystd.wire import framing
from analystd.wire.errors import AnalystdError, InvalidArgumentsError
from analystd.wire.jsonrpc import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    Message,
    NotAMessageError,
    error_frame,
    message_in,
    shortened,
)

logger = logging.getLogger(__name__)

NOT_INITIALIZED = -32002

_LOGGED_CHARACTERS = 300
_LAST_SECONDS = 1.0
_QUICK_BYTES = 256 * 1024
"""Larger messages are decoded in a thread."""


class InboundMessages:
    """The reading half of a connection."""

    def __init__(
        self,
        protocol: ConnectionProtocol,
        outbox: SendQueue,
        touch: Callable[[], None],
        trace: NoteMessage = no_trace,
    ) -> None:
        self._protocol = protocol
        self._outbox = outbox
        self._touch = touch
        self._trace = trace
        self._decoded: asyncio.Future[Message] | None = None
        """The decoded form of the large message that `take` handles next."""

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Handle messages until the stream ends. After an invalid frame, send the client the reason and read no more messages."""
        try:
            while await self._read_one(reader):
                self._touch()
        except framing.FramingError as exc:
            self._log("%s; the connection is closed", exc)
            self._answer_error(None, PARSE_ERROR, f"What was sent is no LSP: {exc}")
            await _pass_over(reader)
        except OSError as exc:
            self._log("%s; the connection is lost", exc)

    def take(self, body: bytes) -> None:
        """Handle a message. Never raise, whatever the message is, and answer every request."""
        self._trace("in", body)
        decoded, self._decoded = self._decoded, None
        try:
            message = message_in(body) if decoded is None else decoded.result()
        except NotAMessageError as exc:
            self._log("%s", exc.text)
            self._answer_error(exc.request_id, exc.code, exc.text)
            return
        if "method" not in message:
            # The daemon sends its clients no requests, so there is nothing to respond to.
            self._log("a response to nothing: %s", message.get("id"))
        elif "id" in message:
            self._take_request(message["id"], message["method"], message)
        else:
            self._take_notification(message["method"], message)

    async def _read_one(self, reader: asyncio.StreamReader) -> bool:
        try:
            body = await framing.read_body(reader)
        except framing.SkippedMessageError as exc:
            self._log("%s", exc)
            self._answer_error(None, INVALID_REQUEST, f"Not read: {exc}")
            return True
        if body is not None:
            if len(body) > _QUICK_BYTES:
                self._decoded = asyncio.ensure_future(asyncio.to_thread(message_in, body))
                # Read the next message only after that, so that messages are handled in order.
                self._decoded.add_done_callback(lambda done: done.cancelled() or done.exception())
                await asyncio.wait([self._decoded])
            self.take(body)
        return body is not None

    def _take_request(self, request_id: str | int, method: str, message: Message) -> None:
        if self._protocol.is_under_way(request_id):
            text = f"The id {request_id!r} is that of another request, which is still under way"
            self._answer_error(request_id, INVALID_REQUEST, text)
        elif refusal := self._refusal(method):
            self._answer_error(request_id, *refusal)
        elif not self._serves(method, is_request=True):
            self._answer_error(request_id, METHOD_NOT_FOUND, f"There is no request '{method}' here")
        else:
            self._handle_request(request_id, method, message.get("params"))

    def _handle_request(self, request_id: str | int, method: str, params: Any) -> None:
        try:
            self._protocol.handle(method, structured_params(method, params), request_id)
        except AnalystdError as exc:
            self._answer_error(request_id, exc.code, exc.message, _data_of(exc, method))
        except Exception as exc:
            logger.exception("%s: the request '%s' could not be handled", self._outbox.name, shortened(method))
            text = f"Internal error: {type(exc).__name__}; the log has the details"
            self._answer_error(request_id, INTERNAL_ERROR, text)

    def _take_notification(self, method: str, message: Message) -> None:
        if method != types.EXIT and self._refusal(method):
            self._log("'%s' came at the wrong time", method)
        elif not self._serves(method, is_request=False):
            logger.debug("%s: no such notification: %s", self._outbox.name, shortened(method))
        else:
            try:
                # A client may leave, whatever the parameters of `exit` are.
                params = None if method == types.EXIT else message.get("params")
                self._protocol.handle(method, structured_params(method, params))
            except InvalidArgumentsError as exc:
                self._log("'%s' is passed over: %s", method, exc.message)
            except Exception:
                logger.exception("%s: '%s' could not be handled", self._outbox.name, method)

    def _refusal(self, method: str) -> tuple[int, str] | None:
        """Return the error code and text if LSP's life cycle forbids a message now, or None."""
        phase = self._protocol.phase
        if phase == "shut down":
            return INVALID_REQUEST, "The connection is shut down; only `exit` may follow"
        if phase == "opening":
            return NOT_INITIALIZED, "Wait for the answer to `initialize`"
        if phase == "new" and method != types.INITIALIZE:
            return NOT_INITIALIZED, "Send `initialize` first"
        if phase == "open" and method == types.INITIALIZE:
            return INVALID_REQUEST, "`initialize` was sent already"
        return None

    def _serves(self, method: str, *, is_request: bool) -> bool:
        """Return whether a request, or a notification, of this name is handled."""
        known = types.METHOD_TO_TYPES.get(method)
        return known is not None and (known[1] is not None) == is_request and self._protocol.serves(method)

    def _answer_error(
        self, request_id: str | int | None, code: int, text: str, data: dict[str, Any] | None = None
    ) -> None:
        self._outbox.write(error_frame(request_id, code, text, data))

    def _log(self, words: str, *values: object) -> None:
        shown = [shortened(str(value), _LOGGED_CHARACTERS) for value in values]
        logger.warning(f"%s: {words}", self._outbox.name, *shown)


async def _pass_over(reader: asyncio.StreamReader) -> None:
    """Discard what else a client sends, for a moment. If the connection closed at once, the client could not read the reason."""
    with contextlib.suppress(TimeoutError, OSError, ValueError):
        async with asyncio.timeout(_LAST_SECONDS):
            while await reader.read(1 << 16):
                pass


def _data_of(error: AnalystdError, method: str) -> dict[str, Any]:
    data = {"kind": error.kind, "run_id": error.run_id, "hint": error.hint}
    # In LSP, `retry` says whether the client should ask its user about sending `initialize` again.
    return {**data, "retry": False} if method == types.INITIALIZE else data
