"""The worker's end of the channel: it receives requests, and sends answers and events."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from analystd.wire.errors import AnalystdError
from analystd.workers.frames import CHANNEL_FD_VARIABLE, DESCRIPTORS_FD_VARIABLE, HEADER, error_data, frame


@dataclass
class WorkerRequest:
    """A request in the child: `reply` or `fail` is called exactly once, and `emit` any number of times before."""

    number: int
    method: str
    params: dict[str, Any]
    descriptors: tuple[int, ...]
    channel: Channel
    cancelled: threading.Event = field(default_factory=threading.Event)
    """Set when the caller has cancelled the request, which still needs an answer."""

    def emit(self, event: dict[str, Any]) -> None:
        """Send an event of this request."""
        self.channel.send({"id": self.number, "event": event})

    def reply(self, result: dict[str, Any]) -> None:
        """Answer the request with a result."""
        self._close({"id": self.number, "result": result})

    def fail(self, error: AnalystdError) -> None:
        """Answer the request with an error."""
        self._close({"id": self.number, "error": error_data(error)})

    def _close(self, message: dict[str, Any]) -> None:
        # If the message cannot be encoded, the request stays open for another answer.
        self.channel.send(message)
        for descriptor in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.channel.forget(self)


class Channel:
    """The child's end: `next_request` returns requests in order; a cancellation takes effect at once."""

    def __init__(self) -> None:
        self._socket = socket.socket(fileno=int(os.environ.pop(CHANNEL_FD_VARIABLE)))
        self._descriptors = socket.socket(fileno=int(os.environ.pop(DESCRIPTORS_FD_VARIABLE)))
        for end in (self._socket, self._descriptors):
            os.set_inheritable(end.fileno(), False)
        self._queue: queue.SimpleQueue[WorkerRequest | None] = queue.SimpleQueue()
        self._take: Callable[[WorkerRequest], object] = self._queue.put
        self._open: dict[int, WorkerRequest] = {}
        self._lock = threading.Lock()

    def ready(self, about: dict[str, Any], take: Callable[[WorkerRequest], object] | None = None) -> None:
        """Report readiness to the parent, and start to read requests.

        The reading thread calls `take` with each request; without it, requests wait for `next_request`.
        """
        self._take = take or self._queue.put
        self.send({"ready": about})
        threading.Thread(target=self._read, daemon=True, name="channel").start()

    def refuse(self, error: AnalystdError) -> None:
        """Report to the parent why the worker cannot become ready."""
        self.send({"error": error_data(error)})

    def next_request(self, timeout: float | None = None) -> WorkerRequest | None:
        """Return the next request; None if `timeout` seconds pass without one.

        Raises:
            EOFError: when the parent has closed the channel; the child should exit.
        """
        try:
            request = self._queue.get(timeout=timeout) if timeout != 0 else self._queue.get_nowait()
        except queue.Empty:
            return None
        if request is None:
            self._queue.put(None)
            raise EOFError("the channel is closed")
        return request

    def wait_closed(self) -> None:
        """Wait until the parent has closed the channel; for a child that passed `take` to `ready`."""
        for _ in self:
            pass

    def __iter__(self) -> Iterator[WorkerRequest]:
        while True:
            try:
                request = self.next_request()
            except EOFError:
                return
            if request is not None:
                yield request

    def send(self, message: dict[str, Any]) -> None:
        """Write one frame. It is not an error if the parent has exited, because the reading thread detects that."""
        with self._lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(frame(message))

    def forget(self, request: WorkerRequest) -> None:
        """Drop an answered request."""
        self._open.pop(request.number, None)

    def _read(self) -> None:
        stream = self._socket.makefile("rb")
        with contextlib.suppress(OSError):
            while len(header := stream.read(HEADER.size)) == HEADER.size:
                self._accept(json.loads(stream.read(HEADER.unpack(header)[0])))
        for request in list(self._open.values()):
            request.cancelled.set()
        self._queue.put(None)

    def _accept(self, message: dict[str, Any]) -> None:
        if "cancel" in message:
            if request := self._open.get(message["cancel"]):
                request.cancelled.set()
            return
        descriptors: tuple[int, ...] = ()
        if count := message["descriptors"]:
            descriptors = tuple(socket.recv_fds(self._descriptors, 1, count)[1])
        request = WorkerRequest(message["id"], message["method"], message["params"], descriptors, self)
        self._open[request.number] = request
        self._take(request)
