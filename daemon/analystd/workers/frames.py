"""What goes over the channel between a worker and its parent; both sides import it, so it stays light."""

from __future__ import annotations

import json
import struct
from typing import Any

from analystd.errors import AnalystdError, error_of_kind

CHANNEL_FD_VARIABLE = "ANALYSTD_CHANNEL_FD"
DESCRIPTORS_FD_VARIABLE = "ANALYSTD_DESCRIPTORS_FD"
MAX_FRAME_BYTES = 256 * 1024 * 1024
HEADER = struct.Struct(">I")


def frame(message: dict[str, Any]) -> bytes:
    """The bytes of one message."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    return HEADER.pack(len(body)) + body


def error_data(error: AnalystdError) -> dict[str, Any]:
    """An error as it goes over the channel."""
    return {"kind": error.kind, "message": error.message, "hint": error.hint}


def remote_error(data: dict[str, Any]) -> AnalystdError:
    """The error that came over the channel."""
    return error_of_kind(data["kind"], data["message"], data.get("hint"))
