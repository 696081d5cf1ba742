"""Show a chat in a terminal: steps as they happen, the model's text as Markdown while it is generated, plots as files."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analystd.cli.asking import print_summary
from analystd.cli.chat.markdown import MarkdownPrinter
from analystd.cli.chat.plots import PlotFolder
from analystd.cli.displays import display_text
from analystd.cli.render import Terminal, display_lines, indented
from analystd.client import AgentResult
from analystd.engine.control_tokens import THOUGHTS, without_thoughts

_CODE_LINES = 10
_OUTPUT_LINES = 8
_LONGEST_MARK = max(map(len, THOUGHTS))


class ChatTerminal(Terminal):
    """Prints runs to the terminal at which the questions are typed."""

    def __init__(self, plots: Path) -> None:
        super().__init__(trail=sys.stdout, code_lines=_CODE_LINES, output_lines=_OUTPUT_LINES)
        self._markdown = MarkdownPrinter(self._trail)
        self._plots = PlotFolder(plots)
        self._written = ""
        """The text that the model has generated since the last step."""
        self._shown = ""
        """The part of it that was shown, without thoughts."""
        self._asked_at = 0.0
        self._is_waiting_shown = False

    def begin(self) -> None:
        """Prepare for the events of another question."""
        self._written = self._shown = ""
        self._problems.clear()
        self._plots.begin()
        self._asked_at = time.monotonic()

    def tick(self) -> None:
        """Show how long the question has been waiting, unless text is being shown."""
        if not self._in_text:
            self._is_waiting_shown = True
            self._trail.write_in_place(f"… {time.monotonic() - self._asked_at:.0f} s (Ctrl-C stops)")
            self._trail.flush()

    def clear(self) -> None:
        """Erase the line that `tick` has shown."""
        if self._is_waiting_shown:
            self._is_waiting_shown = False
            self._trail.write_in_place("")
            self._trail.flush()

    def line(self, text: str, *, style: str = "") -> None:
        """Print a line of our own."""
        self.clear()
        super().line(text, style=style)

    def answer(self, result: AgentResult) -> None:
        """Print the answer, unless it was shown while it was generated, and its summary."""
        self._end_text()
        answer = result.answer.strip()
        if answer and answer != self._shown.strip():
            if self._shown.strip():
                self.line("The answer:", style="2")
            self._in_text = True
            self._markdown.feed(answer)
            self._end_text()
        print_summary(result, self)

    def _queued(self, event: Mapping[str, Any]) -> None:
        if event.get("position"):
            super()._queued(event)

    def _text(self, event: Mapping[str, Any]) -> None:
        self._written += event["text"]
        spoken = without_thoughts(self._written)
        more = spoken[len(self._shown) : _end_of_certain(spoken)]
        if more and spoken.startswith(self._shown):
            self.clear()
            self._in_text = True
            self._shown += more
            self._markdown.feed(more)

    def _call(self, event: Mapping[str, Any]) -> None:
        self._show_rest()
        super()._call(event)
        self._written = self._shown = ""

    def _finished(self, event: Mapping[str, Any]) -> None:
        self._show_rest()
        super()._finished(event)

    def _show_rest(self) -> None:
        """Print the text that was held back because a mark of thoughts might have begun in it."""
        rest = without_thoughts(self._written)
        if rest.startswith(self._shown) and len(rest) > len(self._shown):
            self.clear()
            self._markdown.feed(rest[len(self._shown) :])
            self._in_text, self._shown = True, rest

    def _display(self, event: Mapping[str, Any]) -> None:
        path = self._plots.save(event["data"], event["run_id"])
        if path is None:
            for line in display_lines(event):
                self.line(line)
            return
        if text := display_text(event["data"]):
            self.line(f"  {indented(text, _OUTPUT_LINES)}")
        self.line(f"  [plot: {path}]", style="35")

    def _end_text(self) -> None:
        self.clear()
        if self._in_text:
            self._markdown.end()
            self._in_text = False


def _end_of_certain(text: str) -> int:
    """Return the position at which an incomplete mark of thoughts may begin, or the end."""
    lengths = range(1, min(len(text), _LONGEST_MARK) + 1)
    held = (length for length in lengths if any(mark.startswith(text[-length:]) for mark in THOUGHTS))
    return len(text) - max(held, default=0)
