"""One client's connection: its incoming messages, its desk, and what the daemon sends it. No state here is shared with another client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsprotocol import types

from analystd.desk.desk import Desk
from analystd.jail.workspace import MISSING_HINT
from analystd.server.event_feed import EventFeed, wishes
from analystd.server.handshake import ClientIdentity, label_of
from analystd.server.hub import Hub
from analystd.server.inbound import InboundMessages
from analystd.server.pygls_adapter import ConnectionServer
from analystd.server.send_queue import SendQueue
from analystd.server.trace import NoteMessage, no_trace
from analystd.server.uris import Wish, file_named, options_of, path_of_uri, wish_of
from analystd.util.inert_text import message_text
from analystd.wire.errors import InvalidArgumentsError, WorkspaceError
from analystd.wire.jsonrpc import message_frame
from analystd.wire.names import PROTOCOL_VERSION
from analystd.wire.status import About, ClientInfo

logger = logging.getLogger(__name__)

_NO_DESK = ("This connection has no workspace", "Connect with `workspace`, and without `desk: false`.")
_NO_FOLDER = (
    "No folder is open",
    "Open a folder or a file, or set AGENT_WORKSPACE or `analystd.workspace` to a folder.",
)

_PROGRESS_WORDS = ("title", "message")
"""The members of a progress value that an editor displays."""

Handler = Callable[["ClientConnection", dict[str, Any], "types.ProgressToken | None"], Awaitable[Any]]


class ClientConnection:
    """The connection of one client: its desk, its open folders, and the messages sent to it."""

    def __init__(
        self,
        hub: Hub,
        caller: ClientIdentity,
        environment: Mapping[str, str],
        outbox: SendQueue,
        commands: Mapping[str, Handler],
        trace: NoteMessage = no_trace,
    ) -> None:
        self.hub = hub
        self.asker = caller.asker
        """The requester of the runs that this client starts."""
        self._caller = caller
        self.environment = dict(environment)
        self._commands = commands
        self.leaving = False
        """Whether the client is disconnecting, so that its requests end but its runs continue."""
        self._exited = asyncio.Event()
        self._outbox = outbox
        self._trace = trace
        self._desk: Desk | None = None
        self._wish: Wish | None = None
        """Where the client wants to work; None if it asked for no desk."""
        self._params: types.InitializeParams | None = None
        self._file: Path | None = None
        """In a window without folders: the file whose folder determined the workspace."""
        self._opening = asyncio.Lock()
        self._seq = 0
        self._feed: EventFeed | None = None
        self._notices: list[str] = []
        self._server = ConnectionServer(self)
        self._protocol = self._server.protocol
        self._protocol.set_writer(outbox)

    @property
    def name(self) -> str:
        """The name that is shown to people."""
        return self.asker.name

    @property
    def version(self) -> str:
        """The version of the client."""
        return self._caller.version

    @property
    def feed(self) -> EventFeed:
        """The feed that sends the desk's events to this client.

        Raises:
            WorkspaceError: when the client has no desk.
        """
        if self._feed is None:
            raise WorkspaceError(*_NO_DESK)
        return self._feed

    @property
    def desk(self) -> Desk:
        """The desk of this client.

        Raises:
            WorkspaceError: when none is open.
        """
        if self._desk is None:
            raise WorkspaceError(*(_NO_DESK if self._wish is None else _NO_FOLDER))
        return self._desk

    @property
    def command_names(self) -> list[str]:
        """The names of the commands that the client can execute."""
        return sorted(self._commands)

    @property
    def folders(self) -> list[Path]:
        """The window's workspace folders; if none is open, the folder of the file that determined the workspace."""
        workspace = self._server.workspace
        uris = list(workspace.folders) or ([workspace.root_uri] if workspace.root_uri else [])
        folders = [path for uri in uris if (path := path_of_uri(uri)) is not None]
        return folders or ([self._file.parent] if self._file is not None else [])

    async def serve(self, reader: asyncio.StreamReader) -> None:
        """Read and handle messages until the client leaves. No message can end more than this connection."""
        intake = InboundMessages(self._protocol, self._outbox, self.hub.touch, self._trace)
        reading = asyncio.create_task(intake.read(reader))
        leaving = asyncio.create_task(self._exited.wait())
        try:
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.leaving = True
            for task in (reading, leaving):
                task.cancel()
            await asyncio.gather(reading, leaving, return_exceptions=True)
            if self._feed is not None:
                self._feed.close()
            self._protocol.abandon_requests()
            await self._outbox.aclose()

    async def execute(self, command: str, arguments: dict[str, Any], token: types.ProgressToken | None) -> Any:
        """Execute a command.

        Raises:
            InvalidArgumentsError: when there is no command of this name.
        """
        if command not in self._commands:
            raise InvalidArgumentsError(f"Unknown command '{command}'")
        await self._open_late(arguments)
        self._begin_feed()
        try:
            result = await self._commands[command](self, arguments, token)
        except WorkspaceError as exc:
            if exc.hint == MISSING_HINT and self._desk is not None:
                # The hint names a tool of the model; people use a command instead.
                exc.hint = f"Looked in {self._desk.workspace.root}; `analystd files` shows what is there."
            raise
        if self._feed is not None:
            await self._feed.reach(self.desk.journal.seq)
        return result

    def leave(self) -> None:
        """End this connection."""
        self._exited.set()

    async def open(self, params: types.InitializeParams) -> None:
        """Open the desk that `initialize` asks for, if any, with a feed of its events for this client.

        A window without folders may not have a workspace yet. Then the first command determines it, by the file that it names or the first
        document that is open.
        """
        if params.client_info is not None and (label := label_of(params.client_info.name)):
            self.asker = replace(self._caller, label=label).asker
            self._outbox.name = self.name
        self._wish, self._params = wish_of(params), params
        if self._wish is not None and (place := self._wish.place(self._settings_of(params))) is not None:
            await self._open(place, params)

    async def _open(self, place: Path, params: types.InitializeParams) -> None:
        self._desk, self._notices = await self.hub.desk(place, self._settings_of(params), self._caller.places)
        self._take_seat(self._desk, params.initialization_options)

    async def _open_late(self, arguments: Mapping[str, Any]) -> None:
        """Open the desk of a window without folders as soon as a file determines its workspace."""
        if self._desk is not None or self._wish is None or self._params is None:
            return
        async with self._opening:
            file = None if self.folders else file_named(arguments) or self._first_document()
            start = next(iter(self.folders), None) if file is None else file.parent
            place = self._wish.place(self._settings_of(self._params), start)
            if self._desk is None and place is not None:
                await self._open(place, self._params)
                self._file = file
                self._show_notices()
                about = f"analystd works in {self.desk.workspace.root}"
                self.notify("window/showMessage", {"type": types.MessageType.Info.value, "message": about})

    def _first_document(self) -> Path | None:
        """Return the path of the open document that was opened first, or None."""
        documents = self._server.workspace.text_documents
        return next((path for uri in documents if (path := path_of_uri(uri)) is not None), None)

    def about(self) -> About:
        """Return what `initialize` reports about the desk, in `capabilities.experimental.analystd`."""
        sandbox = self.hub.sandbox
        about: About = {
            "protocol": PROTOCOL_VERSION,
            "client": self.name,
            "client_id": self.asker.id,
            "sandbox": {"level": sandbox.level, "reason": sandbox.reason},
            "notices": self._notices,
        }
        if self._desk is None:
            return about
        engine = self.hub.engine.info()
        return {
            **about,
            "desk": self._desk.workspace.root.name,
            "workspace": str(self._desk.workspace.root),
            "engine": {"kind": engine.kind, "model": engine.model},
            "events": None if self._feed is None else self._feed.subscription,
            "seq": self._seq,
        }

    def info(self) -> ClientInfo:
        """Return what `status` reports about this client."""
        return {
            "name": self.name,
            "id": self.asker.id,
            "workspace": None if self._desk is None else str(self._desk.workspace.root),
            "events": None if self._feed is None else self._feed.subscription,
            "waiting_bytes": self._outbox.waiting_bytes,
        }

    def notify(self, method: str, params: Any) -> None:
        """Send a notification."""
        if frame := message_frame({"jsonrpc": "2.0", "method": method, "params": params}, None):
            self._outbox.write(frame)

    def progress(self, token: types.ProgressToken | None, value: Mapping[str, Any]) -> None:
        """Send `$/progress` for the client's own token, with its texts made inert. Without a token, send nothing."""
        if token is not None:
            shown = {name: message_text(value[name]) for name in _PROGRESS_WORDS if name in value}
            self.notify("$/progress", {"token": token, "value": {**value, **shown}})

    def show_message(self, text: str) -> None:
        """Have the editor show a warning, made inert because it may contain foreign text."""
        params = {"type": types.MessageType.Warning.value, "message": message_text(text)}
        self.notify("window/showMessage", params)

    def begin(self) -> None:
        """Show the notices about the client's settings, then start to send events: the client has the answer to `initialize`."""
        self._show_notices()
        self._begin_feed()

    def _show_notices(self) -> None:
        for notice in self._notices:
            self.show_message(notice)

    def _take_seat(self, desk: Desk, options: Any) -> None:
        """Create the client's event feed, unless the client left while its desk was being opened."""
        subscription, after, problems = wishes(options)
        self._notices += problems
        self._seq = desk.journal.seq
        if self._feed is None and not self.leaving:
            after = self._seq if after is None else after
            self._feed = EventFeed(desk, self._outbox, self.asker.id, subscription, after)

    def _begin_feed(self) -> None:
        """Start the event feed. A client that sends a command has the answer to `initialize`, even if it never sends `initialized`."""
        if self._feed is not None:
            self._feed.begin()

    def _settings_of(self, params: types.InitializeParams) -> dict[str, str]:
        given = options_of(params).get("settings", {})
        return {**self.environment, **{name: str(value) for name, value in given.items()}}
