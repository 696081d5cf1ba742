"""Recognise JSON-RPC messages and word the errors for invalid ones. Knows nothing of LSP, and imports nothing heavy."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from analystd.util.inert_text import message_text
from analystd.util.strict_json import MAX_NESTING, NotEncodableError, encoded, is_nested_deeper, without_collection
from analystd.wire import framing
from analystd.wire.errors import ResourceLimitError

Message = dict[str, Any]

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603

_MAX_TEXT = 1000
_MAX_ID_CHARACTERS = 1 << 20
"""Maximum length of a request's id, which its answer repeats."""

logger = logging.getLogger(__name__)


class NotAMessageError(Exception):
    """The body is not a JSON-RPC message; `request_id` is the id of the intended request, if it can be determined."""

    def __init__(self, code: int, text: str, request_id: str | int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.request_id = request_id


def message_in(body: bytes) -> Message:
    """Return the message in a body. Its `method`, if any, is a string; the id of a request is a string or an integer.

    Raises:
        NotAMessageError: with the error that JSON-RPC prescribes for the body.
    """
    message = _json_in(body)
    if not isinstance(message, dict):
        raise NotAMessageError(INVALID_REQUEST, "The message is not an object; batches are not part of LSP")
    request_id = _id_in(message)
    if message.get("jsonrpc") != "2.0":
        raise NotAMessageError(INVALID_REQUEST, 'The message does not say "jsonrpc": "2.0"', request_id)
    if "method" not in message and ("id" not in message or not message.keys() & {"result", "error"}):
        raise NotAMessageError(INVALID_REQUEST, "The message has no method, and is no response either", request_id)
    if not isinstance(message.get("method", ""), str):
        raise NotAMessageError(INVALID_REQUEST, "The method's name is not text", request_id)
    if "id" in message and "method" in message:
        if request_id is None:
            raise NotAMessageError(INVALID_REQUEST, "The id of a request is text or an integer, and not too long")
        message["id"] = request_id
    return message


def error_message(
    request_id: str | int | None, code: int, text: str, data: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the message that answers a request with an error, which editors show; a very long text is shortened in the middle."""
    error: dict[str, Any] = {"code": code, "message": message_text(shortened(text))}
    if data is not None:
        told = {key: shortened(each) if isinstance(each, str) else each for key, each in data.items()}
        error["data"] = {**told, "hint": message_text(told["hint"])} if isinstance(told.get("hint"), str) else told
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


def error_frame(request_id: str | int | None, code: int, text: str, data: dict[str, Any] | None = None) -> bytes:
    """Return the same as bytes, header included."""
    return framing.frame(error_message(request_id, code, text, data))


def message_frame(message: Any, request_id: str | int | None, default: Callable[[Any], Any] | None = None) -> bytes:
    """Return the frame of a message that any client can read.

    An answer that is too large, or cannot be encoded, becomes an error answer to the same request. Such a notification (`request_id` is
    None) is not sent: the frame is empty, and the problem is logged.

    Args:
        message: The message.
        request_id: The request that it answers.
        default: Returns a substitute for a value that JSON cannot represent.
    """
    try:
        body = encoded(message, default)
        if len(body) <= framing.MAX_MESSAGE_BYTES:
            return framing.frame_body(body)
        problem = (
            f"The answer is of {len(body) / 1e6:.1f} MB, and {framing.MAX_MESSAGE_BYTES / 1e6:.1f} MB are the most"
        )
        data = {"kind": ResourceLimitError.kind, "run_id": None, "hint": "Ask for less at once."}
        code = ResourceLimitError.code
    except NotEncodableError as exc:
        problem, code, data = f"The answer has no form in JSON: {exc}", INTERNAL_ERROR, None
    logger.error("not sent: %s", problem)
    return b"" if request_id is None else error_frame(request_id, code, problem, data)


def shortened(text: str, limit: int = _MAX_TEXT) -> str:
    """Return a text from a client, shortened so that it can be logged and sent in an answer."""
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"


def _json_in(body: bytes) -> Any:
    try:
        with without_collection():
            value = json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError as exc:
        raise NotAMessageError(PARSE_ERROR, f"The message is not UTF-8: {exc.reason} at byte {exc.start}") from None
    except RecursionError:
        raise _too_deep(framing.answered_request(body)) from None
    except ValueError as exc:
        raise NotAMessageError(PARSE_ERROR, f"The message is not JSON: {exc}") from None
    if body.count(b"{") + body.count(b"[") > MAX_NESTING and is_nested_deeper(value, MAX_NESTING):
        raise _too_deep(_id_in(value) if isinstance(value, dict) and "method" in value else None)
    return value


def _too_deep(request_id: str | int | None) -> NotAMessageError:
    return NotAMessageError(PARSE_ERROR, f"The message nests more than {MAX_NESTING} objects and lists", request_id)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _id_in(message: Message) -> str | int | None:
    """Return the id as LSP allows it, or None; some languages write an integer as 1.0."""
    request_id = message.get("id")
    if isinstance(request_id, float) and request_id.is_integer():
        return int(request_id)
    if isinstance(request_id, bool) or not isinstance(request_id, str | int):
        return None
    return None if isinstance(request_id, str) and len(request_id) > _MAX_ID_CHARACTERS else request_id
