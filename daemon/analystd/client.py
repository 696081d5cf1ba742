"""The scripted client: ask, run, view and follow from a script, over the same daemon that the editors use.

async with await analystd.connect() as desk:
result = await desk.run_agent("How many rows does prices.csv have?")

with analystd.connect_sync() as desk:
print(desk.exec_python("1 + 1")["result"])
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from analystd import framing
from analystd.errors import AnalystdError, DaemonLostError, error_of_kind
from analystd.protocol import EVENT_METHOD, AgentResult, Command, Event, PythonResult, RunSummary, ViewResult
from analystd.server.dial import dial

logger = logging.getLogger(__name__)

T = TypeVar("T")
EventListener = Callable[[Event], None]
ProgressListener = Callable[[float], None]
"""Told what part of long work is done, from 0 to 1."""


class RequestCancelledError(AnalystdError):
    """The request was cancelled before it had a result."""

    kind = "cancelled"
    code = -32800


class Client:
    """An async client of one desk; made by `connect`. Use it as an async context manager, or call `aclose`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.about: dict[str, Any] = {}
        """What the daemon said of itself and the desk: protocol, workspace, sandbox, engine, seq, notices."""
        self._writer = writer
        self._numbers = itertools.count(1)
        self._pending: dict[int, asyncio.Future[Any]] = {}
        self._listeners: list[EventListener] = []
        self._progress: dict[str, ProgressListener] = {}
        self._lost: DaemonLostError | None = None
        self._task = asyncio.create_task(self._read(reader), name="analystd client")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def run_agent(self, prompt: str, **options: Any) -> AgentResult:
        """Ask the model. Options: `conversation`, `session`, `max_steps`, `max_seconds`, `priority`, `context`.

        Raises:
            AnalystdError: when the run never started.
        """
        return cast(AgentResult, await self.command(Command.RUN_AGENT, prompt=prompt, **options))

    async def exec_python(self, code: str, **options: Any) -> PythonResult:
        """Run Python. Options: `reset`, `session`, `timeout_seconds`, `priority`, `uri`, `line`.

        Raises:
            AnalystdError: when the code never started.
        """
        return cast(PythonResult, await self.command(Command.EXEC_PYTHON, code=code, **options))

    async def view_data(
        self, path: str, operation: str = "head", *, on_progress: ProgressListener | None = None, **options: Any
    ) -> ViewResult:
        """Look at a table in the workspace; `on_progress` hears what part of long work is done.

        Options: `n_rows`, `offset`, `columns` (names), `filter` (`[{"column", "op", "value"}]`, all of which must hold),
        `sort` (`[{"column", "descending"}]`), `delimiter`. Cancelling the task stops the work.

        Raises:
            WorkspaceError: for a path that is refused or no table.
            InvalidArgumentsError: for a column that is not there, or options that make no sense.
        """
        arguments = {"path": path, "operation": operation, **options}
        return cast(ViewResult, await self._execute(Command.VIEW_DATA, arguments, on_progress))

    async def list_files(self, path: str = ".", **options: Any) -> dict[str, Any]:
        """List a folder of the workspace. Options: `pattern`, `recursive`."""
        return await self.command(Command.LIST_FILES, path=path, **options)

    async def read_file(self, path: str, **options: Any) -> dict[str, Any]:
        """Read lines of a file of the workspace (options `offset`, `limit`), or bytes (`byte_offset`, `byte_limit`)."""
        return await self.command(Command.READ_FILE, path=path, **options)

    async def write_file(self, path: str, content: str) -> dict[str, Any]:
        """Write a file of the workspace."""
        return await self.command(Command.WRITE_FILE, path=path, content=content)

    async def reset_session(self, session: str = "main") -> dict[str, Any]:
        """Forget a session's variables; gives its state."""
        return await self.command(Command.RESET_SESSION, session=session)

    async def interrupt(self, session: str = "main") -> dict[str, Any]:
        """Stop what runs in a session; gives its state."""
        return await self.command(Command.INTERRUPT, session=session)

    async def variables(self, session: str = "main") -> dict[str, Any]:
        """The variables of a session, with its state."""
        return await self.command(Command.VARIABLES, session=session)

    async def cancel_run(self, run_id: str) -> str:
        """Have a run end soon; gives `cancelling`, or the status of a run that has ended."""
        return cast(str, (await self.command(Command.CANCEL_RUN, run_id=run_id))["status"])

    async def list_runs(self, limit: int = 50) -> list[RunSummary]:
        """The latest runs, newest first."""
        return cast(list[RunSummary], (await self.command(Command.LIST_RUNS, limit=limit))["runs"])

    async def get_run(self, run_id: str) -> dict[str, Any]:
        """Everything about one run: `{"run", "events"}`."""
        return await self.command(Command.GET_RUN, run_id=run_id)

    async def events(self, after: int = 0) -> dict[str, Any]:
        """What happened after a sequence number: `{"events", "seq"}`, and a `"snapshot"` when that is too long ago."""
        return await self.command(Command.EVENTS, after=after)

    async def status(self) -> dict[str, Any]:
        """The daemon as a whole."""
        return await self.command(Command.STATUS)

    async def shutdown(self, *, now: bool = False) -> dict[str, Any]:
        """Stop the daemon after its runs, or at once."""
        return await self.command(Command.SHUTDOWN, now=now)

    def on_event(self, listener: EventListener) -> Callable[[], None]:
        """Have every event of the desk told to `listener`; gives what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    async def follow(self) -> AsyncIterator[Event]:
        """Every event of the desk from now on.

        Raises:
            DaemonLostError: when the daemon ends.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        stop = self.on_event(queue.put_nowait)
        self._task.add_done_callback(lambda _task: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            stop()
        raise self._lost or DaemonLostError("The connection is closed")

    async def command(self, command: Command, **arguments: Any) -> dict[str, Any]:
        """Send one command. Cancelling the task cancels the request.

        Raises:
            AnalystdError: as the daemon answered it.
        """
        return await self._execute(command, arguments)

    async def request(self, method: str, params: Any) -> Any:
        """Send one LSP request and give its result.

        Raises:
            AnalystdError: as the daemon answered it; `DaemonLostError` when it ended first.
        """
        if self._lost is not None:
            raise self._lost
        number = next(self._numbers)
        future = self._pending[number] = asyncio.get_running_loop().create_future()
        self._send({"id": number, "method": method, "params": params})
        try:
            return await future
        except asyncio.CancelledError:
            self._send({"method": "$/cancelRequest", "params": {"id": number}})
            raise
        finally:
            self._pending.pop(number, None)

    async def aclose(self) -> None:
        """Take leave; the desk goes on. Harmless when repeated."""
        with contextlib.suppress(OSError):
            self._send({"method": "exit"})
            await self._writer.drain()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _execute(
        self, command: Command, arguments: dict[str, Any], on_progress: ProgressListener | None = None
    ) -> dict[str, Any]:
        params: dict[str, Any] = {"command": str(command), "arguments": [arguments]}
        if on_progress is None:
            return cast(dict[str, Any], await self.request("workspace/executeCommand", params))
        token = f"progress-{next(self._numbers)}"
        self._progress[token] = on_progress
        try:
            params["workDoneToken"] = token
            return cast(dict[str, Any], await self.request("workspace/executeCommand", params))
        finally:
            del self._progress[token]

    def _send(self, message: dict[str, Any]) -> None:
        if not self._writer.is_closing():
            self._writer.write(framing.frame({"jsonrpc": "2.0", **message}))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            with contextlib.suppress(framing.FramingError, OSError):
                while (body := await framing.read_body(reader)) is not None:
                    self._dispatch(json.loads(body))
        finally:
            self._lost = DaemonLostError(
                "The daemon ended, or closed the connection", "Connect again; `analystd logs` tells why."
            )
            for future in self._pending.values():
                if not future.done():
                    future.set_exception(self._lost)

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message.get("method") == EVENT_METHOD:
            for listener in list(self._listeners):
                listener(message["params"])
        elif message.get("method") == "$/progress":
            self._tell_progress(**message["params"])
        elif "method" not in message and (future := self._pending.get(message.get("id", 0))) and not future.done():
            if "error" in message:
                future.set_exception(_error(message["error"]))
            else:
                future.set_result(message.get("result"))

    def _tell_progress(self, token: str | int, value: dict[str, Any]) -> None:
        listener = self._progress.get(str(token))
        if listener is not None and "percentage" in value:
            listener(value["percentage"] / 100)


async def connect(workspace: str | os.PathLike[str] | None = None, *, start: bool = True) -> Client:
    """A client of the desk of `workspace` (default: as the command line finds it), starting the daemon if need be.

    Raises:
        DaemonLostError: when there is no daemon and none can be started.
        WorkspaceError: when the folder cannot be used.
    """
    from analystd.jail.workspace import find_workspace

    explicit = os.fspath(workspace) if workspace is not None else os.environ.get("AGENT_WORKSPACE")
    folder = find_workspace(Path.cwd(), explicit)
    return await _introduced({"workspace": str(folder)}, start=start)


async def connect_to_daemon() -> Client:
    """A client of the running daemon and of no desk, which can ask for `status` and `shutdown`; never starts one.

    Raises:
        DaemonLostError: when there is no daemon.
    """
    return await _introduced({"desk": False}, start=False)


async def _introduced(options: dict[str, Any], *, start: bool) -> Client:
    connection = await asyncio.to_thread(dial, start=start)
    reader, writer = await asyncio.open_unix_connection(sock=connection, limit=1 << 20)
    client = Client(reader, writer)
    try:
        params = {"processId": os.getpid(), "rootUri": None, "capabilities": {}, "initializationOptions": options}
        answer = await client.request("initialize", params)
        client.about = answer["capabilities"]["experimental"]["analystd"]
        client._send({"method": "initialized", "params": {}})
    except BaseException:
        await client.aclose()
        raise
    return client


class SyncClient:
    """The plain client: the same methods, without `async`. Made by `connect_sync`."""

    def __init__(self, workspace: str | os.PathLike[str] | None = None, *, start: bool = True) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="analystd client")
        self._thread.start()
        try:
            self._client = self._run(connect(workspace, start=start))
        except BaseException:
            self._stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def about(self) -> dict[str, Any]:
        """What the daemon said of itself and the desk."""
        return self._client.about

    def run_agent(self, prompt: str, **options: Any) -> AgentResult:
        """As `Client.run_agent`."""
        return self._run(self._client.run_agent(prompt, **options))

    def exec_python(self, code: str, **options: Any) -> PythonResult:
        """As `Client.exec_python`."""
        return self._run(self._client.exec_python(code, **options))

    def view_data(
        self, path: str, operation: str = "head", *, on_progress: ProgressListener | None = None, **options: Any
    ) -> ViewResult:
        """As `Client.view_data`; `on_progress` is called in the client's own thread."""
        return self._run(self._client.view_data(path, operation, on_progress=on_progress, **options))

    def list_files(self, path: str = ".", **options: Any) -> dict[str, Any]:
        """As `Client.list_files`."""
        return self._run(self._client.list_files(path, **options))

    def read_file(self, path: str, **options: Any) -> dict[str, Any]:
        """As `Client.read_file`."""
        return self._run(self._client.read_file(path, **options))

    def write_file(self, path: str, content: str) -> dict[str, Any]:
        """As `Client.write_file`."""
        return self._run(self._client.write_file(path, content))

    def reset_session(self, session: str = "main") -> dict[str, Any]:
        """As `Client.reset_session`."""
        return self._run(self._client.reset_session(session))

    def interrupt(self, session: str = "main") -> dict[str, Any]:
        """As `Client.interrupt`."""
        return self._run(self._client.interrupt(session))

    def variables(self, session: str = "main") -> dict[str, Any]:
        """As `Client.variables`."""
        return self._run(self._client.variables(session))

    def cancel_run(self, run_id: str) -> str:
        """As `Client.cancel_run`."""
        return self._run(self._client.cancel_run(run_id))

    def list_runs(self, limit: int = 50) -> list[RunSummary]:
        """As `Client.list_runs`."""
        return self._run(self._client.list_runs(limit))

    def get_run(self, run_id: str) -> dict[str, Any]:
        """As `Client.get_run`."""
        return self._run(self._client.get_run(run_id))

    def events(self, after: int = 0) -> dict[str, Any]:
        """As `Client.events`."""
        return self._run(self._client.events(after))

    def status(self) -> dict[str, Any]:
        """As `Client.status`."""
        return self._run(self._client.status())

    def shutdown(self, *, now: bool = False) -> dict[str, Any]:
        """As `Client.shutdown`."""
        return self._run(self._client.shutdown(now=now))

    def on_event(self, listener: EventListener) -> Callable[[], None]:
        """As `Client.on_event`; `listener` is called in the client's own thread."""
        return self._client.on_event(listener)

    def close(self) -> None:
        """Take leave. Harmless when repeated."""
        if not self._loop.is_closed():
            self._run(self._client.aclose())
            self._stop()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def connect_sync(workspace: str | os.PathLike[str] | None = None, *, start: bool = True) -> SyncClient:
    """As `connect`, for plain code."""
    return SyncClient(workspace, start=start)


def _error(data: dict[str, Any]) -> AnalystdError:
    about = data.get("data") or {}
    if data["code"] == RequestCancelledError.code:
        return RequestCancelledError(data["message"])
    error = error_of_kind(about.get("kind", ""), data["message"], about.get("hint"))
    error.run_id = about.get("run_id")
    return error
