"""The relay: what an editor starts. It passes frames between the editor's stdio and the daemon's socket.

It carries the editor over the daemon's death: pending requests are answered with error 4007, another daemon is started, and what it must
know is replayed (`replay.py`). A daemon that says nothing for too long counts as dead, so that the editor is never left waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from analystd.discovery.dial import DaemonLink, Introduction, find_daemon
from analystd.discovery.dial_async import in_own_thread
from analystd.relay.process_exit import ended
from analystd.relay.replay import REPLAY_ID, WindowReplay
from analystd.util.inert_text import message_text
from analystd.util.strict_json import encoded
from analystd.wire import framing
from analystd.wire.errors import AnalystdError, DaemonLostError, ResourceLimitError
from analystd.wire.jsonrpc import INVALID_REQUEST, PARSE_ERROR, Message, NotAMessageError, error_message, message_in

_LOOK_AGAIN_SECONDS = 2.0
_RETRY_SECONDS = (0.0, 0.2, 1.0, 5.0)
_LAST_WORDS_SECONDS = 2.0
_OPENING_TRIES = 3
_REPLAY_TRIES = 3
_QUEUE_LENGTH = 256
_PING = {"jsonrpc": "2.0", "id": f"{REPLAY_ID}-ping", "method": "analystd/ping"}
_WARNING = 2
_LOST = "The daemon ended while this request was under way; another is started"


@dataclass(frozen=True)
class Patience:
    """How long a daemon may say nothing while the editor waits, in seconds."""

    before_ping: float = 10.0
    """Then it is asked whether it lives; whatever it says is an answer to that."""
    after_ping: float = 20.0
    """Then it counts as dead."""
    opening: float = 60.0
    """So long it may take for the answer to `initialize`."""


class Relay:
    """One editor window's way to the daemon."""

    def __init__(
        self, editor_in: asyncio.StreamReader, editor_out: asyncio.StreamWriter, patience: Patience | None = None
    ) -> None:
        self._editor_in = editor_in
        self._editor_out = editor_out
        self._patience = patience or Patience()
        self._caller = Introduction("window", os.urandom(16).hex())
        self._window = WindowReplay()
        self._queue: asyncio.Queue[tuple[bytes, Message]] = asyncio.Queue(_QUEUE_LENGTH)
        self._daemon: asyncio.StreamWriter | None = None
        """Where the editor's messages go; None while there is no daemon that knows all that it should."""
        self._problem: str | None = None
        """Why there is none, once it was tried in vain."""
        self._settled = asyncio.Event()
        """Set while there is a daemon, or a problem."""
        self._wanted = asyncio.Event()
        """Set when a daemon is needed, and not merely nice to have."""
        self._openings_lost = 0
        self._replays_lost = 0
        """Daemons in a row that hung up before they knew what they should."""
        self._opening_end: float | None = None
        self._note: str | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self._editor_gone = asyncio.Event()
        self._is_orderly = False
        """Whether the editor has asked for `shutdown`, be it answered or not."""
        self._has_left = False
        self._daemon_left = asyncio.Event()
        """Set when the daemon has hung up after the editor's `exit`."""

    async def run(self) -> int:
        """Pass messages until the editor leaves; gives the exit status that LSP asks for."""
        self._watch(os.getppid())
        works = (self._from_editor(), self._to_daemon(), self._keep_connected(), self._editor_gone.wait())
        tasks: list[asyncio.Task[Any]] = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, *self._watchers):
                task.cancel()
            await asyncio.gather(*tasks, *self._watchers, return_exceptions=True)
            if self._daemon is not None:
                self._daemon.close()
        return 0 if self._is_orderly else 1

    async def _from_editor(self) -> None:
        """Read what the editor says until it leaves, whatever the daemon does meanwhile."""
        try:
            while (body := await self._next_body()) is not None:
                message = _parsed(body)
                if message.get("method") == "exit":
                    await self._say_last(body)
                    return
                if message.get("method") == "initialize":
                    self._watch_editor(message)
                self._is_orderly = self._is_orderly or message.get("method") == "shutdown"
                await self._queue.put((body, message))
        except framing.FramingError as exc:
            await self._tell([error_message(None, PARSE_ERROR, f"What was sent is no LSP: {exc}")])
            raise

    async def _next_body(self) -> bytes | None:
        """What the editor says next; what cannot be read is answered here."""
        while True:
            try:
                return await framing.read_body(self._editor_in)
            except framing.SkippedMessageError as exc:
                await self._tell([error_message(None, INVALID_REQUEST, f"Not read: {exc}")])

    async def _say_last(self, body: bytes) -> None:
        """Pass what is left and `exit` on, and wait until the daemon has answered and hung up, if it does that soon."""
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                await self._queue.join()
                if self._daemon is not None:
                    self._has_left = True
                    self._daemon.write(framing.frame_body(body))
                    await self._daemon_left.wait()

    async def _to_daemon(self) -> None:
        while True:
            body, message = await self._queue.get()
            if self._daemon is not None or await self._needs_daemon(message):
                await self._pass_on(body, message)
            self._queue.task_done()

    async def _pass_on(self, body: bytes, message: Message) -> None:
        """Send a message, or answer it when there is no daemon to be had."""
        is_wanted = self._window.note_sent(message)
        if self._daemon is None:
            await self._answer_lost(self._problem or _LOST)
        elif is_wanted:
            with contextlib.suppress(OSError):
                self._daemon.write(framing.frame_body(body))
                await self._daemon.drain()

    async def _needs_daemon(self, message: Message) -> bool:
        """Have a daemon found, or a problem, for what has to be answered; the rest is noted, and a replay will tell it."""
        is_request = "method" in message and "id" in message
        if is_request and (self._window.shut_down or message["method"] == "shutdown"):
            await self._answer_good_night(message)
            return False
        if message and not is_request:
            self._window.note_sent(message)
            return False
        self._problem = None
        self._settled.clear()
        self._wanted.set()
        await self._settled.wait()
        return True

    async def _answer_good_night(self, message: Message) -> None:
        """Answer what comes at the end; no daemon is woken for that."""
        if message["method"] == "shutdown":
            self._window.shut_down = True
            await self._tell([{"jsonrpc": "2.0", "id": message["id"], "result": None}])
            return
        text = "The connection is shut down; only `exit` may follow"
        await self._tell([error_message(message["id"], INVALID_REQUEST, text)])

    async def _keep_connected(self) -> None:
        """Connect, pass what the daemon says, and connect again when it is gone."""
        failures = 0
        while True:
            try:
                await self._serve(await self._find())
                failures = 0
            except (AnalystdError, OSError) as exc:
                await self._give_up_for_now(_told(exc))
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1

    async def _find(self) -> DaemonLink:
        """Dial; a daemon is started only when the editor wants something, so that one which was stopped stays so."""
        while True:
            is_wanted = self._wanted.is_set()
            try:
                return await in_own_thread(
                    partial(find_daemon, self._caller, start=is_wanted), lambda link: link.connection.close()
                )
            except DaemonLostError:
                if is_wanted:
                    raise
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), _LOOK_AGAIN_SECONDS)

    async def _serve(self, link: DaemonLink) -> None:
        """Bring a daemon to where the last one was, and pass what it says until it is gone.

        Raises:
            DaemonLostError: when it does not take the window.
        """
        self._note = link.note
        self._opening_end = None
        reader, writer = await asyncio.open_unix_connection(sock=link.connection, limit=1 << 20)
        try:
            if initialize := self._window.replayed_initialize():
                writer.write(framing.frame(initialize))
            if initialize is None or initialize["id"] != REPLAY_ID:
                self._begin(writer)
            await self._from_daemon(reader, writer)
        finally:
            is_taken, self._daemon = self._daemon is not None, None
            self._settled.clear()
            writer.transport.abort()
        if self._has_left:
            self._daemon_left.set()
            await asyncio.get_running_loop().create_future()
        await self._lose(_LOST)
        self._replays_lost = 0 if is_taken else self._replays_lost + 1
        if self._replays_lost >= _REPLAY_TRIES:
            raise DaemonLostError("The daemon hangs up whenever this window comes back to it")

    def _begin(self, writer: asyncio.StreamWriter) -> None:
        """The daemon knows what the last one knew: go on."""
        self._daemon = writer
        self._wanted.clear()
        self._settled.set()

    async def _from_daemon(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(framing.FramingError, ConnectionError):
            while (body := await self._hear(reader, writer)) is not None:
                message = _parsed(body)
                if message.get("id") == REPLAY_ID:
                    self._end_replay(message, writer)
                elif self._window.note_received(message):
                    await self._to_editor(body)
                if self._note and self._window.opened:
                    params = {"type": _WARNING, "message": message_text(self._note)}
                    await self._tell([{"jsonrpc": "2.0", "method": "window/showMessage", "params": params}])
                    self._note = None

    async def _hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """The daemon's next message, or None at its end; also when it says nothing though the editor waits."""
        reading = asyncio.ensure_future(self._next_of_daemon(reader))
        is_asked = False
        try:
            while True:
                seconds = self._patience.after_ping if is_asked else self._patience.before_ping
                done, _ = await asyncio.wait([reading], timeout=seconds)
                if done:
                    return reading.result()
                if is_asked or self._opens_for_too_long():
                    return None
                if self._daemon is None or self._window.waits:
                    writer.write(framing.frame(_PING))
                    is_asked = True
        finally:
            reading.cancel()

    async def _next_of_daemon(self, reader: asyncio.StreamReader) -> bytes | None:
        """The next message that can be read. In the place of an answer that cannot, the editor is sent an error; the daemon lives on."""
        while True:
            try:
                return await framing.read_body(reader)
            except framing.SkippedMessageError as exc:
                if exc.request_id is not None:
                    text = f"The daemon's answer could not be read: {exc}"
                    data = {"kind": ResourceLimitError.kind, "run_id": None, "hint": "Ask for less at once."}
                    return encoded(error_message(exc.request_id, ResourceLimitError.code, text, data))

    def _opens_for_too_long(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._daemon is not None and not self._window.is_opening:
            self._opening_end = None
        elif self._opening_end is None:
            self._opening_end = now + self._patience.opening
        return self._opening_end is not None and now >= self._opening_end

    def _end_replay(self, answer: Message, writer: asyncio.StreamWriter) -> None:
        if "error" in answer:
            raise DaemonLostError(f"Another daemon does not take this window: {answer['error'].get('message')}")
        for message in self._window.replayed_rest():
            writer.write(framing.frame(message))
        self._begin(writer)

    async def _lose(self, text: str) -> None:
        """Answer what nobody will answer any more; `initialize` is asked again of the next daemon, a few times."""
        if self._window.waits:
            self._wanted.set()
        self._openings_lost = self._openings_lost + 1 if self._window.is_opening else 0
        await self._tell(self._window.orphaned())
        await self._answer_lost(text, opening_too=self._openings_lost >= _OPENING_TRIES)

    async def _give_up_for_now(self, problem: str) -> None:
        """Answer what waits, and start nothing before something else is wanted."""
        self._wanted.clear()
        self._problem = problem
        await self._tell(self._window.orphaned())
        await self._answer_lost(problem)
        self._settled.set()

    async def _answer_lost(self, text: str, *, opening_too: bool = True) -> None:
        data = {"kind": DaemonLostError.kind, "run_id": None, "hint": "Ask again."}
        lost = self._window.lost(opening_too=opening_too)
        await self._tell(error_message(number, DaemonLostError.code, text, data) for number in lost)

    async def _tell(self, messages: Iterable[Message]) -> None:
        await self._to_editor(b"", *messages)

    async def _to_editor(self, body: bytes, *messages: Message) -> None:
        frames = [framing.frame_body(body)] if body else []
        self._editor_out.write(b"".join([*frames, *map(framing.frame, messages)]))
        with contextlib.suppress(OSError):
            await self._editor_out.drain()

    def _watch_editor(self, initialize: Message) -> None:
        """Watch the process that `initialize` names, as LSP asks."""
        with contextlib.suppress(KeyError, TypeError):
            pid = initialize["params"]["processId"]
            if isinstance(pid, int) and pid > 0:
                self._watch(pid)

    def _watch(self, pid: int) -> None:
        async def wait() -> None:
            # One that cannot be seen from here, as in a container, cannot be watched.
            with contextlib.suppress(ProcessLookupError):
                await ended(pid)
                self._editor_gone.set()

        self._watchers.add(asyncio.create_task(wait()))


def _told(error: AnalystdError | OSError) -> str:
    """Return what an error says, with what to do about it."""
    if not isinstance(error, AnalystdError):
        return str(error)
    return f"{error.message}. {error.hint}" if error.hint else error.message


def _parsed(body: bytes) -> Message:
    """The message; for what is none, and so for the daemon to answer, an empty one, or a nameless request if its id can be told."""
    try:
        return message_in(body)
    except NotAMessageError as exc:
        return {} if exc.request_id is None else {"id": exc.request_id, "method": ""}
