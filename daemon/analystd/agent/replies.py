"""Read a model's reply as it is generated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from analystd.agent.repetition import repeated_tail
from analystd.agent.toolcalls import BadCall, Item, ToolCall, ToolCallParser
from analystd.engine.base import ToolSpec


@dataclass(frozen=True)
class Reply:
    """The text up to the first call, and that call if there is one; `cut` if the model did not end it by itself."""

    text: str
    call: ToolCall | BadCall | None
    cut: bool

    @property
    def said(self) -> str:
        """The part of the reply that goes into the conversation."""
        return self.text + self.call.text if isinstance(self.call, ToolCall) else self.text


class ReplyReader:
    """Reads a reply piece by piece: text goes to `say`; the first call ends the reply, and so does mere repetition.

    While calls are not allowed, they are skipped.
    """

    def __init__(
        self, say: Callable[[str], None], tools: Sequence[ToolSpec], *, calls_allowed: bool, programs: bool = False
    ) -> None:
        self._say = say
        self._calls_allowed = calls_allowed
        self._parser = ToolCallParser(tools, programs=programs)
        self._text = ""
        self._call: ToolCall | BadCall | None = None

    def feed(self, piece: str) -> bool:
        """Take a piece; return True when no more is wanted."""
        self._take(self._parser.feed(piece))
        return self._call is not None or repeated_tail(self._text) > 0

    def finish(self, *, cut: bool) -> Reply:
        """Return the reply, after its last piece."""
        had_call = self._call is not None
        self._take(self._parser.finish())
        if cut and not had_call and isinstance(self._call, ToolCall):
            # A call that is complete only because the reply ended was cut off.
            self._call = BadCall("The program was cut off before its end; write a shorter one", self._call.raw)
        surplus = repeated_tail(self._text)
        return Reply(self._text[: len(self._text) - surplus], self._call, cut or surplus > 0)

    def _take(self, items: Sequence[Item]) -> None:
        for item in items:
            if self._call is not None:
                return
            if isinstance(item, str):
                self._text += item
                self._say(item)
            elif self._calls_allowed:
                self._call = item
