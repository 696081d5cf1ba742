"""Convert a model server's streamed reply to the agent's form: text, and calls between `<tool name="…">` and `</tool>`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from analystd.engine.base import Completion
from analystd.engine.openai.client import choices_of
from analystd.engine.openai.token_breaker import Mender
from analystd.models.bounded_http import BoundsError

OnText = Callable[[str], bool]

MOST_CHARACTERS = 1 << 20
"""Maximum length of a reply's text and calls; a reply of 512 tokens has a few thousand characters."""
MOST_CALLS = 64
"""Maximum number of calls that are open at once. The agent runs one call of a reply."""

_NO_NAME_CHARACTER = re.compile(r"[^\w.-]")
_LONGEST_NAME = 200
_JSON_MARK = re.compile(r'["\\{}\[\]]')


@dataclass
class _JsonObjectEnd:
    """Finds the end of a JSON object that arrives in pieces, reading each character once."""

    depth: int = 0
    is_complete: bool = False
    _in_string: bool = False
    _escaped_at_end: bool = False

    def feed(self, piece: str) -> None:
        at = 1 if self._escaped_at_end and piece else 0
        self._escaped_at_end = self._escaped_at_end and not piece
        while found := _JSON_MARK.search(piece, at):
            mark, at = found[0], found.end()
            if mark == "\\":
                self._escaped_at_end = at == len(piece)
                at += 1
            elif mark == '"':
                self._in_string = not self._in_string
            elif not self._in_string:
                self.depth += 1 if mark in "{[" else -1
                self.is_complete = self.depth <= 0


@dataclass
class _StreamedCall:
    """A call that is arriving: the server's index and id of it, and the parts that are held back."""

    index: int | None
    call_id: str | None
    name: str
    mender: Mender = field(default_factory=lambda: Mender(escaped=True))
    arguments: _JsonObjectEnd = field(default_factory=_JsonObjectEnd)
    has_arguments: bool = False
    held: list[str] = field(default_factory=list)

    def owns_piece(self, index: int | None, call_id: str | None, name: str) -> bool:
        """Return whether a piece belongs to this call. Servers may repeat the name, give all calls one index or none, and omit ids."""
        if call_id is not None and self.call_id is not None:
            return call_id == self.call_id and name in ("", self.name)
        if index is not None and self.index is not None and index != self.index:
            return False
        return not name or (name == self.name and not self.arguments.is_complete)


