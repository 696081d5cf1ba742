"""Parse tool calls in a model's reply, piece by piece as it is generated.

    <tool name="data_view">
    {"path": "prices.csv", "operation": "shape"}
    </tool>

The prompt asks the model to write calls like this. Models that were trained on another syntax fall back into it, so those syntaxes are
read too (`agent/call_syntaxes.py`). The parser only receives what the model generated: text from files or programs can thus never call a
tool. The result does not depend on how the text is cut into pieces.

If a reply contains several calls, the agent runs the first and ends the reply with it: the others are never made, and the conversation
shows one call with its result, after which the model may call again.

Other syntaxes than ours count as plain text if they are quoted: in inline code, or in a code fence that follows other text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from analystd.agent.call_ends import Beginnings, End
from analystd.agent.call_syntaxes import LONGEST_HEAD, PROGRAM, SYNTAXES, Head, Syntax, Tools
from analystd.agent.calls import BadCall, Item, ToolCall, UnreadableError, program_text, tool_call_text
from analystd.engine.base import ToolSpec
from analystd.engine.control_tokens import THOUGHTS, without_thoughts

__all__ = ["BadCall", "Item", "ToolCall", "ToolCallParser", "program_text", "tool_call_text", "without_thoughts"]

_FENCE = "```"


def _marks(whole: bool) -> tuple[re.Pattern[str], Beginnings]:
    """Return the pattern of the marks that may begin a call, a thought or a fence, and all prefixes of these marks."""
    marks = {_FENCE, *THOUGHTS, *(syntax.mark for syntax in SYNTAXES if whole or not syntax.is_whole)}
    longest_first = sorted(marks, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))), Beginnings(marks)


_THOUGHT_ENDS = Beginnings(THOUGHTS.values())
_AT_BEGINNING, _LATER = _marks(True), _marks(False)


class ToolCallParser:
    """Turns pieces of a reply into text and calls. Text that may still become a call is held back; nothing raises.

    `tools` are the offered ones: an object, or a call in Python's syntax, is a call only if it names one of them, and arguments written as
    plain text get the types in their schemas. With `programs`, Python in a code fence is a call too.
    """

    def __init__(self, tools: Sequence[ToolSpec] = (), *, may_be_whole: bool = True, programs: bool = False) -> None:
        self._tools: Tools = {tool.name: tool for tool in tools}
        self._may_be_whole = may_be_whole
        self._syntaxes = (*SYNTAXES, PROGRAM) if programs else SYNTAXES
        self._held = ""
        self._thought_end = ""
        self._open: _OpenCall | None = None
        self._prose = _Prose()

    @property
    def held_characters(self) -> int:
        """Number of characters that must be scanned again when more text arrives."""
        return len(self._held)

    def feed(self, piece: str) -> list[Item]:
        """Return the items that the piece completes, in order."""
        text, self._held = self._held + piece, ""
        items: list[Item] = []
        at = 0
        while at < len(text):
            if self._open is not None:
                at = self._in_call(self._open, text, at, items)
            elif self._thought_end:
                at = self._in_thought(text, at, items)
            else:
                at = self._in_text(text, at, items)
        return _joined(items)

    def finish(self) -> list[Item]:
        """Return the remaining items when the reply has ended: half a tag is text, a call without its end a bad call."""
        rest, self._held = self._held, ""
        unfinished, self._open = self._open, None
        if unfinished is None:
            return [rest] if rest else []
        unfinished.parts.append(rest)
        return _joined(self._unfinished(unfinished))

    def _in_text(self, text: str, at: int, items: list[Item]) -> int:
        marks, halves = _LATER if self._prose.begun or not self._may_be_whole else _AT_BEGINNING
        found = marks.search(text, at)
        end = found.start() if found else len(text) - halves.at_end_of(text, at)
        if end > at:
            self._say(text[at:end], items)
            # After other text, a mark that counts only at the beginning does not count.
            return self._wait(text, end) if found is None and end < len(text) else end
        return self._wait(text, at) if found is None else self._at_mark(text, at, items)

    def _at_mark(self, text: str, at: int, items: list[Item]) -> int:
        for opening, closing in THOUGHTS.items():
            if text.startswith(opening, at):
                self._thought_end = closing
                items.append(opening)
                return at + len(opening)
        eligible = [syntax for syntax in self._syntaxes if text.startswith(syntax.mark, at) and self._counts(syntax)]
        for syntax in eligible:
            if head := syntax.head.match(text, at, at + LONGEST_HEAD):
                self._open = _OpenCall(syntax, head, syntax.end())
                return self._closed(self._open, head.end(), items) if head[0].endswith("/>") else head.end()
        if len(text) - at < LONGEST_HEAD and self._may_become_more(eligible, text, at):
            return self._wait(text, at)
        length = len(_FENCE) if text.startswith(_FENCE, at) else 1
        self._say(text[at : at + length], items)
        return at + length

    def _may_become_more(self, eligible: Sequence[Syntax], text: str, at: int) -> bool:
        return text[at:] in _LATER[1] or any(syntax.so_far.fullmatch(text, at) for syntax in eligible)

    def _counts(self, syntax: Syntax) -> bool:
        if syntax.is_whole:
            return self._may_be_whole and not self._prose.begun
        if syntax.is_program:
            return not self._prose.in_fence
        return syntax.is_ours or not self._prose.quotes

    def _in_thought(self, text: str, at: int, items: list[Item]) -> int:
        end = text.find(self._thought_end, at)
        if end >= 0:
            end += len(self._thought_end)
            self._thought_end = ""
            items.append(text[at:end])
            return end
        end = len(text) - _THOUGHT_ENDS.at_end_of(text, at)
        items.append(text[at:end])
        return self._wait(text, end)

    def _in_call(self, call: _OpenCall, text: str, at: int, items: list[Item]) -> int:
        end, complete = call.end.scan(text, at)
        call.parts.append(text[at:end])
        return self._closed(call, end, items) if complete else self._wait(text, end)

    def _closed(self, call: _OpenCall, end: int, items: list[Item]) -> int:
        self._open = None
        self._prose.after_call()
        body = "".join(call.parts)
        items += self._read(call, body.removesuffix(call.syntax.closing), call.head[0] + body)
        return end

    def _read(self, call: _OpenCall, body: str, raw: str) -> list[Item]:
        """Return the calls, or a bad call with the reason, or the text if it is not a call."""
        try:
            return list(call.syntax.read(call.head, body, raw, self._tools)) or [raw]
        except UnreadableError as exc:
            return [BadCall(str(exc), raw)]

    def _unfinished(self, call: _OpenCall) -> list[Item]:
        body = "".join(call.parts)
        raw = call.head[0] + body
        if call.syntax.is_whole:
            calls = self._read(call, body, raw)
            if calls != [raw]:
                return calls
            programs = PROGRAM in self._syntaxes
            again = ToolCallParser(list(self._tools.values()), may_be_whole=False, programs=programs)
            return again.feed(raw) + again.finish()
        if call.syntax.is_program:
            return self._read(call, body, raw)
        content, closing, after = body.rpartition(call.syntax.closing or "\0")
        if closing:
            # An unterminated string has swallowed the closing tag; the JSON parser reports where it began.
            return [*self._read(call, content, raw.removesuffix(after)), *([after] if after else [])]
        what = f"{call.syntax.closing} is missing" if call.syntax.closing else "its JSON has no end"
        return [BadCall(f"The call was not finished: {what}", raw)]

    def _say(self, text: str, items: list[Item]) -> None:
        self._prose.say(text)
        items.append(text)

    def _wait(self, text: str, at: int) -> int:
        """Hold back the rest of the text until more arrives."""
        self._held = text[at:]
        return len(text)


@dataclass
class _OpenCall:
    """A call whose end has not arrived yet."""

    syntax: Syntax
    head: Head
    end: End
    parts: list[str] = field(default_factory=list)


@dataclass
class _Prose:
    """What the text so far means for a call that follows it."""

    begun: bool = False
    """Whether there was anything but white space and thoughts."""
    _fence: str = ""
    _backticks: int = 0
    """Number of backticks in the paragraph so far."""
    _line_is_blank: bool = True

    @property
    def quotes(self) -> bool:
        """Whether the following text is quoted: in inline code, or in a code fence that does not begin the reply."""
        return self._backticks % 2 == 1 or self._fence == "later"

    @property
    def in_fence(self) -> bool:
        """Whether a code fence is open."""
        return bool(self._fence)

    def say(self, text: str) -> None:
        """Continue with a text that is neither a thought nor a call; the mark of a fence comes alone."""
        if text == _FENCE and self._line_is_blank:
            self._fence = "" if self._fence else "later" if self.begun else "first"
            self._line_is_blank = False
            self.begun = True
            return
        self.begun = self.begun or bool(text.strip())
        first, *more = text.split("\n")
        self._go_on(first)
        for line in more:
            if self._line_is_blank:
                self._backticks = 0
            self._line_is_blank = True
            self._go_on(line)

    def after_call(self) -> None:
        """Continue after a call."""
        self.begun = True
        self._backticks = 0

    def _go_on(self, part_of_line: str) -> None:
        self._backticks += part_of_line.count("`")
        self._line_is_blank = self._line_is_blank and not part_of_line.strip()


def _joined(items: list[Item]) -> list[Item]:
    """Return the items with adjacent texts joined, and without empty ones."""
    joined: list[Item] = []
    for is_text, group in groupby(items, lambda item: isinstance(item, str)):
        if not is_text:
            joined += group
        elif text := "".join(map(str, group)):
            joined.append(text)
    return joined
