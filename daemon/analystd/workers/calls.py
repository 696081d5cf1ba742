"""The pending calls of a worker and the validation of its answers, none of which is trusted to be well-formed."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from analystd.wire.errors import AnalystdError
from analystd.workers.frames import (
    HEADER,
    MAX_EVENT_FRAME_BYTES,
    UntrustworthyError,
    decoded,
    remote_error,
)

FRAME_SECONDS = 30.0
"""Maximum time for a worker to send the rest of a frame."""

_DECODED_AT_ONCE = 256 * 1024
"""Larger frames are decoded in a thread."""

EventHandler = Callable[[dict[str, Any]], None]

_BAD_EVENT = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""Exceptions that a handler raises for an invalid event."""


class Call:
    """A pending request to a worker; `cancel` asks the worker to stop it."""

    def __init__(self, number: int, on_event: EventHandler | None, ask_to_stop: Callable[[int], None]) -> None:
        self.number = number
        self._on_event = on_event
        self._ask_to_stop = ask_to_stop
        self._future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def result(self) -> dict[str, Any]:
        """Wait for the worker's reply and return it; cancelling the wait cancels the call.

        Raises:
            AnalystdError: the error that the worker reported; `WorkerDiedError` when it died first.
        """
        try:
            return await asyncio.shield(self._future)
        except asyncio.CancelledError:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Ask the worker to stop; it still replies, with a partial result or an error."""
        if not self._future.done():
            self._ask_to_stop(self.number)

    def take_event(self, event: object) -> None:
        """Pass an event to the call's handler.

        Raises:
            UntrustworthyError: when the event is invalid.
        """
        if not isinstance(event, dict):
            raise UntrustworthyError("an event that is not an object")
        try:
            if self._on_event is not None:
                self._on_event(event)
        except _BAD_EVENT as exc:
            raise UntrustworthyError(f"an invalid event ({exc!r:.200})") from exc

    def finish(self, outcome: dict[str, Any] | AnalystdError) -> None:
        """Set the call's result or error."""
        if self._future.done():
            return
        if isinstance(outcome, AnalystdError):
            self._future.set_exception(outcome)
            # A cancelled caller never retrieves the exception; mark it as retrieved.
            self._future.exception()
        else:
            self._future.set_result(outcome)


class Calls:
    """The pending calls, by number."""

    def __init__(self, ask_to_stop: Callable[[int], None]) -> None:
        self._ask_to_stop = ask_to_stop
        self._numbers = itertools.count(1)
        self._open: dict[int, Call] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, on_event: EventHandler | None) -> Call:
        """Return a new call."""
        call = Call(next(self._numbers), on_event, self._ask_to_stop)
        self._open[call.number] = call
        return call

    def dispatch(self, message: dict[str, Any]) -> None:
        """Pass a message to its call.

        Raises:
            UntrustworthyError: when the call is unknown, or the message is neither an event nor an answer.
        """
        number = message.get("id")
        if type(number) is not int or number not in self._open:
            raise UntrustworthyError(f"an answer to an unknown call (id {str(number)[:20]})")
        if "event" in message:
            self._open[number].take_event(message["event"])
            return
        outcome = remote_error(message["error"]) if "error" in message else message.get("result")
        if not isinstance(outcome, dict | AnalystdError):
            raise UntrustworthyError("an answer without a result")
        self._open.pop(number).finish(outcome)

    def fail(self, error: AnalystdError) -> None:
        """Fail all pending calls."""
        for call in self._open.values():
            call.finish(error)
        self._open.clear()


async def read_message(reader: asyncio.StreamReader, max_bytes: int) -> dict[str, Any] | None:
    """Return the next message of a worker, or None at the end of the stream.

    Raises:
        UntrustworthyError: when the message is malformed, too large or incomplete.
    """
    try:
        (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
        if length > max_bytes:
            raise UntrustworthyError(f"a frame of {length} bytes")
        async with asyncio.timeout(FRAME_SECONDS):
            body = await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        return None
    except TimeoutError:
        raise UntrustworthyError(f"part of a frame, then nothing for {FRAME_SECONDS:g} s") from None
    message = decoded(body) if length <= _DECODED_AT_ONCE else await asyncio.to_thread(decoded, body)
    if "event" in message and length > MAX_EVENT_FRAME_BYTES:
        raise UntrustworthyError(f"an event of {length} bytes")
    return message
