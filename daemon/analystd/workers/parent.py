"""The daemon's side: starting a worker, calling it, learning of its death, starting another."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self

from analystd.errors import AnalystdError, WorkerDiedError
from analystd.workers.frames import (
    CHANNEL_FD_VARIABLE,
    DESCRIPTORS_FD_VARIABLE,
    HEADER,
    MAX_FRAME_BYTES,
    frame,
    remote_error,
)

logger = logging.getLogger(__name__)

_STDERR_LINES_KEPT = 20
_GRACE_SECONDS = 2.0

EventHandler = Callable[[dict[str, Any]], None]


class Call:
    """One request to a worker that is under way."""

    def __init__(self, worker: Worker, number: int, on_event: EventHandler | None) -> None:
        self._worker = worker
        self._number = number
        self._on_event = on_event
        self._future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    async def result(self) -> dict[str, Any]:
        """What the worker replied; cancelling the wait cancels the call.

        Raises:
            AnalystdError: as the worker reported it; `WorkerDiedError` when it ended first.
        """
        try:
            return await asyncio.shield(self._future)
        except asyncio.CancelledError:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Ask the worker to stop; it still replies, with what it has or with an error."""
        if not self._future.done():
            self._worker._send({"cancel": self._number})

    def _event(self, data: dict[str, Any]) -> None:
        if self._on_event is not None:
            self._on_event(data)

    def _finish(self, outcome: dict[str, Any] | AnalystdError) -> None:
        if self._future.done():
            return
        if isinstance(outcome, AnalystdError):
            self._future.set_exception(outcome)
            # A caller that was cancelled meanwhile never looks at it.
            self._future.exception()
        else:
            self._future.set_result(outcome)


