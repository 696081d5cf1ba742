"""An answer in a terminal: the numbers in it that stand in no output are marked, and what else is doubtful is told after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from analystd.cli.output import inert
from analystd.client import AgentResult
from analystd.util.inert_text import one_line

_MARK = "4;33"
"""Underlined and yellow."""
_AROUND = 40
"""So many characters of an answer are shown before and after a number that nothing supports."""


def print_answer(result: AgentResult) -> None:
    """Print an answer to stdout, on a terminal with its doubtful numbers in a style of their own."""
    out = inert(sys.stdout)
    for text, is_doubtful in _parts(result):
        out.write_styled(text, _MARK if is_doubtful else "")
    out.write("\n")
    out.flush()


def doubts(result: Mapping[str, Any]) -> list[str]:
    """Return what a person should know before using an answer, a line for each thing; doubtful numbers within the words around them."""
    lines = [f"warning: {one_line(warning)}" for warning in result.get("warnings", ())]
    numbers = result.get("unsupported", ())
    if named := ", ".join(one_line(each["text"]) for each in numbers):
        lines.append(f"[in no output of this conversation: {named}; check before you use it]")
    return [*lines, *(_within(result["answer"], each) for each in numbers)]


def _within(answer: str, number: Mapping[str, Any]) -> str:
    before = answer[: number["start"]].rpartition("\n")[2]
    after = answer[number["end"] :].partition("\n")[0]
    begin = f"…{before[-_AROUND:]}" if len(before) > _AROUND else before
    end = f"{after[:_AROUND]}…" if len(after) > _AROUND else after
    return one_line(f"  {begin}[?{number['text']}?]{end}")


def _parts(result: AgentResult) -> Iterator[tuple[str, bool]]:
    """The answer in parts, and of each whether it is a number that stands in no output."""
    at = 0
    for number in sorted(result.unsupported, key=lambda each: each.start):
        if number.start >= at and result.answer[number.start : number.end] == number.text:
            yield result.answer[at : number.start], False
            yield number.text, True
            at = number.end
    yield result.answer[at:], False
