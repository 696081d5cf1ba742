"""A running kernel: its process and the Jupyter client that communicates with it."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from analystd.jail.limits import LimitName
from analystd.kernel.base import Completions, Output, SessionVariable
from analystd.kernel.execution import Cell, OutputHandler, is_count, output_of
from analystd.kernel.kernel_process import START_SECONDS, KernelProcess
from analystd.kernel.launch import Launch
from analystd.kernel.messages import QUICK_BYTES, KernelMessage, read_message
from analystd.kernel.resource_guard import Guard
from analystd.wire.errors import SessionUnavailableError

if TYPE_CHECKING:
    from jupyter_client.asynchronous.client import AsyncKernelClient

logger = logging.getLogger(__name__)

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_QUEUED_MESSAGES = 16
"""A misbehaving kernel can make the daemon hold at most this many messages of the maximum size."""
_REMEMBERED_MESSAGES = 1024
_REMEMBERED_CELLS = 256
"""For this many finished cells the output handler is remembered, for late output of their threads."""
_HELLO_SECONDS = 0.1
_MAX_MATCHES = 1_000
_MAX_TEXT_CHARACTERS = 16_000
_MAX_VARIABLES = 10_000
_MAX_CELL_CHARACTERS = 1_000


class KernelClient:
    """Run one cell at a time. When the process ends, the running cell is finished and `alive` is false."""

    def __init__(self, process: KernelProcess, client: AsyncKernelClient) -> None:
        self.process = process
        self.execution_count = 0
        self.death_reported = False
        """Whether a result has already reported the end of this kernel."""
        self.relieved: dict[LimitName, float] = {}
        """When its child processes were last killed because of a limit that was exceeded while no code ran, by limit."""
        self.on_background_output: OutputHandler | None = None
        """Called with output that belongs to no remembered cell."""
        self._late: OrderedDict[str, OutputHandler] = OrderedDict()
        """Handlers for output of finished cells' threads and children, by cell; the most recently used one is last."""
        self._client = client
        self._cell: Cell | None = None
        self._acknowledged_before = 0
        self._being_read = 0
        """The number of large messages being parsed."""
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._idle_of: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        process.ended.add_done_callback(self._on_end)

    @classmethod
    async def start(cls, launch: Launch, preload: Sequence[str] = (), guard: Guard | None = None) -> Self:
        """Start a kernel, watched by `guard`, and return it when it is ready for its first cell.

        Raises:
            SessionUnavailableError: when it cannot be started.
        """
        process = await KernelProcess.start(launch, preload, guard)
        kernel = cls(process, _client(process.connection))
        try:
            await kernel._connect()
        except BaseException:
            await kernel.aclose()
            raise
        return kernel

    @property
    def alive(self) -> bool:
        """Whether it can run code."""
        return self.process.alive

    @property
    def cell(self) -> Cell | None:
        """The running cell."""
        return self._cell

    def run(
        self, code: str, on_output: OutputHandler, on_late_output: OutputHandler | None = None, file: str | None = None
    ) -> Cell:
        """Begin to run `code`; `finished` of the returned cell is done at its end, and later output goes to `on_late_output`."""
        message = self._client.session.msg("execute_request", _request(code, file))
        cell = self._cell = Cell(message["msg_id"], on_output, lambda: self._being_read > 0, self._renew_iopub)
        cell.finished.add_done_callback(lambda _: self._forget(cell, on_late_output))
        self._client.shell_channel.send(message)
        if not self.alive:
            cell.end()
        return cell

    def interrupt(self) -> None:
        """Send SIGINT to the running cell and its processes; without effect if the cell is over by then."""
        if self._cell is not None:
            self._cell.interrupted = True
            self._acknowledged_before = self.process.acknowledged
            self.process.send_line(f"interrupt {self._cell.message_id}")

    def insist(self) -> None:
        """Interrupt again, by a signal, a kernel that has not acknowledged the interrupt."""
        if self._cell is not None and self.process.acknowledged == self._acknowledged_before:
            self.process.signal_interrupt()

    async def variables(self) -> tuple[SessionVariable, ...]:
        """Return the user's variables; only for an idle kernel.

        Raises:
            ConnectionError: when the kernel ends meanwhile.
        """
        content = await self._request(self._message("analystd_variables_request"))
        return _variables_in(content)

    async def largest_variables(self, limit: int) -> tuple[SessionVariable, ...]:
        """Return the variables that take the most memory, the largest first; also while code runs.

        Raises:
            ConnectionError: when the kernel ends meanwhile.
        """
        message = self._message("analystd_largest_request", {"limit": limit})
        content = await self._request(message, self._client.control_channel)
        return _variables_in(content)

    async def complete(self, code: str, cursor: int) -> Completions:
        """Return completions for the word before `cursor`; only for an idle kernel.

        Raises:
            ConnectionError: when the kernel ends meanwhile.
        """
        content = await self._request(
            self._message("complete_request", {"code": _sendable(code), "cursor_pos": cursor})
        )
        matches = [
            match[:_MAX_TEXT_CHARACTERS] for match in content["matches"][:_MAX_MATCHES] if isinstance(match, str)
        ]
        start, end = int(content["cursor_start"]), int(content["cursor_end"])
        if not 0 <= start <= end <= len(code):
            return Completions((), cursor, cursor)
        return Completions(tuple(matches), start, end)

    async def inspect(self, code: str, cursor: int) -> str | None:
        """Describe the name at `cursor`; only for an idle kernel.

        Raises:
            ConnectionError: when the kernel ends meanwhile.
        """
        content = await self._request(self._message("inspect_request", {"code": _sendable(code), "cursor_pos": cursor}))
        data = content["data"]
        text = data.get("text/plain") if isinstance(data, dict) else None
        return text[:_MAX_TEXT_CHARACTERS] if isinstance(text, str) else None

    async def aclose(self) -> None:
        """End the kernel and free its sockets. Harmless when repeated."""
        await self.process.aclose()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._client.stop_channels()
        self._client.context.destroy(linger=0)

    async def _connect(self) -> None:
        self._client.start_channels(stdin=False, hb=False)
        self._tasks = [
            asyncio.create_task(self._read(self._client.iopub_channel, self._on_iopub), name="kernel-iopub"),
            asyncio.create_task(self._read(self._client.shell_channel, self._on_shell), name="kernel-shell"),
            asyncio.create_task(self._read(self._client.control_channel, self._on_shell), name="kernel-control"),
        ]
        try:
            async with asyncio.timeout(START_SECONDS):
                # Messages are lost until the subscription has arrived: the first idle status received proves that it has.
                while not await self._hello():
                    pass
        except TimeoutError as exc:
            raise SessionUnavailableError(f"The Python session did not answer within {START_SECONDS:g} s") from exc

    async def _hello(self) -> bool:
        message = self._message("kernel_info_request")
        idle = self._idle_of[message["msg_id"]] = asyncio.Event()
        try:
            await self._request(message)
            await asyncio.wait_for(idle.wait(), _HELLO_SECONDS)
        except ConnectionError as exc:
            raise SessionUnavailableError(f"The Python session {self.process.how_it_ended()} while it started") from exc
        except TimeoutError:
            return False
        finally:
            del self._idle_of[message["msg_id"]]
        return True

    def _message(self, kind: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        message: dict[str, Any] = self._client.session.msg(kind, content or {})
        return message

    async def _request(self, message: dict[str, Any], channel: Any = None) -> dict[str, Any]:
        reply: asyncio.Future[dict[str, Any]]
        reply = self._replies[message["msg_id"]] = asyncio.get_running_loop().create_future()
        try:
            (channel or self._client.shell_channel).send(message)
            if not self.alive:
                raise ConnectionError("the kernel has ended")
            return await reply
        finally:
            del self._replies[message["msg_id"]]

    async def _read(self, channel: Any, handle: Callable[[KernelMessage], None]) -> None:
        while True:
            try:
                parts = await channel.socket.recv_multipart()
                handle(await self._message_in(parts))
            except Exception:
                # A kernel is not trusted: an invalid message must do no harm.
                logger.debug("Ignored an invalid message from the kernel", exc_info=True)
            # A kernel that never pauses must not block everything else in the daemon.
            await asyncio.sleep(0)

    def _renew_iopub(self) -> None:
        """Reconnect to the kernel's iopub channel: ZeroMQ does not reconnect to a peer that sent a message over the limit."""
        if not self.alive:
            return
        logger.warning(
            "The kernel %d published a message that is too large, or does not report that it is idle", self.process.pid
        )
        self._tasks[0].cancel()
        self._client.iopub_channel.stop()
        self._client._iopub_channel = None
        self._client.iopub_channel.start()
        reading = self._read(self._client.iopub_channel, self._on_iopub)
        self._tasks.insert(0, asyncio.create_task(reading, name="kernel-iopub"))

    async def _message_in(self, parts: list[bytes]) -> KernelMessage:
        key = self._client.session.key
        if sum(map(len, parts)) <= QUICK_BYTES:
            return read_message(parts, key)
        self._being_read += 1
        try:
            return await asyncio.to_thread(read_message, parts, key)
        finally:
            self._being_read -= 1

    def _on_iopub(self, message: KernelMessage) -> None:
        parent, kind, content, bundle = message.parent, message.kind, message.content, message.bundle
        if self._cell is not None and parent == self._cell.message_id:
            self._cell.published(kind, content, bundle)
        elif parent in self._idle_of:
            if kind == "status" and content.get("execution_state") == "idle":
                self._idle_of[parent].set()
        elif (output := output_of(kind, content, bundle)) is not None:
            self._take_late(parent, output)

    def _on_shell(self, message: KernelMessage) -> None:
        if self._cell is not None and message.parent == self._cell.message_id:
            if is_count(count := message.content.get("execution_count")):
                self.execution_count = count
            self._cell.replied(message.content)
        elif (reply := self._replies.get(message.parent)) is not None and not reply.done():
            reply.set_result(message.content)

    def _take_late(self, parent: str, output: Output) -> None:
        if (handler := self._late.get(parent)) is not None:
            self._late.move_to_end(parent)
            handler(output)
        elif self.on_background_output is not None:
            self.on_background_output(output)

    def _forget(self, cell: Cell, on_late_output: OutputHandler | None) -> None:
        if self._cell is cell:
            self._cell = None
        if on_late_output is not None:
            self._late[cell.message_id] = on_late_output
            if len(self._late) > _REMEMBERED_CELLS:
                self._late.popitem(last=False)

    def _on_end(self, ended: asyncio.Future[int]) -> None:
        # Messages in transit are still read: the end of the process is known before its last messages arrive.
        asyncio.get_running_loop().call_later(0.05, self._give_up)

    def _give_up(self) -> None:
        if self._being_read:
            asyncio.get_running_loop().call_later(0.05, self._give_up)
            return
        if self._cell is not None:
            self._cell.end()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(ConnectionError("the kernel has ended"))


def _variables_in(content: dict[str, Any]) -> tuple[SessionVariable, ...]:
    """Return the variables in a kernel's answer; invalid rows are skipped and long values cut."""
    rows = content["variables"][:_MAX_VARIABLES]
    return tuple(_variable(row) for row in rows if isinstance(row, dict))


def _variable(row: dict[str, Any]) -> SessionVariable:
    def text(name: str) -> str:
        return value[:_MAX_CELL_CHARACTERS] if isinstance(value := row[name], str) else ""

    shape, memory = row["shape"], row["memory_bytes"]
    return SessionVariable(
        name=text("name"),
        type=text("type"),
        shape=shape[:_MAX_CELL_CHARACTERS] if isinstance(shape, str) else None,
        memory_bytes=memory if is_count(memory) else None,
        preview=text("preview"),
    )


def _request(code: str, file: str | None) -> dict[str, Any]:
    return {
        "code": _sendable(code),
        "analystd_file": None if file is None else _sendable(file),
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": False,
        "stop_on_error": False,
    }


def _sendable(code: str) -> str:
    # A lone surrogate is valid neither in source code nor in a message.
    return code.encode("utf-8", "replace").decode()


def _client(connection: dict[str, Any]) -> AsyncKernelClient:
    # Imported here, so that a daemon whose user never runs Python does not load ZeroMQ, which takes 30 MB.
    import zmq.asyncio
    from jupyter_client.asynchronous.client import AsyncKernelClient

    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
    context.setsockopt(zmq.RCVHWM, _QUEUED_MESSAGES)
    client = AsyncKernelClient(context=context)
    client.load_connection_info(cast(Any, connection))
    # The client keeps message signatures to detect repeated messages; its default number would take 8 MB for each session.
    client.session.digest_history_size = _REMEMBERED_MESSAGES
    return client
