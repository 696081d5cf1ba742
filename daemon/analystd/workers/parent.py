"""The daemon's end of the channel: it starts workers, calls them, detects their death and restarts them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Self

from analystd.wire.errors import OverloadedError, WorkerDiedError
from analystd.workers.calls import Call, Calls, EventHandler, read_message
from analystd.workers.frames import (
    CHANNEL_FD_VARIABLE,
    DESCRIPTORS_FD_VARIABLE,
    MAX_EVENT_FRAME_BYTES,
    MAX_FRAME_BYTES,
    UntrustworthyError,
    frame,
    remote_error,
)

logger = logging.getLogger(__name__)

_STDERR_LINES_KEPT = 20
_GRACE_SECONDS = 2.0

_LAST_WORDS_SECONDS = 0.5
"""How long the output of an exited worker is still read; other processes may hold it open."""

_LOOK_SECONDS = 0.005

UNREAD_SECONDS = 60.0
"""How long a worker may leave messages unread."""

_MAX_UNREAD_BYTES = 64 * 1024 * 1024
"""Maximum size of the messages that wait for a worker that does not read."""


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
        self._calls = Calls(lambda number: self._send({"cancel": number}))
        self._last_lines: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False
        self._hung_up = False
        self._distrust: str | None = None
        """How the worker violated the protocol, if it did."""
        self._sent_bytes = 0
        self._unread: asyncio.TimerHandle | None = None

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str | None = None,
        ready_seconds: float = 60.0,
        on_start: Callable[[Worker], None] | None = None,
    ) -> Self:
        """Start `argv` with a channel and wait for its READY frame, whose content is then in `ready`; call `on_start` before that.

        Raises:
            AnalystdError: the error that the child reported instead of READY; `WorkerDiedError` when it exited or took
                longer than `ready_seconds`.
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
            # Mostly when the caller is cancelled while the worker starts.
            ours.close()
            our_descriptors.close()
            raise
        our_descriptors.setblocking(False)
        worker = cls(name, process, ours, our_descriptors)
        if on_start is not None:
            on_start(worker)
        try:
            await worker._open(ready_seconds)
        except asyncio.CancelledError:
            # The child reads its channel only when it is ready, and has nothing to clean up before that.
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
            WorkerDiedError: when the child has died; `OverloadedError` when it has not received the descriptors of many earlier calls.
        """
        if not self.alive:
            raise self._death()
        if descriptors:
            self._send_descriptors(descriptors)
        call = self._calls.begin(on_event)
        self._send({"id": call.number, "method": method, "params": dict(params), "descriptors": len(descriptors)})
        return call

    async def request(
        self, method: str, params: Mapping[str, Any], *, descriptors: Sequence[int] = ()
    ) -> dict[str, Any]:
        """Call the worker and return the result, for callers that need no events."""
        return await self.call(method, params, descriptors=descriptors).result()

    def kill(self) -> None:
        """Kill the child and its process group at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def end_distrusted(self, why: str) -> None:
        """Kill a worker that violated the protocol; pending calls fail, and the next request starts a new worker."""
        if self._distrust is not None or self._closing:
            return
        self._distrust, self._hung_up = why, True
        logger.error("Stopping the %s worker: it sent %s", self.name, why)
        self.kill()
        self._calls.fail(self._death())

    async def aclose(self) -> None:
        """Close the channel, so that the child exits, and kill it if it does not; a second call does nothing."""
        self._closing = True
        if self._unread is not None:
            self._unread.cancel()
        if self._writer is not None:
            self._writer.close()
        else:
            self._channel.close()
        await self._has_ended()
        self._descriptors.close()
        await self._end_tasks()

    @property
    def is_at_work(self) -> bool:
        """Whether calls are pending."""
        return bool(self._calls)

    def __repr__(self) -> str:
        return f"<Worker {self.name} pid={self._process.pid} alive={self.alive} calls={len(self._calls)}>"

    async def _open(self, ready_seconds: float) -> None:
        reader, self._writer = await asyncio.open_unix_connection(sock=self._channel)
        self._tasks.append(asyncio.create_task(self._read_log(), name=f"{self.name}-log"))
        try:
            first = await asyncio.wait_for(read_message(reader, MAX_EVENT_FRAME_BYTES), ready_seconds)
            if first is not None and "error" not in first and not isinstance(first.get("ready"), dict):
                raise UntrustworthyError("a first frame other than READY")
            refusal = remote_error(first["error"]) if first is not None and "error" in first else None
        except TimeoutError as exc:
            raise WorkerDiedError(f"The {self.name} worker was not ready after {ready_seconds:g} s") from exc
        except UntrustworthyError as exc:
            self.end_distrusted(str(exc))
            raise self._death() from exc
        if first is None:
            await self._has_ended()
            await asyncio.wait(self._tasks, timeout=_LAST_WORDS_SECONDS)
            raise self._death()
        if refusal is not None:
            raise refusal
        self.ready = first["ready"]
        self._tasks.append(asyncio.create_task(self._read_frames(reader), name=f"{self.name}-frames"))

    async def _read_frames(self, reader: asyncio.StreamReader) -> None:
        try:
            while self._distrust is None and (message := await read_message(reader, MAX_FRAME_BYTES)) is not None:
                self._calls.dispatch(message)
        except UntrustworthyError as exc:
            self.end_distrusted(str(exc))
        except OSError as exc:
            logger.info("The channel of the %s worker broke: %s", self.name, exc)
        # The launcher, which is our child, may outlive the program for a moment, in which no call would be answered.
        self._hung_up = True
        if self._unread is not None:
            self._unread.cancel()
        await self._has_ended()
        if not self._closing:
            logger.error("%s", self._death().message)
        self._calls.fail(self._death())

    async def _has_ended(self) -> None:
        """Wait for a child whose channel is closed to exit, and kill it if it does not."""
        deadline = asyncio.get_running_loop().time() + _GRACE_SECONDS
        # `Process.wait` also waits for the end of the output, which other processes with the descriptor may never close.
        while self._process.returncode is None:
            if asyncio.get_running_loop().time() > deadline:
                self.kill()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _end_tasks(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_WORDS_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Close our end of an output that other processes still hold open.
        self._process._transport.close()  # type: ignore[attr-defined]

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
        if self._writer is None or self._writer.is_closing() or self._hung_up:
            return
        if self._writer.transport.get_write_buffer_size() > _MAX_UNREAD_BYTES:
            self.end_distrusted(f"nothing, and left {_MAX_UNREAD_BYTES >> 20} MiB unread")
            return
        data = frame(message)
        self._sent_bytes += len(data)
        self._writer.write(data)
        if self._unread is None:
            self._expect_reading(-1)

    def _send_descriptors(self, descriptors: Sequence[int]) -> None:
        try:
            socket.send_fds(self._descriptors, [b"\0"], list(descriptors))
        except BlockingIOError:
            raise OverloadedError(
                f"Too many files are waiting for the {self.name} worker", "Try again in a moment."
            ) from None
        except OSError as exc:
            raise self._death() from exc

    def _expect_reading(self, read_before: int) -> None:
        """Kill the worker if messages wait for it and it has read nothing since the last check."""
        self._unread = None
        if self._writer is None or not self.alive:
            return
        waiting = self._writer.transport.get_write_buffer_size()
        read = self._sent_bytes - waiting
        if waiting and read == read_before:
            self.end_distrusted(f"nothing, and read nothing for {UNREAD_SECONDS:g} s")
        elif waiting:
            self._unread = asyncio.get_running_loop().call_later(UNREAD_SECONDS, self._expect_reading, read)

    def _death(self) -> WorkerDiedError:
        if self._distrust is not None:
            return WorkerDiedError(
                f"The {self.name} worker sent {self._distrust}, which violates the worker protocol; it was stopped",
                "Try again: the next request starts a new worker.",
            )
        code = self._process.returncode
        if code is not None and code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = "closed its channel" if code is None else f"ended with exit status {code}"
        last = next((line for line in reversed(self._last_lines) if line.strip()), "")
        return WorkerDiedError(f"The {self.name} worker {how}" + (f": {last}" if last else ""))


class Supervisor:
    """Keeps one worker: starts it on first use, and restarts it after it died."""

    def __init__(self, start: Callable[[], Awaitable[Worker]]) -> None:
        self._start = start
        self._worker: Worker | None = None
        self._lock = asyncio.Lock()
        self._closed = False

    @property
    def running(self) -> Worker | None:
        """The worker, if it is alive."""
        return self._worker if self._worker is not None and self._worker.alive else None

    async def worker(self) -> Worker:
        """Return a live worker, starting it if necessary.

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
        """Stop the worker until the next use, if `may_rest` agrees; it is called while no caller can get the worker."""
        async with self._lock:
            if self._worker is not None and may_rest():
                await self._worker.aclose()
                self._worker = None

    async def aclose(self) -> None:
        """Stop the worker permanently."""
        self._closed = True
        async with self._lock:
            if self._worker is not None:
                await self._worker.aclose()


def python_module(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this package with this interpreter, ignoring the current folder."""
    return [sys.executable, "-P", "-m", module, *arguments]
