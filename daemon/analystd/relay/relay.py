"""Pass messages between an editor's stdio and the daemon's socket, and keep the editor connected when the daemon dies.

When the daemon dies, pending requests are answered with error 4007, another daemon is started, and the state of the window is replayed to
it (`replay.py`). A daemon that sends nothing for too long counts as dead, so that the editor never waits forever.
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
_LOST = "The daemon ended before it answered this request; another one is being started"


@dataclass(frozen=True)
class Patience:
    """How long the relay waits for a silent daemon while the editor waits for an answer, in seconds."""

    before_ping: float = 10.0
    """Time without a message before the relay sends a ping; any message counts as its answer."""
    after_ping: float = 20.0
    """Time without a message after the ping before the daemon counts as dead."""
    opening: float = 60.0
    """Time in which the daemon must answer `initialize`."""


class Relay:
    """Connects one editor window to the daemon."""

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
        """The daemon that the editor's messages go to; None until one is connected and the replay is done."""
        self._problem: str | None = None
        """Why no daemon could be connected at the last attempt."""
        self._settled = asyncio.Event()
        """Set while there is a daemon or a problem."""
        self._wanted = asyncio.Event()
        """Set when a request needs a daemon; until then, the relay starts none."""
        self._openings_lost = 0
        self._replays_lost = 0
        """Number of successive daemons that hung up before the replay was done."""
        self._opening_end: float | None = None
        self._note: str | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self._editor_gone = asyncio.Event()
        self._is_orderly = False
        """Whether the editor has sent `shutdown`, answered or not."""
        self._has_left = False
        self._daemon_left = asyncio.Event()
        """Set when the daemon has hung up after the editor's `exit`."""

    async def run(self) -> int:
        """Pass messages until the editor leaves, and return the exit status that LSP requires."""
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
        """Read the editor's messages until it leaves, independently of the daemon."""
        try:
            while (body := await self._next_body()) is not None:
                message = _parsed(body)
                if message.get("method") == "exit":
                    await self._pass_exit(body)
                    return
                if message.get("method") == "initialize":
                    self._watch_editor(message)
                self._is_orderly = self._is_orderly or message.get("method") == "shutdown"
                await self._queue.put((body, message))
        except framing.FramingError as exc:
            await self._send([error_message(None, PARSE_ERROR, f"The input is not LSP: {exc}")])
            raise

    async def _next_body(self) -> bytes | None:
        """Return the editor's next message; answer messages that cannot be read with an error."""
        while True:
            try:
                return await framing.read_body(self._editor_in)
            except framing.SkippedMessageError as exc:
                await self._send([error_message(None, INVALID_REQUEST, f"The message was skipped: {exc}")])

    async def _pass_exit(self, body: bytes) -> None:
        """Pass on the queued messages and `exit`, and wait briefly for the daemon to answer and hang up."""
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
            if self._daemon is not None or await self._require_daemon(message):
                await self._pass_on(body, message)
            self._queue.task_done()

    async def _pass_on(self, body: bytes, message: Message) -> None:
        """Send a message to the daemon, or answer it with an error when there is none."""
        is_wanted = self._window.note_sent(message)
        if self._daemon is None:
            await self._answer_lost(self._problem or _LOST)
        elif is_wanted:
            with contextlib.suppress(OSError):
                self._daemon.write(framing.frame_body(body))
                await self._daemon.drain()

    async def _require_daemon(self, message: Message) -> bool:
        """Wait for a daemon, or a problem, if the message needs an answer. Other messages are recorded for the replay.

        Returns:
            Whether the message is still to be passed on.
        """
        is_request = "method" in message and "id" in message
        if is_request and (self._window.shut_down or message["method"] == "shutdown"):
            await self._answer_after_shutdown(message)
            return False
        if message and not is_request:
            self._window.note_sent(message)
            return False
        self._problem = None
        self._settled.clear()
        self._wanted.set()
        await self._settled.wait()
        return True

    async def _answer_after_shutdown(self, message: Message) -> None:
        """Answer `shutdown` and requests after it here; no daemon is started for them."""
        if message["method"] == "shutdown":
            self._window.shut_down = True
            await self._send([{"jsonrpc": "2.0", "id": message["id"], "result": None}])
            return
        text = "The connection is shut down; only `exit` may follow"
        await self._send([error_message(message["id"], INVALID_REQUEST, text)])

    async def _keep_connected(self) -> None:
        """Connect, pass on the daemon's messages, and connect again when it is gone."""
        failures = 0
        while True:
            try:
                await self._serve(await self._find())
                failures = 0
            except (AnalystdError, OSError) as exc:
                await self._give_up_for_now(_with_hint(exc))
                await asyncio.sleep(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
                failures += 1

    async def _find(self) -> DaemonLink:
        """Connect to a daemon. One is started only when the editor needs it, so that a stopped daemon stays stopped."""
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
        """Replay the window's state to a daemon, and pass on its messages until it is gone.

        Raises:
            DaemonLostError: when the daemon refuses the window.
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
            was_replayed, self._daemon = self._daemon is not None, None
            self._settled.clear()
            writer.transport.abort()
        if self._has_left:
            self._daemon_left.set()
            await asyncio.get_running_loop().create_future()
        await self._lose(_LOST)
        self._replays_lost = 0 if was_replayed else self._replays_lost + 1
        if self._replays_lost >= _REPLAY_TRIES:
            raise DaemonLostError("The daemon hangs up each time this window reconnects")

    def _begin(self, writer: asyncio.StreamWriter) -> None:
        """Use this daemon for the editor's messages: the replay is done."""
        self._daemon = writer
        self._wanted.clear()
        self._settled.set()

    async def _from_daemon(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(framing.FramingError, ConnectionError):
            while (body := await self._next_answer(reader, writer)) is not None:
                message = _parsed(body)
                if message.get("id") == REPLAY_ID:
                    self._end_replay(message, writer)
                elif self._window.note_received(message):
                    await self._to_editor(body)
                if self._note and self._window.opened:
                    params = {"type": _WARNING, "message": message_text(self._note)}
                    await self._send([{"jsonrpc": "2.0", "method": "window/showMessage", "params": params}])
                    self._note = None

    async def _next_answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
        """Return the daemon's next message; None at its end, or when it stays silent for too long while the editor waits."""
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
        """Return the daemon's next readable message. An answer that cannot be read is replaced by an error; the daemon lives on."""
        while True:
            try:
                return await framing.read_body(reader)
            except framing.SkippedMessageError as exc:
                if exc.request_id is not None:
                    text = f"The daemon's answer could not be read: {exc}"
                    data = {"kind": ResourceLimitError.kind, "run_id": None, "hint": "Request less data at once."}
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
            raise DaemonLostError(f"The new daemon refuses this window: {answer['error'].get('message')}")
        for message in self._window.replayed_rest():
            writer.write(framing.frame(message))
        self._begin(writer)

    async def _lose(self, text: str) -> None:
        """Answer the requests that the lost daemon leaves open. `initialize` is sent to the next daemon instead, a few times."""
        if self._window.waits:
            self._wanted.set()
        self._openings_lost = self._openings_lost + 1 if self._window.is_opening else 0
        await self._send(self._window.orphaned())
        await self._answer_lost(text, opening_too=self._openings_lost >= _OPENING_TRIES)

    async def _give_up_for_now(self, problem: str) -> None:
        """Answer the open requests with the problem, and start no daemon before another request needs one."""
        self._wanted.clear()
        self._problem = problem
        await self._send(self._window.orphaned())
        await self._answer_lost(problem)
        self._settled.set()

    async def _answer_lost(self, text: str, *, opening_too: bool = True) -> None:
        data = {"kind": DaemonLostError.kind, "run_id": None, "hint": "Send the request again."}
        lost = self._window.lost(opening_too=opening_too)
        await self._send(error_message(number, DaemonLostError.code, text, data) for number in lost)

    async def _send(self, messages: Iterable[Message]) -> None:
        await self._to_editor(b"", *messages)

    async def _to_editor(self, body: bytes, *messages: Message) -> None:
        frames = [framing.frame_body(body)] if body else []
        self._editor_out.write(b"".join([*frames, *map(framing.frame, messages)]))
        with contextlib.suppress(OSError):
            await self._editor_out.drain()

    def _watch_editor(self, initialize: Message) -> None:
        """Watch the process that `initialize` names, as LSP requires."""
        with contextlib.suppress(KeyError, TypeError):
            pid = initialize["params"]["processId"]
            if isinstance(pid, int) and pid > 0:
                self._watch(pid)

    def _watch(self, pid: int) -> None:
        async def wait() -> None:
            # A process in another container cannot be seen, and so not watched.
            with contextlib.suppress(ProcessLookupError):
                await ended(pid)
                self._editor_gone.set()

        self._watchers.add(asyncio.create_task(wait()))


def _with_hint(error: AnalystdError | OSError) -> str:
    """Return an error's message with its hint."""
    if not isinstance(error, AnalystdError):
        return str(error)
    return f"{error.message}. {error.hint}" if error.hint else error.message


def _parsed(body: bytes) -> Message:
    """Parse a message. An invalid one, which the daemon answers, gives an empty message, or one with its id and an empty method."""
    try:
        return message_in(body)
    except NotAMessageError as exc:
        return {} if exc.request_id is None else {"id": exc.request_id, "method": ""}
