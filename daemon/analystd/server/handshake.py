"""The hello that opens every connection to the daemon's socket: a client that has the token of this start may speak LSP."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analystd.desk.requester import Requester
from analystd.jail.trusted_places import TrustedPlace, client_places
from analystd.tools.base import validate
from analystd.wire import framing
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.jsonrpc import INVALID_REQUEST, Message, NotAMessageError, error_frame, message_in
from analystd.wire.schemas import schema_of
from analystd.wire.status import Hello

HELLO = schema_of(Hello, closed=False)

_HELLO_SECONDS = 10.0
_MAX_LABEL = 40
_MAX_ID = 64
_MAX_NUMBER = 20


@dataclass(frozen=True)
class ClientIdentity:
    """A client as it introduced itself; the daemon assigns `number`, so that no two clients have the same name."""

    id: str
    label: str
    number: int
    pid: str
    version: str
    places: tuple[TrustedPlace, ...] = ()
    """The places that the client runs code from."""

    @property
    def asker(self) -> Requester:
        """The client as the requester of runs at its desk."""
        return Requester(self.id, f"{self.label}-{self.number} (pid {self.pid})")


def caller_of(hello: Mapping[str, Any], number: int) -> ClientIdentity:
    """Return the identity of the client that sent a hello.

    A client that sends an id of its own keeps it when it reconnects; otherwise the id is new for each connection.
    """
    given = hello.get("id")
    kept = given if isinstance(given, str) and given.isprintable() and 0 < len(given) <= _MAX_ID else None
    return ClientIdentity(
        kept or str(uuid.uuid4()),
        label_of(hello.get("client")) or "client",
        number,
        str(hello.get("pid"))[:_MAX_NUMBER],
        str(hello.get("version"))[:_MAX_LABEL],
        tuple(client_places(hello)),
    )


def label_of(name: Any) -> str:
    """Return the name that a client gives itself, as one short line; empty if it is not a string."""
    line = "".join(each for each in name if each.isprintable()).strip() if isinstance(name, str) else ""
    return line[:_MAX_LABEL]


async def hear_hello(reader: asyncio.StreamReader, token: str, writer: asyncio.StreamWriter) -> Message | None:
    """Read a client's hello and return it, or None if the client is refused or the message is invalid.

    A client with a wrong token gets only an error that says so.
    """
    with contextlib.suppress(framing.FramingError, NotAMessageError, TimeoutError, OSError):
        body = await asyncio.wait_for(framing.read_body(reader), _HELLO_SECONDS)
        message = message_in(body or b"")
        refusal = _refusal(message, token)
        if refusal is None:
            return message
        writer.write(refusal)
    return None


def greet(hello: Message, about: Mapping[str, Any], writer: asyncio.StreamWriter) -> None:
    """Answer a hello."""
    writer.write(framing.frame({"jsonrpc": "2.0", "id": hello.get("id"), "result": dict(about)}))


def _refusal(message: Message, token: str) -> bytes | None:
    """Return the error frame for a client that is refused, or None."""
    params, request_id = message.get("params"), message.get("id")
    given = params.get("token") if isinstance(params, dict) else None
    if not hmac.compare_digest(str(given).encode("utf-8", "surrogatepass"), token.encode()):
        return error_frame(request_id, INVALID_REQUEST, "wrong token")
    try:
        validate(HELLO, params)
    except InvalidArgumentsError as exc:
        return error_frame(request_id, exc.code, exc.message)
    return None
