"""The parser of tool calls in a model's reply, piece by piece as it is generated.

    <tool name="data_view">
    {"path": "prices.csv", "operation": "shape"}
    </tool>

It is fed what the model generated and nothing else: text from files or programs can thus never call a tool. How the text is cut into
pieces makes no difference to what comes out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

OPENING, CLOSING = "<tool", "</tool>"
THINK_OPENING, THINK_CLOSING = "<think>", "</think>"

_LONGEST_OPENING = 512
_OPENING_TAG = re.compile(r"""<tool(?=[\s/>])(?P<attributes>(?:"[^"]*"|'[^']*'|[^"'>])*)>""")
_NAME = re.compile(r"""\sname\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"'/>]+))""")
_FENCE = re.compile(r"\A```[\w-]*\s*\n(?P<content>.*)\n\s*```\Z", re.DOTALL)
_THOUGHT = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_END_OR_QUOTE = re.compile(r'</tool>|"')
_END_OF_STRING = re.compile(r'(?:[^"\\]++|\\.)*+"', re.DOTALL)


@dataclass(frozen=True)
class ToolCall:
    """A call that can be validated and run; `raw` is its text with the tags."""

    name: str
    arguments: dict[str, Any]
    raw: str


@dataclass(frozen=True)
class BadCall:
    """What was meant as a call and cannot be run; the message tells the model why."""

    message: str
    raw: str


Item = str | ToolCall | BadCall


class ToolCallParser:
    """Turns pieces of a reply into text and calls. Text that may still become a tag is held back; nothing raises."""

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        self._opening: re.Match[str] | None = None
        self._looked_at = 0

    def feed(self, piece: str) -> list[Item]:
        """What the piece completes, in order."""
        self._held += piece
        items: list[Item] = []
        while (item := self._next()) is not None:
            if item:
                items.append(item)
        return _joined(items)

    def finish(self) -> list[Item]:
        """What is left when the reply has ended: half a tag is text, a call without its end a bad call."""
        rest, self._held = self._held, ""
        unfinished, self._opening = self._opening, None
        if unfinished is None:
            return [rest] if rest else []
        content, closing, after = rest[unfinished.end() :].rpartition(CLOSING)
        if not closing:
            return [BadCall(f"The call was not finished: {CLOSING} is missing", rest)]
        # A string that never ended has swallowed the closing tag; the JSON parser says where it began.
        raw = rest.removesuffix(after)
        return [_read_call(unfinished["attributes"], content, raw), *([after] if after else [])]

    def _next(self) -> Item | None:
        """The next item, which may be an empty text; None when more has to come first."""
        if self._opening is not None:
            return self._call(self._opening)
        return self._thought() if self._thinking else self._text()

    def _text(self) -> str | None:
        at = self._held.find("<")
        if at != 0:
            return self._cut(at) if at > 0 else self._cut(len(self._held)) or None
        if self._held.startswith(THINK_OPENING):
            self._thinking = True
            return self._cut(len(THINK_OPENING))
        if opening := _OPENING_TAG.match(self._held, 0, _LONGEST_OPENING):
            self._opening, self._looked_at = opening, opening.end()
            return ""
        return None if _may_become_tag(self._held) else self._cut(1)

    def _thought(self) -> str | None:
        at = self._held.find(THINK_CLOSING)
        if at >= 0:
            self._thinking = False
            return self._cut(at + len(THINK_CLOSING))
        return self._cut(len(self._held) - _held_back(self._held, THINK_CLOSING)) or None

    def _call(self, opening: re.Match[str]) -> ToolCall | BadCall | None:
        if opening["attributes"].endswith("/"):
            end = content_end = opening.end()
        else:
            content_end = self._content_end()
            end = content_end + len(CLOSING)
        if content_end < 0:
            return None
        self._opening = None
        content = self._held[opening.end() : content_end]
        return _read_call(opening["attributes"], content, self._cut(end))

    def _content_end(self) -> int:
        """Where the closing tag begins, one inside a JSON string not counted; -1 when it has not come yet."""
        while found := _END_OR_QUOTE.search(self._held, self._looked_at):
            if found[0] == CLOSING:
                return found.start()
            string_end = _END_OF_STRING.match(self._held, found.end())
            if string_end is None:
                self._looked_at = found.start()
                return -1
            self._looked_at = string_end.end()
        self._looked_at = max(self._looked_at, len(self._held) - len(CLOSING) + 1)
        return -1

    def _cut(self, length: int) -> str:
        cut, self._held = self._held[:length], self._held[length:]
        return cut


def tool_call_text(name: str, arguments: str) -> str:
    """A call as the model writes it; `arguments` is a JSON object."""
    return f'{OPENING} name="{name}">\n{arguments}\n{CLOSING}'


def without_thoughts(text: str) -> str:
    """A reply without what the model only thought."""
    return _THOUGHT.sub("", text).strip()


def _read_call(attributes: str, content: str, raw: str) -> ToolCall | BadCall:
    named = _NAME.search(attributes)
    name = (named["double"] or named["single"] or named["bare"]) if named else None
    if not name:
        return BadCall(f'The call names no tool; it begins with {OPENING} name="…">', raw)
    try:
        arguments = _read_arguments(content)
    except RecursionError:
        return BadCall("The arguments are nested too deeply", raw)
    except ValueError as exc:
        return BadCall(f"The arguments are not valid JSON: {exc}", raw)
    if not isinstance(arguments, dict):
        return BadCall(f"The arguments are not a JSON object but {json.dumps(arguments)[:100]}", raw)
    return ToolCall(name, arguments, raw)


def _read_arguments(content: str) -> Any:
    """JSON in which a string may go over several lines, as small models write code."""
    content = content.strip()
    if fenced := _FENCE.match(content):
        content = fenced["content"]
    if not content.strip():
        return {}
    arguments = json.loads(content, strict=False, parse_constant=_refuse_constant)
    # Half a surrogate pair is no text: it could be neither stored nor shown.
    json.dumps(arguments, ensure_ascii=False).encode()
    return arguments


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _may_become_tag(held: str) -> bool:
    if THINK_OPENING.startswith(held) or OPENING.startswith(held):
        return True
    follows = held[len(OPENING) : len(OPENING) + 1]
    return held.startswith(OPENING) and (follows.isspace() or follows == "/") and len(held) < _LONGEST_OPENING


def _held_back(text: str, tag: str) -> int:
    """The length of the text's end that may be the beginning of the tag."""
    return next((length for length in range(len(tag) - 1, 0, -1) if text.endswith(tag[:length])), 0)


def _joined(items: list[Item]) -> list[Item]:
    """The items with neighbouring texts made one."""
    joined: list[Item] = []
    for item in items:
        if isinstance(item, str) and joined and isinstance(joined[-1], str):
            joined[-1] += item
        else:
            joined.append(item)
    return joined
