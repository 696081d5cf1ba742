"""The frames on the channel between a worker and its parent; both sides import this module, so it stays light."""

from __future__ import annotations

import json
import struct
from typing import Any

from analystd.util.strict_json import without_collection
from analystd.wire.errors import AnalystdError, error_of_kind

CHANNEL_FD_VARIABLE = "ANALYSTD_CHANNEL_FD"
DESCRIPTORS_FD_VARIABLE = "ANALYSTD_DESCRIPTORS_FD"
MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Maximum size of requests and answers."""

MAX_EVENT_FRAME_BYTES = 1024 * 1024
"""Maximum size of a worker's other messages; the number of events is not limited."""

HEADER = struct.Struct(">I")

_MAX_TEXT = 64 * 1024


class UntrustworthyError(Exception):
    """A worker sent a message that violates the protocol: it is damaged, or was taken over."""


def frame(message: dict[str, Any]) -> bytes:
    """Return the bytes of one message."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return HEADER.pack(len(body)) + body


def error_data(error: AnalystdError) -> dict[str, Any]:
    """Return an error as it is sent over the channel."""
    return {"kind": error.kind, "message": error.message, "hint": error.hint}


def remote_error(data: object) -> AnalystdError:
    """Return the error that was received over the channel.

    Raises:
        UntrustworthyError: when it is malformed.
    """
    if not isinstance(data, dict):
        raise UntrustworthyError("an error that is not an object")
    kind, message, hint = data.get("kind"), data.get("message"), data.get("hint")
    if not isinstance(kind, str) or not isinstance(message, str) or not isinstance(hint, str | None):
        raise UntrustworthyError("an error without a kind or a message")
    return error_of_kind(kind, message[:_MAX_TEXT], hint and hint[:_MAX_TEXT])


def decoded(body: bytes) -> dict[str, Any]:
    """Return the message in a frame.

    Raises:
        UntrustworthyError: when it is malformed.
    """
    try:
        with without_collection():
            message = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise UntrustworthyError(f"a frame that is not JSON ({exc})") from None
    if not isinstance(message, dict):
        raise UntrustworthyError("a frame that is not an object")
    return message
