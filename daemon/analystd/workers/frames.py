"""What goes over the channel between a worker and its parent; both sides import it, so it stays light."""

from __future__ import annotations

import json
import struct
from typing import Any

from analystd.util.strict_json import without_collection
from analystd.wire.errors import AnalystdError, error_of_kind

CHANNEL_FD_VARIABLE = "ANALYSTD_CHANNEL_FD"
DESCRIPTORS_FD_VARIABLE = "ANALYSTD_DESCRIPTORS_FD"
MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Maximum size of an answer, and of what a worker is asked."""

MAX_EVENT_FRAME_BYTES = 1024 * 1024
"""Maximum size of what a worker sends that is no answer: events may come without end."""

HEADER = struct.Struct(">I")

_MAX_TEXT = 64 * 1024


class UntrustworthyError(Exception):
    """A worker sent what no worker of ours sends: it is damaged, or was taken over."""


def frame(message: dict[str, Any]) -> bytes:
    """The bytes of one message."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return HEADER.pack(len(body)) + body


def error_data(error: AnalystdError) -> dict[str, Any]:
    """An error as it goes over the channel."""
    return {"kind": error.kind, "message": error.message, "hint": error.hint}


def remote_error(data: object) -> AnalystdError:
    """The error that came over the channel.

    Raises:
        UntrustworthyError: when it is none.
    """
    if not isinstance(data, dict):
        raise UntrustworthyError("an error that is no object")
    kind, message, hint = data.get("kind"), data.get("message"), data.get("hint")
    if not isinstance(kind, str) or not isinstance(message, str) or not isinstance(hint, str | None):
        raise UntrustworthyError("an error without kind or message")
    return error_of_kind(kind, message[:_MAX_TEXT], hint and hint[:_MAX_TEXT])


def decoded(body: bytes) -> dict[str, Any]:
    """The message in a frame.

    Raises:
        UntrustworthyError: when it is none.
    """
    try:
        with without_collection():
            message = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise UntrustworthyError(f"a frame that is no JSON ({exc})") from None
    if not isinstance(message, dict):
        raise UntrustworthyError("a frame that is no object")
    return message