@dataclass
class ReplyWriter:
    """Writes a reply as it arrives, and counts its tokens. Values whose type differs from the API's are ignored.

    `server` is the server's name in errors. `on_text` receives each piece, and ends the reply by returning True. Several calls are written one
    after the other, each as it arrives, even if their pieces alternate.
    """

    on_text: OnText
    server: str
    stopped: bool = False
    _pieces: list[str] = field(default_factory=list)
    _characters: int = 0
    _calls: list[_StreamedCall] = field(default_factory=list)
    """The open calls. The first one is being written."""
    _text_after_calls: list[str] = field(default_factory=list)
    """Text that arrived while a call was open."""
    _mender: Mender = field(default_factory=Mender)
    _reason: str = ""
    _usage: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt_tokens(self) -> int:
        """The number of prompt tokens that the server reports; 0 if it reports none."""
        return _count(self._usage.get("prompt_tokens"))

    def add(self, chunk: dict[str, Any]) -> None:
        """Add one chunk. Choices after the first one are ignored.

        Raises:
            BoundsError: when the reply is longer than `MOST_CHARACTERS`.
        """
        self._usage = _as_object(chunk.get("usage")) or self._usage
        for choice in choices_of(chunk)[:1]:
            self._reason = str(choice.get("finish_reason") or self._reason)
            delta = _as_object(choice.get("delta"))
            if text := _text(delta.get("content")):
                self._add_text(text)
            calls = _as_objects(delta.get("tool_calls"))
            for call in calls:
                self._add_call(call.get("index"), call.get("id"), _as_object(call.get("function")))
            if not calls and (function := _as_object(delta.get("function_call"))):
                # The older form of the API, in which some servers repeat the call.
                self._add_call(None, None, function)

    def end(self) -> None:
        """Finish the reply: write what was held back, and close the open calls."""
        if not self._calls:
            self._write(self._mender.finish())
            return
        while self._calls:
            self._close_first()
        text, self._text_after_calls = "".join(self._text_after_calls), []
        self._write_counted(text)
        self._write(self._mender.finish())

    def completion(self, prompt_tokens: int, seconds: float) -> Completion:
        """Return the finished reply with the server's token counts, or with estimates if it reports none."""
        details = _as_object(self._usage.get("prompt_tokens_details"))
        return Completion(
            text="".join(self._pieces),
            reason="stopped" if self.stopped else "length" if self._reason == "length" else "stop",
            prompt_tokens=self.prompt_tokens or prompt_tokens,
            cached_tokens=_count(details.get("cached_tokens")),
            completion_tokens=_count(self._usage.get("completion_tokens")) or len(self._pieces),
            seconds=seconds,
        )

    def _add_text(self, text: str) -> None:
        if self._calls:
            self._count_characters(len(text))
            self._text_after_calls.append(self._mender.feed(text))
        else:
            self._write(self._mender.feed(text))

    def _add_call(self, index: Any, call_id: Any, function: dict[str, Any]) -> None:
        index, call_id = _index(index), _id(call_id)
        name = _NO_NAME_CHARACTER.sub("", _text(function.get("name")))[:_LONGEST_NAME]
        call = next((each for each in reversed(self._calls) if each.owns_piece(index, call_id, name)), None)
        if call is None:
            if not name:
                return
            call = self._open_call(index, call_id, name)
        arguments = function.get("arguments")
        # Some servers send a complete call again.
        if arguments and not call.arguments.is_complete:
            piece = arguments if isinstance(arguments, str) else json.dumps(arguments)
            call.has_arguments = True
            call.arguments.feed(piece)
            mended = call.mender.feed(piece)
            if call is self._calls[0]:
                self._write(mended)
            else:
                self._count_characters(len(mended))
                call.held.append(mended)

    def _open_call(self, index: int | None, call_id: str | None, name: str) -> _StreamedCall:
        if len(self._calls) >= MOST_CALLS:
            raise BoundsError(f"The server at {self.server} sent a reply of more than {MOST_CALLS} calls")
        call = _StreamedCall(index, call_id, name)
        # Text that was held back is written before the first call.
        if not self._calls:
            self._write(self._mender.finish())
            self._mender = Mender()
        self._calls.append(call)
        opening = f'<tool name="{name}">\n'
        if call is self._calls[0]:
            self._write(opening)
        else:
            self._count_characters(len(opening))
            call.held.append(opening)
            while len(self._calls) > 1 and self._calls[0].arguments.is_complete:
                self._close_first()
        return call

    def _close_first(self) -> None:
        """Close the call that is being written, and continue with the next one."""
        call = self._calls.pop(0)
        rest = call.mender.finish()
        self._write(f"{rest}{'' if call.has_arguments else '{}'}\n</tool>")
        if self._calls:
            following = self._calls[0]
            held, following.held = "".join(following.held), []
            self._write_counted(held)

    def _count_characters(self, count: int) -> None:
        """Count characters of the reply.

        Raises:
            BoundsError: when there are too many.
        """
        self._characters += count
        if self._characters > MOST_CHARACTERS:
            raise BoundsError(
                f"The server at {self.server} sent a reply of more than {MOST_CHARACTERS} characters",
                "It may ignore `max_tokens`.",
            )

    def _write_counted(self, text: str) -> None:
        """Write text that was counted on arrival and held back."""
        self._characters -= len(text)
        self._write(text)

    def _write(self, text: str) -> None:
        if self.stopped or not text:
            return
        self._count_characters(len(text))
        self._pieces.append(text)
        self.stopped = self.on_text(text)


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _as_objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(content: Any) -> str:
    """Return the text of a delta, which some servers send in parts."""
    if isinstance(content, list):
        return "".join(_text(_as_object(part).get("text")) for part in content)
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _index(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _id(value: Any) -> str | None:
    """Return the id of a call; None for an empty one, which some servers send with each call or with its later pieces."""
    return str(value)[:_LONGEST_NAME] if isinstance(value, (str, int)) and value != "" else None
