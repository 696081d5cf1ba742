"""A model server's reply, written as the agent reads replies from any model: text, and calls between `<tool name="…">` and `</tool>`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from analystd.engine.base import Completion
from analystd.engine.bounded_http import BoundsError
from analystd.engine.chat_api import choices_of
from analystd.engine.token_breaker import Mender

OnText = Callable[[str], bool]

MOST_CHARACTERS = 1 << 20
"""Of a reply's text and calls; one of 512 tokens has some thousands."""

_NO_NAME_CHARACTER = re.compile(r"[^\w.-]")
_LONGEST_NAME = 200


@dataclass
class ReplyWriter:
    """Writes what streams in, and keeps account. What a server sends of another type than the API has it is passed over.

    `where` is the server, as errors name it. `on_text` gets each piece, and ends the reply by returning True.
    """

    on_text: OnText
    where: str
    stopped: bool = False
    _pieces: list[str] = field(default_factory=list)
    _characters: int = 0
    _call: tuple[Any, Any] | None = None
    """Index and id by which the server knows the call that is being written; None where none is."""
    _has_arguments: bool = False
    _mender: Mender = field(default_factory=Mender)
    _reason: str = ""
    _usage: dict[str, Any] = field(default_factory=dict)

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
                self._write(self._mender.feed(text))
            calls = _objects(delta.get("tool_calls"))
            for call in calls:
                self._take_call(call.get("index", 0), call.get("id"), _object(call.get("function")))
            if not calls and (function := _object(delta.get("function_call"))):
                # The form that the API had before, in which some servers say everything a second time.
                self._take_call(0, None, function)

    def end(self) -> None:
        """The reply has ended: close the call that is open."""
        self._write(self._mender.finish())
        if self._call is not None:
            self._write(f"{'' if self._has_arguments else '{}'}\n</tool>")
            self._call = None
        self._mender = Mender()

    def completion(self, prompt_tokens: int, seconds: float) -> Completion:
        """The account; where the server gives none, a guess."""
        details = _object(self._usage.get("prompt_tokens_details"))
        return Completion(
            text="".join(self._pieces),
            reason="stopped" if self.stopped else "length" if self._reason == "length" else "stop",
            prompt_tokens=_count(self._usage.get("prompt_tokens")) or prompt_tokens,
            cached_tokens=_count(details.get("cached_tokens")),
            completion_tokens=_count(self._usage.get("completion_tokens")) or len(self._pieces),
            seconds=seconds,
        )

    def _take_call(self, index: Any, number: Any, function: dict[str, Any]) -> None:
        name = function.get("name")
        if name and self._is_another(index, number):
            # Some servers name the call in every chunk; a second one begins where the first ends.
            self.end()
            self._call, self._has_arguments = (index, number), False
            self._mender = Mender(escaped=True)
            self._write(f'<tool name="{_NO_NAME_CHARACTER.sub("", str(name))[:_LONGEST_NAME]}">\n')
        if arguments := function.get("arguments"):
            self._has_arguments = True
            self._write(self._mender.feed(arguments if isinstance(arguments, str) else json.dumps(arguments)))

    def _is_another(self, index: Any, number: Any) -> bool:
        """Whether a named call is not the one that is being written; some servers give all calls the same index, and some no id."""
        return self._call is None or index != self._call[0] or (number is not None and number != self._call[1])

    def _write(self, text: str) -> None:
        if self.stopped or not text:
            return
        self._characters += len(text)
        if self._characters > MOST_CHARACTERS:
            raise BoundsError(
                f"The server at {self.where} sent a reply of more than {MOST_CHARACTERS} characters",
                "It may not keep to `max_tokens`.",
            )
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
