"""The hello that opens every connection to the daemon's socket: who has the token of this start may speak LSP."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from analystd import framing

_HELLO_SECONDS = 10.0
_REFUSED = -32600


async def introduce(
    reader: asyncio.StreamReader, token: str, about: Mapping[str, Any], writer: asyncio.StreamWriter
) -> dict[str, Any] | None:
    """Read a client's hello and answer it; None for a stranger, who is told nothing more than that."""
    with contextlib.suppress(framing.FramingError, ValueError, OSError, asyncio.IncompleteReadError):
        body = await asyncio.wait_for(framing.read_body(reader), _HELLO_SECONDS)
        message = json.loads(body or b"null")
        params = message.get("params", {})
        if hmac.compare_digest(str(params.get("token")).encode(), token.encode()):
            writer.write(framing.frame({"jsonrpc": "2.0", "id": message["id"], "result": dict(about)}))
            await writer.drain()
            return dict(params)
        writer.write(framing.frame({"jsonrpc": "2.0", "id": 0, "error": {"code": _REFUSED, "message": "wrong token"}}))
    return None
