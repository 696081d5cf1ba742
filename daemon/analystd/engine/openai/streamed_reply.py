"""A model server's reply, written as the agent reads replies from any model: text, and calls between `<tool name="…">` and `</tool>`."""

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
"""Of a reply's text and calls; one of 512 tokens has some thousands."""
MOST_CALLS = 64
"""That may be open at once; the agent carries out one of a reply."""

_NO_NAME_CHARACTER = re.compile(r"[^\w.-]")
_LONGEST_NAME = 200
_JSON_MARK = re.compile(r'["\\{}\[\]]')


@dataclass
class _Object:
    """Where a JSON object ends that comes in pieces: each character is looked at once."""

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
    """A call as it comes in: by which index and id the server knows it, and what of it is held back."""

    index: int | None
    number: str | None
    name: str
    mender: Mender = field(default_factory=lambda: Mender(escaped=True))
    arguments: _Object = field(default_factory=_Object)
    has_arguments: bool = False
    held: list[str] = field(default_factory=list)

    def takes(self, index: int | None, number: str | None, name: str) -> bool:
        """Whether a piece is one of this call: servers may name a call in each piece, give all calls one index, or none, and no ids."""
        if number is not None and self.number is not None:
            return number == self.number and name in ("", self.name)
        if index is not None and self.index is not None and index != self.index:
            return False
        return not name or (name == self.name and not self.arguments.is_complete)


@dataclass
class ReplyWriter:
    """Writes what streams in, and keeps account. What a server sends of another type than the API has it is passed over.

    `where` is the server, as errors name it. `on_text` gets each piece, and ends the reply by returning True. Of several calls the first is
    written as it comes, and the others after it, also where their pieces come in turns.
    """

    on_text: OnText
    where: str
    stopped: bool = False
    _pieces: list[str] = field(default_factory=list)
    _characters: int = 0
    _calls: list[_StreamedCall] = field(default_factory=list)
    """The calls that have begun and are not written whole; the first one is being written."""
    _after: list[str] = field(default_factory=list)
    """Text that came while a call was open."""
    _mender: Mender = field(default_factory=Mender)
    _reason: str = ""
    _usage: dict[str, Any] = field(default_factory=dict)

    @property
    def prompt_tokens(self) -> int:
        """How many tokens the server says that it read; 0 where it does not say so."""
        return _count(self._usage.get("prompt_tokens"))

    def take(self, chunk: dict[str, Any]) -> None:
        """Take in one chunk; the choices but the first, and what is said of no account, are passed over.

        Raises:
            BoundsError: when the reply grows beyond `MOST_CHARACTERS`.
        """
        self._usage = _object(chunk.get("usage")) or self._usage
        for choice in choices_of(chunk)[:1]:
            self._reason = str(choice.get("finish_reason") or self._reason)
            delta = _object(choice.get("delta"))
            if text := _text(delta.get("content")):
                self._take_text(text)
            calls = _objects(delta.get("tool_calls"))
            for call in calls:
                self._take_call(call.get("index"), call.get("id"), _object(call.get("function")))
            if not calls and (function := _object(delta.get("function_call"))):
                # The form that the API had before, in which some servers say everything a second time.
                self._take_call(None, None, function)

    def end(self) -> None:
        """The reply has ended: write what was held back, and close the calls that are open."""
        if not self._calls:
            self._write(self._mender.finish())
            return
        while self._calls:
            self._close_first()
        text, self._after = "".join(self._after), []
        self._write_counted(text)
        self._write(self._mender.finish())

    def completion(self, prompt_tokens: int, seconds: float) -> Completion:
        """The account; where the server gives none, a guess."""
        details = _object(self._usage.get("prompt_tokens_details"))
        return Completion(
            text="".join(self._pieces),
            reason="stopped" if self.stopped else "length" if self._reason == "length" else "stop",
            prompt_tokens=self.prompt_tokens or prompt_tokens,
            cached_tokens=_count(details.get("cached_tokens")),
            completion_tokens=_count(self._usage.get("completion_tokens")) or len(self._pieces),
            seconds=seconds,
        )

    def _take_text(self, text: str) -> None:
        if self._calls:
            self._bound(len(text))
            self._after.append(self._mender.feed(text))
        else:
            self._write(self._mender.feed(text))

    def _take_call(self, index: Any, number: Any, function: dict[str, Any]) -> None:
        index, number = _index(index), _id(number)
        name = _NO_NAME_CHARACTER.sub("", _text(function.get("name")))[:_LONGEST_NAME]
        call = next((each for each in reversed(self._calls) if each.takes(index, number, name)), None)
        if call is None:
            if not name:
                return
            call = self._begin(index, number, name)
        arguments = function.get("arguments")
        # Some servers send a call that is complete once more, whole.
        if arguments and not call.arguments.is_complete:
            piece = arguments if isinstance(arguments, str) else json.dumps(arguments)
            call.has_arguments = True
            call.arguments.feed(piece)
            mended = call.mender.feed(piece)
            if call is self._calls[0]:
                self._write(mended)
            else:
                self._bound(len(mended))
                call.held.append(mended)

    def _begin(self, index: int | None, number: str | None, name: str) -> _StreamedCall:
        if len(self._calls) >= MOST_CALLS:
            raise BoundsError(f"The server at {self.where} sent a reply of more than {MOST_CALLS} calls")
        call = _StreamedCall(index, number, name)
        # What comes between pieces of a reply is written before the first call.
        if not self._calls:
            self._write(self._mender.finish())
            self._mender = Mender()
        self._calls.append(call)
        opening = f'<tool name="{name}">\n'
        if call is self._calls[0]:
            self._write(opening)
        else:
            self._bound(len(opening))
            call.held.append(opening)
            while len(self._calls) > 1 and self._calls[0].arguments.is_complete:
                self._close_first()
        return call

    def _close_first(self) -> None:
        """End the call that is being written; the next one takes its place."""
        call = self._calls.pop(0)
        rest = call.mender.finish()
        self._write(f"{rest}{'' if call.has_arguments else '{}'}\n</tool>")
        if self._calls:
            following = self._calls[0]
            held, following.held = "".join(following.held), []
            self._write_counted(held)

    def _bound(self, count: int) -> None:
        """Count characters of the reply.

        Raises:
            BoundsError: when they are too many.
        """
        self._characters += count
        if self._characters > MOST_CHARACTERS:
            raise BoundsError(
                f"The server at {self.where} sent a reply of more than {MOST_CHARACTERS} characters",
                "It may not keep to `max_tokens`.",
            )

    def _write_counted(self, text: str) -> None:
        """Write what was counted when it came, and held back."""
        self._characters -= len(text)
        self._write(text)

    def _write(self, text: str) -> None:
        if self.stopped or not text:
            return
        self._bound(len(text))
        self._pieces.append(text)
        self.stopped = self.on_text(text)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(content: Any) -> str:
    """The text of a delta, which some servers send in parts."""
    if isinstance(content, list):
        return "".join(_text(_object(part).get("text")) for part in content)
    return content if isinstance(content, str) else ""


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _index(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _id(value: Any) -> str | None:
    """The id of a call; an empty one, which some servers send with each call or with its later pieces, is none."""
    return str(value)[:_LONGEST_NAME] if isinstance(value, (str, int)) and value != "" else None
