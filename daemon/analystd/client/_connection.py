"""One connection to the daemon: it sends requests, and receives answers and notifications. When it is lost, all waiting requests fail."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import Callable
from typing import Any

from analystd.client.errors import RequestCancelledError
from analystd.wire import framing
from analystd.wire.errors import AnalystdError, DaemonLostError, ResourceLimitError, error_of_kind
from analystd.wire.names import Command

logger = logging.getLogger(__name__)

ProgressListener = Callable[[float], None]
"""Called with the part of long work that is done, from 0 to 1."""


class Connection:
    """An LSP connection over a socket after the hello. `hear` is called with each notification, `lose` once when the connection ends."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        hear: Callable[[str, Any], None],
        lose: Callable[[], None],
    ) -> None:
        self.lost: DaemonLostError | None = None
        """The error of all further requests, once the connection has ended."""
        self._writer = writer
        self._hear = hear
        self._lose = lose
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._progress: dict[str, ProgressListener] = {}
        self._task = asyncio.create_task(self._read(reader), name="analystd client")

    async def request(self, method: str, params: Any) -> Any:
        """Send a request and return its result. Cancelling the task cancels the request.

        Raises:
            AnalystdError: as the daemon reports it; `DaemonLostError` when the daemon ended first.
        """
        if self.lost is not None:
            raise _again(self.lost)
        number = next(self._numbers)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        try:
            return await future
        except asyncio.CancelledError:
            self.notify("$/cancelRequest", {"id": number})
            raise
        finally:
            self._pending.pop(number, None)

    async def execute(
        self, command: Command, arguments: dict[str, Any], on_progress: ProgressListener | None = None
    ) -> Any:
        """Execute a command; the errors are those of `request`."""
        params: dict[str, Any] = {"command": str(command), "arguments": [arguments]}
        if on_progress is None:
            return await self.request("workspace/executeCommand", params)
        token = params["workDoneToken"] = f"progress-{next(self._numbers)}"
        self._progress[token] = on_progress
        try:
            return await self.request("workspace/executeCommand", params)
        finally:
            del self._progress[token]

    def notify(self, method: str, params: Any = None) -> None:
        """Send a notification, unless the connection is closed."""
        self._send({"method": method, "params": params} if params is not None else {"method": method})

    async def aclose(self) -> None:
        """Send `exit`, and close the connection. Harmless when repeated."""
        with contextlib.suppress(OSError):
            self.notify("exit")
            await self._writer.drain()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close the connection at once, without `exit`, where nothing can be awaited."""
        self._writer.transport.abort()

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(framing.frame({"jsonrpc": "2.0", **message}))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            with contextlib.suppress(framing.FramingError, OSError):
                while await self._read_one(reader):
                    pass
        finally:
            self._end()

    async def _read_one(self, reader: asyncio.StreamReader) -> bool:
        """Read and handle a message; return False at the end. A message that cannot be read fails only the request that it answers, if any."""
        try:
            body = await framing.read_body(reader)
        except framing.SkippedMessageError as exc:
            logger.warning("a message of the daemon could not be read: %s", exc)
            if exc.request_id is not None:
                problem = ResourceLimitError(f"The answer could not be read: {exc}", "Ask for less at once.")
                self._fail(exc.request_id, problem)
            return True
        if body is not None:
            try:
                self._dispatch(json.loads(body))
            except Exception:
                logger.warning("a message of the daemon is none: %r", body[:200], exc_info=True)
                if (request_id := framing.answered_request(body)) is not None:
                    self._fail(request_id, AnalystdError("The daemon's answer is none"))
        return body is not None

    def _fail(self, request_id: str | int, problem: AnalystdError) -> None:
        future = self._pending.get(request_id) if isinstance(request_id, int) else None
        if future is not None and not future.done():
            future.set_exception(problem)

    def _end(self) -> None:
        self.lost = DaemonLostError(
            "The daemon ended, or closed the connection", "Ask again; `analystd logs` tells what happened."
        )
        for future in self._pending.values():
            if not future.done():
                future.set_exception(_again(self.lost))
        self._writer.close()
        self._lose()

    def _dispatch(self, message: dict[str, Any]) -> None:
        method = message.get("method")
        if method == "$/progress":
            self._tell_progress(**message["params"])
        elif method is not None:
            self._hear(method, message.get("params"))
        elif (future := self._pending.get(message.get("id", 0))) and not future.done():
            if "error" in message:
                future.set_exception(error_of_answer(message["error"]))
            else:
                future.set_result(message.get("result"))

    def _tell_progress(self, token: str | int, value: dict[str, Any]) -> None:
        listener = self._progress.get(str(token))
        if listener is not None and "percentage" in value:
            tell(listener, value["percentage"] / 100)


def tell(listener: Callable[[Any], None], what: Any) -> None:
    """Call a function of the user; if it raises an exception, log that and continue."""
    try:
        listener(what)
    except Exception:
        logger.exception("a listener failed")


def error_of_answer(error: dict[str, Any]) -> AnalystdError:
    """Return the exception for the error in an answer."""
    about = error.get("data") or {}
    if error["code"] == RequestCancelledError.code:
        return RequestCancelledError(error["message"])
    raised = error_of_kind(about.get("kind", ""), error["message"], about.get("hint"))
    raised.run_id = about.get("run_id")
    return raised


def _again(error: DaemonLostError) -> DaemonLostError:
    """Return a copy of an error for another waiting request: an error that is raised twice would collect the tracebacks of both."""
    return DaemonLostError(error.message, error.hint)
