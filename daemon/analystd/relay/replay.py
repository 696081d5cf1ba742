"""Record the state of an editor window: what to replay to another daemon, and which requests are still open on either side."""

from __future__ import annotations

import contextlib
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeGuard

from analystd.wire.jsonrpc import Message
from analystd.wire.names import EVENT_METHOD, SNAPSHOT_METHOD, Command

REPLAY_ID = "analystd-relay"

Id = str | int

_LATEST = ("workspace/didChangeConfiguration", "$/setTrace")
"""Notifications of which only the last one is replayed."""


class WindowReplay:
    """Records the state of one editor window from every message that passes."""

    def __init__(self) -> None:
        self.shut_down = False
        """Whether the editor has sent `shutdown`."""
        self.opened = False
        """Whether `initialize` was answered without an error."""
        self._pending: Counter[Id] = Counter()
        self._commands: dict[Id, Any] = {}
        self._initialize: Message | None = None
        self._initialized: Message | None = None
        self._documents: dict[str, list[Message]] = {}
        self._folders: list[Message] = []
        self._latest: dict[str, Message] = {}
        self._asked: set[Id] = set()
        self._progress: dict[Id, None] = {}
        self._seq: int | None = None
        self._events: str | None = None

    def note_sent(self, message: Message) -> bool:
        """Record a message of the editor; return False for an answer that no living daemon waits for."""
        method, number = message.get("method"), message.get("id")
        if method is None:
            return not _is_answer(message) or (number in self._asked and self._has_answered(number))
        if _is_id(number):
            self._pending[number] += 1
            self._note_request(method, number, message)
        else:
            self._note_notification(method, message)
        return True

    def note_received(self, message: Message) -> bool:
        """Record a message of the daemon; return False for an answer that the editor does not wait for."""
        method, number = message.get("method"), message.get("id")
        if method is None:
            return not _is_id(number) or self._is_answered(number, message)
        if _is_id(number):
            self._asked.add(number)
        elif isinstance(params := message.get("params"), dict):
            self._note_progress(method, params)
        return True

    @property
    def waits(self) -> bool:
        """Whether the editor waits for an answer."""
        return bool(self._pending)

    @property
    def is_opening(self) -> bool:
        """Whether `initialize` is open, which any daemon can answer."""
        return self._initialize is not None and not self.opened and self._pending[self._initialize["id"]] > 0

    def lost(self, *, opening_too: bool = True) -> list[Id]:
        """Return the ids of the open requests, each as often as it was sent, and count them as answered.

        Without `opening_too`, an open `initialize` stays open, for another daemon to answer.
        """
        kept = self._initialize["id"] if self._initialize is not None and self.is_opening and not opening_too else None
        lost = [number for number in self._pending.elements() if number != kept]
        for number in lost:
            del self._pending[number]
            self._commands.pop(number, None)
        return lost

    def orphaned(self) -> Iterator[Message]:
        """Yield messages to the editor that end what a lost daemon left open: its requests are cancelled, its progress ends."""
        for number in self._asked:
            yield {"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": number}}
        for token in self._progress:
            params = {"token": token, "value": {"kind": "end"}}
            yield {"jsonrpc": "2.0", "method": "$/progress", "params": params}
        self._asked.clear()
        self._progress.clear()

    def replayed_initialize(self) -> Message | None:
        """Return the `initialize` for a new daemon; with the editor's own id if the editor still waits for its answer."""
        if self._initialize is None or not (self.opened or self.is_opening):
            return None
        if self.is_opening:
            return self._initialize
        return {**self._initialize, "id": REPLAY_ID, "params": self._params_now()}

    def replayed_rest(self) -> list[Message]:
        """Return the messages to send once the new daemon has answered `initialize`."""
        first = [self._initialized] if self._initialized is not None else []
        documents = itertools.chain.from_iterable(self._documents.values())
        return [*first, *self._latest.values(), *self._folders, *documents]

    def _params_now(self) -> Any:
        """Return the parameters of `initialize`, with the last event that the window received and the events it subscribes to."""
        assert self._initialize is not None
        params = self._initialize.get("params")
        options = params.get("initializationOptions") if isinstance(params, dict) else None
        if not isinstance(params, dict) or not isinstance(options or {}, dict):
            return params
        known = {"events_after": self._seq, "events": self._events}
        options = {**(options or {}), **{name: value for name, value in known.items() if value is not None}}
        return {**params, "initializationOptions": options}

    def _note_request(self, method: str, number: Id, message: Message) -> None:
        if method == "initialize" and not self.opened and self._pending[number] == 1:
            self._initialize = message
        elif method == "shutdown":
            self.shut_down = True
        elif method == "workspace/executeCommand":
            with contextlib.suppress(KeyError, TypeError):
                self._commands[number] = message["params"]["command"]

    def _note_notification(self, method: str, message: Message) -> None:
        if method == "initialized":
            self._initialized = message
        elif method in _LATEST:
            self._latest[method] = message
        elif method == "workspace/didChangeWorkspaceFolders":
            self._folders.append(message)
        elif method.startswith("textDocument/did"):
            with contextlib.suppress(KeyError, TypeError):
                self._note_document(method, message["params"]["textDocument"]["uri"], message)

    def _note_document(self, method: str, uri: str, message: Message) -> None:
        if method == "textDocument/didOpen":
            self._documents[uri] = [message]
        elif method == "textDocument/didClose":
            self._documents.pop(uri, None)
        elif method == "textDocument/didChange" and uri in self._documents:
            if any("range" not in change for change in message["params"]["contentChanges"]):
                # This change holds the whole text, so earlier ones are not needed.
                del self._documents[uri][1:]
            self._documents[uri].append(message)

    def _note_progress(self, method: str, params: Message) -> None:
        if method in (EVENT_METHOD, SNAPSHOT_METHOD) and isinstance(params.get("seq"), int):
            self._seq = params["seq"]
        elif method == "$/progress" and _is_id(token := params.get("token")):
            kind = params["value"].get("kind") if isinstance(params.get("value"), dict) else None
            if kind == "begin":
                self._progress[token] = None
            elif kind == "end":
                self._progress.pop(token, None)

    def _has_answered(self, number: Id) -> bool:
        self._asked.discard(number)
        return True

    def _is_answered(self, number: Id, message: Message) -> bool:
        """Record the answer to a request of the editor; return False when there is no such request."""
        if not self._pending[number]:
            del self._pending[number]
            return False
        self._pending -= Counter([number])
        with contextlib.suppress(KeyError, TypeError):
            if self._initialize is not None and number == self._initialize["id"] and not self.opened:
                about = message["result"]["capabilities"]
                self.opened = True
                self._seq = about["experimental"]["analystd"]["seq"]
            elif self._commands.pop(number, None) == Command.SUBSCRIBE:
                self._events = message["result"]["events"]
        return True


def _is_answer(message: Message) -> bool:
    return _is_id(message.get("id")) and ("result" in message or "error" in message)


def _is_id(number: Any) -> TypeGuard[Id]:
    return isinstance(number, str | int) and not isinstance(number, bool)
