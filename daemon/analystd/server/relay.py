"""The relay: what an editor starts. It passes frames between the editor's stdio and the daemon's socket.

It remembers just enough (what is pending, the `initialize` exchange, open documents) to carry the editor over the daemon's death:
pending requests are answered with error 4007, another daemon is started, and what it must know is replayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys

from analystd import framing
from analystd.errors import AnalystdError, DaemonLostError
from analystd.server.dial import dial
from analystd.server.messages import INVALID_REQUEST, PARSE_ERROR, Message, NotAMessageError, error_frame, message_in

_PARENT_CHECK_SECONDS = 2.0
_LOOK_AGAIN_SECONDS = 2.0
_LAST_SECONDS = 2.0
_RETRY_SECONDS = (0.0, 0.2, 1.0, 5.0)
_REPLAY_ID = "analystd-relay"


class Memory:
    """What a new daemon has to be told, and what the editor still waits for."""

    def __init__(self) -> None:
        self.initialize: Message | None = None
        self.initialized: Message | None = None
        self.documents: dict[str, list[Message]] = {}
        self.pending: dict[str | int, str] = {}
        self.shut_down = False

    def note_sent(self, message: Message) -> None:
        """Take in what the editor says."""
        method = message.get("method")
        if "id" in message and method is not None:
            self.pending[message["id"]] = method
        if method == "initialize":
            self.initialize = message
        elif method == "initialized":
            self.initialized = message
        elif method == "shutdown":
            self.shut_down = True
        elif method is not None and method.startswith("textDocument/did"):
            self._note_document(method, message)

    def note_received(self, message: Message) -> None:
        """Take in what the daemon says."""
        if "method" not in message:
            self.pending.pop(message.get("id", ""), None)

    def replayed_initialize(self) -> Message | None:
        """The `initialize` that a new daemon has to be sent first, if there was one."""
        if self.initialize is None or self.initialize["id"] in self.pending:
            return None
        return {**self.initialize, "id": _REPLAY_ID}

    def replayed_rest(self) -> list[Message]:
        """What follows when the new daemon has answered that."""
        first = [self.initialized] if self.initialized is not None else []
        return [*first, *itertools.chain.from_iterable(self.documents.values())]

    def _note_document(self, method: str, message: Message) -> None:
        with contextlib.suppress(KeyError, TypeError):
            uri = message["params"]["textDocument"]["uri"]
            if method == "textDocument/didOpen":
                self.documents[uri] = [message]
            elif method == "textDocument/didChange":
                # Changes carry the whole text, so the last one is enough.
                self.documents[uri][1:] = [message]
            elif method == "textDocument/didClose":
                self.documents.pop(uri, None)


class Relay:
    """One editor window's way to the daemon."""

    def __init__(self, editor_in: asyncio.StreamReader, editor_out: asyncio.StreamWriter) -> None:
        self._editor_in = editor_in
        self._editor_out = editor_out
        self._memory = Memory()
        self._daemon: asyncio.StreamWriter | None = None
        self._connected = asyncio.Event()
        self._wanted = asyncio.Event()
        """Set when a daemon is needed, and not merely nice to have."""
        self._left = False
        self._daemon_left = asyncio.Event()
        """Set when the daemon has answered all and hung up, after the editor left."""

    async def run(self) -> int:
        """Pass messages until the editor leaves; gives the exit status that LSP asks for."""
        tasks = [
            asyncio.create_task(work) for work in (self._from_editor(), self._keep_connected(), self._watch_parent())
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._left = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self._daemon is not None:
                self._daemon.close()
        return 0 if self._memory.shut_down else 1

    async def _from_editor(self) -> None:
        while (body := await self._next_body()) is not None:
            message = _parsed(body)
            self._memory.note_sent(message)
            if message.get("method") == "exit":
                self._left = True
                if self._daemon is None:
                    return
            needs_answer = "id" in message or not message
            if needs_answer:
                self._wanted.set()
            if needs_answer or self._connected.is_set():
                await self._connected.wait()
                await self._to_daemon(body)
            if self._left:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._daemon_left.wait(), _LAST_SECONDS)
                return

    async def _next_body(self) -> bytes | None:
        """What the editor says next; what cannot be read is answered here."""
        while True:
            try:
                return await framing.read_body(self._editor_in)
            except framing.SkippedMessageError as exc:
                self._editor_out.write(error_frame(None, INVALID_REQUEST, f"Not read: {exc}"))

    async def _to_daemon(self, body: bytes) -> None:
        if self._daemon is None:
            await self._answer_lost("There is no daemon")
            return
        with contextlib.suppress(OSError):
            self._daemon.write(framing.frame_body(body))
            await self._daemon.drain()

    async def _keep_connected(self) -> None:
        """Connect, pass what the daemon says, and connect again when it is gone."""
        failures = 0
        while not self._left:
            try:
                reader = await self._connect()
            except (AnalystdError, OSError) as exc:
                await self._give_up_for_now(exc)
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1
                continue
            failures = 0
            await self._from_daemon(reader)
            await self._lose_daemon()

    async def _connect(self) -> asyncio.StreamReader:
        """Dial; a daemon is started only when the editor wants something, so that one which was stopped stays so."""
        while (connection := await asyncio.to_thread(self._dial)) is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), _LOOK_AGAIN_SECONDS)
        reader, self._daemon = await asyncio.open_unix_connection(sock=connection, limit=1 << 20)
        if initialize := self._memory.replayed_initialize():
            self._daemon.write(framing.frame(initialize))
        else:
            self._connected.set()
        return reader

    def _dial(self) -> socket.socket | None:
        if self._wanted.is_set():
            return dial(client="window")
        try:
            return dial(client="window", start=False)
        except DaemonLostError:
            return None

    async def _lose_daemon(self) -> None:
        assert self._daemon is not None
        self._daemon.close()
        self._daemon = None
        if self._left:
            self._daemon_left.set()
            return
        if not self._memory.pending:
            self._wanted.clear()
        self._connected.clear()
        await self._answer_lost("The daemon ended while this request was under way; another is started")

    async def _give_up_for_now(self, error: AnalystdError | OSError) -> None:
        """Answer what waits, and start nothing before something else is wanted."""
        self._wanted.clear()
        self._connected.set()
        await self._answer_lost(getattr(error, "message", str(error)))
        self._connected.clear()

    def _end_replay(self) -> None:
        """The new daemon is where the old one was: go on."""
        assert self._daemon is not None
        for message in self._memory.replayed_rest():
            self._daemon.write(framing.frame(message))
        self._connected.set()

    async def _from_daemon(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(framing.FramingError, OSError):
            while (body := await framing.read_body(reader)) is not None:
                message = _parsed(body)
                if message.get("id") == _REPLAY_ID:
                    self._end_replay()
                    continue
                self._memory.note_received(message)
                self._editor_out.write(framing.frame_body(body))
                await self._editor_out.drain()

    async def _answer_lost(self, text: str) -> None:
        """Answer all that is pending: nobody else will."""
        error = {
            "code": DaemonLostError.code,
            "message": text,
            "data": {"kind": DaemonLostError.kind, "run_id": None, "hint": "Ask again."},
        }
        for request_id in list(self._memory.pending):
            self._editor_out.write(framing.frame({"jsonrpc": "2.0", "id": request_id, "error": error}))
        self._memory.pending.clear()
        with contextlib.suppress(OSError):
            await self._editor_out.drain()

    async def _watch_parent(self) -> None:
        """End when the editor is gone, as LSP's `processId` asks."""
        parent = os.getppid()
        while os.getppid() == parent:
            await asyncio.sleep(_PARENT_CHECK_SECONDS)


def relay_stdio() -> int:
    """Relay this process's stdin and stdout; gives the exit status."""
    return asyncio.run(_relay_stdio())


async def _relay_stdio() -> int:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    try:
        return await Relay(reader, writer).run()
    except framing.FramingError as exc:
        writer.write(error_frame(None, PARSE_ERROR, f"What was sent is no LSP: {exc}"))
        print(f"analystd: the editor sent what is not LSP: {exc}", file=sys.stderr)  # noqa: T201
        return 1
    finally:
        incoming.close()
        transport.close()


def _parsed(body: bytes) -> Message:
    """The message, or an empty one for what is none: the daemon answers that as it should be."""
    with contextlib.suppress(NotAMessageError):
        return message_in(body)
    return {}
