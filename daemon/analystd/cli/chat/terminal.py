"""How a chat looks: steps as they happen, the model's words as Markdown while they come, plots as files."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analystd.agent.toolcalls import without_thoughts
from analystd.cli.asking import tell_about
from analystd.cli.chat.markdown import MarkdownPrinter
from analystd.cli.chat.plots import PlotFolder
from analystd.cli.displays import display_text
from analystd.cli.render import Terminal, display_lines, indented
from analystd.client import AgentResult

_CODE_LINES = 10
_OUTPUT_LINES = 8


class ChatTerminal(Terminal):
    """Prints runs to the terminal that the questions are typed at."""

    def __init__(self, plots: Path) -> None:
        super().__init__(trail=sys.stdout, code_lines=_CODE_LINES, output_lines=_OUTPUT_LINES)
        self._markdown = MarkdownPrinter(self._trail)
        self._plots = PlotFolder(plots)
        self._said = ""
        """What the model has written since the last step."""
        self._asked_at = 0.0
        self._is_waiting_shown = False

    def begin(self) -> None:
        """Make ready for the events of another question."""
        self._said = ""
        self._problems.clear()
        self._plots.begin()
        self._asked_at = time.monotonic()

    def tick(self) -> None:
        """Tell how long the question has been waiting, while nothing else is told."""
        if not self._in_text:
            self._is_waiting_shown = True
            self._trail.write_in_place(f"… {time.monotonic() - self._asked_at:.0f} s (Ctrl-C stops)")
            self._trail.flush()

    def clear(self) -> None:
        """Take back what `tick` told."""
        if self._is_waiting_shown:
            self._is_waiting_shown = False
            self._trail.write_in_place("")
            self._trail.flush()

    def line(self, text: str, *, style: str = "") -> None:
        """Print a line of our own."""
        self.clear()
        super().line(text, style=style)

    def answer(self, result: AgentResult) -> None:
        """Print the answer unless it was seen while it was written, and what there is to say of it."""
        self._end_text()
        said = without_thoughts(self._said).strip()
        if result.answer.strip() and said != result.answer.strip():
            if said:
                self.line("The answer:", style="2")
            self._in_text = True
            self._markdown.feed(result.answer)
            self._end_text()
        tell_about(result, self)

    def _queued(self, event: Mapping[str, Any]) -> None:
        if event.get("position"):
            super()._queued(event)

    def _text(self, event: Mapping[str, Any]) -> None:
        self.clear()
        self._in_text = True
        self._said += event["text"]
        self._markdown.feed(event["text"])

    def _call(self, event: Mapping[str, Any]) -> None:
        self._said = ""
        super()._call(event)

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
