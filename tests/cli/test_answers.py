from __future__ import annotations

import io
from typing import Any

import pytest

from analystd.cli.answers import doubts, print_answer
from analystd.client import AgentResult


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def result(answer: str, *unsupported: tuple[str, int], **more: Any) -> AgentResult:
    numbers = [{"text": text, "start": start, "end": start + len(text)} for text, start in unsupported]
    usage = {"prompt_tokens": 1, "cached_tokens": 0, "completion_tokens": 1, "seconds": 1.0}
    wire = {"run_id": "r", "conversation": "c", "status": "done", "answer": answer, "steps": [], "usage": usage}
    return AgentResult.of(wire | {"unsupported": numbers} | more)


def printed(answer: AgentResult, out: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_answer(answer)
    return out.getvalue()


def test_a_terminal_marks_unsupported_numbers_in_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = result("🙂 5 and 𝟙: not 5.", ("5", 15))
    shown = printed(answer, Terminal(), monkeypatch)
    assert shown == "🙂 5 and 𝟙: not \x1b[4;33m5\x1b[0m.\n"
    assert doubts(answer) == [
        "[in no output of this conversation: 5; check before you use it]",
        "  🙂 5 and 𝟙: not [?5?].",
    ]


def test_without_a_terminal_the_answer_is_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    assert printed(result("It is 5.", ("5", 6)), io.StringIO(), monkeypatch) == "It is 5.\n"


def test_a_number_with_a_wrong_position_is_listed_but_not_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = result("It is 5.", ("7", 6), ("is 5", 3), ("5", 6))
    assert printed(answer, Terminal(), monkeypatch) == "It \x1b[4;33mis 5\x1b[0m.\n"


def test_each_warning_is_one_inert_line() -> None:
    answer = result("5", ("5\n\x1b[2J", 0), warnings=["The server\ncut \x1b[31mit."])
    assert all("\n" not in line for line in doubts(answer))
    assert len(doubts(answer)) == 3
    assert doubts(result("5")) == []