class Worker:
    """The parent's end of one child process."""

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, channel: socket.socket, descriptors: socket.socket
    ) -> None:
        self.name = name
        self.ready: dict[str, Any] = {}
        self._process = process
        self._channel = channel
        self._descriptors = descriptors
        self._writer: asyncio.StreamWriter | None = None
        self._calls: dict[int, Call] = {}
        self._numbers = itertools.count(1)
        self._last_lines: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        self._tasks: list[asyncio.Task[None]] = []
        self._on_death: Callable[[Worker], None] | None = None
        self._closing = False
        self._hung_up = False

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str | None = None,
        ready_seconds: float = 60.0,
        on_death: Callable[[Worker], None] | None = None,
    ) -> Self:
        """Start `argv` with a channel and wait for its READY frame, whose content is then in `ready`.

        Raises:
            AnalystdError: that the child reported instead of READY; `WorkerDiedError` when it ended or took longer than `ready_seconds`.
        """
        ours, theirs = socket.socketpair()
        our_descriptors, their_descriptors = socket.socketpair()
        try:
            with theirs, their_descriptors:
                process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.STDOUT,
                    pass_fds=(theirs.fileno(), their_descriptors.fileno()),
                    cwd=cwd,
                    env={
                        **environment,
                        CHANNEL_FD_VARIABLE: str(theirs.fileno()),
                        DESCRIPTORS_FD_VARIABLE: str(their_descriptors.fileno()),
                    },
                    start_new_session=True,
                )
        except BaseException:
            # Above all when the one who needs the worker loses interest while it starts.
            ours.close()
            our_descriptors.close()
            raise
        our_descriptors.setblocking(False)
        worker = cls(name, process, ours, our_descriptors)
        worker._on_death = on_death
        try:
            await worker._open(ready_seconds)
        except asyncio.CancelledError:
            # It would look at its channel only when it is ready, and has nothing to put in order before that.
            worker.kill()
            await worker.aclose()
            raise
        except BaseException:
            await worker.aclose()
            raise
        return worker

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether calls can be made."""
        return self._process.returncode is None and self._writer is not None and not self._closing and not self._hung_up

    def call(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        on_event: EventHandler | None = None,
        descriptors: Sequence[int] = (),
    ) -> Call:
        """Send a request; `descriptors` are duplicated into the child before this returns.

        Raises:
            WorkerDiedError: when the child has ended.
        """
        if not self.alive:
            raise self._death()
        number = next(self._numbers)
        call = self._calls[number] = Call(self, number, on_event)
        if descriptors:
            socket.send_fds(self._descriptors, [b"\0"], list(descriptors))
        self._send({"id": number, "method": method, "params": dict(params), "descriptors": len(descriptors)})
        return call

    async def request(
        self, method: str, params: Mapping[str, Any], *, descriptors: Sequence[int] = ()
    ) -> dict[str, Any]:
        """`call(...)` and its result, for callers that need no events."""
        return await self.call(method, params, descriptors=descriptors).result()

    def kill(self) -> None:
        """End the child and what it started at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def aclose(self) -> None:
        """Close the channel, on which the child ends; kill it if it does not. Harmless when repeated."""
        self._closing = True
        if self._writer is not None:
            self._writer.close()
        else:
            self._channel.close()
        try:
            await asyncio.wait_for(self._process.wait(), _GRACE_SECONDS)
        except TimeoutError:
            self.kill()
            await self._process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._descriptors.close()

    @property
    def is_at_work(self) -> bool:
        """Whether a call is under way."""
        return bool(self._calls)

    def __repr__(self) -> str:
        return f"<Worker {self.name} pid={self._process.pid} alive={self.alive} calls={len(self._calls)}>"

    async def _open(self, ready_seconds: float) -> None:
        reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)
        self._tasks.append(asyncio.create_task(self._read_log(), name=f"{self.name}-log"))
        try:
            first = await asyncio.wait_for(_read_frame(reader), ready_seconds)
        except TimeoutError as exc:
            raise WorkerDiedError(f"The {self.name} worker was not ready after {ready_seconds:g} s") from exc
        if first is None:
            await self._process.wait()
            await self._tasks[0]
            raise self._death()
        if "error" in first:
            raise remote_error(first["error"])
        self.ready = first["ready"]
        self._tasks.append(asyncio.create_task(self._read_frames(reader), name=f"{self.name}-frames"))

    async def _read_frames(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while (message := await _read_frame(reader)) is not None:
                self._dispatch(message)
        # The launcher, which is our child, may outlive the program by a moment; nobody would answer a call in it.
        self._hung_up = True
        await self._process.wait()
        death = self._death()
        if not self._closing:
            logger.error("%s", death.message)
        for call in self._calls.values():
            call._finish(death)
        self._calls.clear()
        if self._on_death is not None and not self._closing:
            self._on_death(self)

    def _dispatch(self, message: dict[str, Any]) -> None:
        call = self._calls.get(message["id"])
        if call is None:
            return
        if "event" in message:
            call._event(message["event"])
            return
        del self._calls[message["id"]]
        call._finish(remote_error(message["error"]) if "error" in message else message["result"])

    async def _read_log(self) -> None:
        assert self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:
                continue
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip()
            self._last_lines.append(text)
            logger.info("%s[%d]: %s", self.name, self._process.pid, text[:2000])

    def _send(self, message: dict[str, Any]) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(frame(message))

    def _death(self) -> WorkerDiedError:
        code = self._process.returncode
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = "hung up" if code is None else f"ended with exit status {code}"
        last = next((line for line in reversed(self._last_lines) if line.strip()), "")
        return WorkerDiedError(f"The {self.name} worker {how}" + (f": {last}" if last else ""))


class Supervisor:
    """Keeps one worker of a kind: starts it when it is first needed, and again after it died."""

    def __init__(self, start: Callable[[], Awaitable[Worker]]) -> None:
        self._start = start
        self._worker: Worker | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    @property
    def running(self) -> Worker | None:
        """The worker if there is a live one."""
        return self._worker if self._worker is not None and self._worker.alive else None

    async def worker(self) -> Worker:
        """A live worker.

        Raises:
            AnalystdError: when it cannot be started.
        """
        async with self._lock:
            if self._closed:
                raise WorkerDiedError("The daemon is shutting down")
            if self.running is None:
                if self._worker is not None:
                    await self._worker.aclose()
                self._worker = await self._start()
            assert self._worker is not None
            return self._worker

    async def rest(self, may_rest: Callable[[], bool]) -> None:
        """End the worker until it is needed again; not if `may_rest`, asked when nobody can get at it, says no."""
        async with self._lock:
            if self._worker is not None and may_rest():
                await self._worker.aclose()
                self._worker = None

    async def aclose(self) -> None:
        """End the worker for good."""
        self._closed = True
        async with self._lock:
            if self._worker is not None:
                await self._worker.aclose()


def python_module(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module of this package with this interpreter, ignoring the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]


async def _read_frame(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    try:
        (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
        if length > MAX_FRAME_BYTES:
            raise OSError(f"a frame of {length} bytes")
        message: dict[str, Any] = json.loads(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None
    return message
