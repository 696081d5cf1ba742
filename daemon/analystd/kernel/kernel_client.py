"""A live kernel: its process and the Jupyter client that speaks with it."""

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
"""What a kernel that cheats can make the daemon hold: so many messages of that size."""
_REMEMBERED_MESSAGES = 1024
_REMEMBERED_CELLS = 256
"""Of so many cells that are over it is known whose they were, for what their threads still put out."""
_HELLO_SECONDS = 0.1
_MAX_MATCHES = 1_000
_MAX_TEXT_CHARACTERS = 16_000
_MAX_VARIABLES = 10_000
_MAX_CELL_CHARACTERS = 1_000


class KernelClient:
    """Runs one cell at a time. When the process ends, the cell under way is finished and `alive` is false."""

    def __init__(self, process: KernelProcess, client: AsyncKernelClient) -> None:
        self.process = process
        self.execution_count = 0
        self.death_told = False
        """Whether a result has already said that this kernel ended."""
        self.relieved: dict[LimitName, float] = {}
        """When what it had started was ended because of a limit that it overstepped while no code ran."""
        self.on_background_output: OutputHandler | None = None
        """Takes what nobody's cell put out."""
        self._late: OrderedDict[str, OutputHandler] = OrderedDict()
        """Takes what threads and children of cells put out that are over, by the cell; the one that was heard of last is at the end."""
        self._client = client
        self._cell: Cell | None = None
        self._heard_before = 0
        self._being_read = 0
        """How many large messages are being read."""
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._idle_of: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []
        process.ended.add_done_callback(self._on_end)

    @classmethod
    async def start(cls, launch: Launch, preload: Sequence[str] = (), guard: Guard | None = None) -> Self:
        """A kernel that is ready for its first cell, looked after by `guard`.

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
        """The cell under way."""
        return self._cell

    def run(
        self, code: str, on_output: OutputHandler, on_late_output: OutputHandler | None = None, file: str | None = None
    ) -> Cell:
        """Begin to run `code`; the cell's `finished` tells when it is over, and what it puts out after that goes to `on_late_output`."""
        message = self._client.session.msg("execute_request", _request(code, file))
        cell = self._cell = Cell(message["msg_id"], on_output, lambda: self._being_read > 0, self._renew_iopub)
        cell.finished.add_done_callback(lambda _: self._forget(cell, on_late_output))
        self._client.shell_channel.send(message)
        if not self.alive:
            cell.end()
        return cell

    def interrupt(self) -> None:
        """Send SIGINT to the cell under way and what it started; a cell that is over by then notices nothing."""
        if self._cell is not None:
            self._cell.interrupted = True
            self._heard_before = self.process.heard
            self.process.tell(f"interrupt {self._cell.message_id}")

    def insist(self) -> None:
        """Interrupt once more, by a signal, a kernel that has not heard of it."""
        if self._cell is not None and self.process.heard == self._heard_before:
            self.process.signal_interrupt()

    async def variables(self) -> tuple[SessionVariable, ...]:
        """The user's variables; for a kernel that is idle.

        Raises:
            ConnectionError: when it ends meanwhile.
        """
        content = await self._request(self._message("analystd_variables_request"))
        return _variables_in(content)

    async def largest_variables(self, limit: int) -> tuple[SessionVariable, ...]:
        """The variables that take most memory, the largest first; also while code runs.

        Raises:
            ConnectionError: when the kernel ends meanwhile.
        """
        message = self._message("analystd_largest_request", {"limit": limit})
        content = await self._request(message, self._client.control_channel)
        return _variables_in(content)

    async def complete(self, code: str, cursor: int) -> Completions:
        """How the word before `cursor` may go on; for a kernel that is idle.

        Raises:
            ConnectionError: when it ends meanwhile.
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
        """What stands at `cursor`, in words; for a kernel that is idle.

        Raises:
            ConnectionError: when it ends meanwhile.
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
                # Messages are lost until the subscription has arrived: the first idle status that is seen proves that it has.
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
                # What a kernel says is not to be believed: a message that is none does no harm.
                logger.debug("A message of the kernel is ignored", exc_info=True)
            # A kernel that never pauses must not keep the daemon from everything else.
            await asyncio.sleep(0)

    def _renew_iopub(self) -> None:
        """Connect anew to what the kernel publishes: ZeroMQ never comes back to one that sent a message over the limit."""
        if not self.alive:
            return
        logger.warning(
            "The kernel %d published too much in one message, or does not say that it is idle", self.process.pid
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
        # What was on its way is still read; that the process is gone is known before its last words are.
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
    """The variables that a kernel tells of; of what it should not have told, what cannot be one is left out and what is long is cut."""
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


def ignore_output(output: Output) -> None:
    """For code whose outputs nobody wants."""


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
    # A lone surrogate is no source code, and no message either.
    return code.encode("utf-8", "replace").decode()


def _client(connection: dict[str, Any]) -> AsyncKernelClient:
    # Imported here, because a daemon whose user never runs Python does without ZeroMQ and 30 MB.
    import zmq.asyncio
    from jupyter_client.asynchronous.client import AsyncKernelClient

    context = zmq.asyncio.Context()
    context.setsockopt(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
    context.setsockopt(zmq.RCVHWM, _QUEUED_MESSAGES)
    client = AsyncKernelClient(context=context)
    client.load_connection_info(cast(Any, connection))
    # It keeps the signatures of messages so as to take none twice. As many as it keeps unless told otherwise are 8 MB for each session.
    client.session.digest_history_size = _REMEMBERED_MESSAGES
    return client
