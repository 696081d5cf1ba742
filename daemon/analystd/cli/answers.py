"""Print an answer in a terminal, with its unsupported numbers marked and its warnings after it."""

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
"""Number of characters shown before and after an unsupported number."""


def print_answer(result: AgentResult) -> None:
    """Print an answer to stdout; a terminal shows its unsupported numbers in a style of their own."""
    out = inert(sys.stdout)
    for text, is_unsupported in _parts(result):
        out.write_styled(text, _MARK if is_unsupported else "")
    out.write("\n")
    out.flush()


def doubts(result: Mapping[str, Any]) -> list[str]:
    """Return the warnings on an answer, one per line; unsupported numbers are quoted with the text around them."""
    lines = [f"warning: {one_line(warning)}" for warning in result.get("warnings", ())]
    numbers = result.get("unsupported", ())
    if listed := ", ".join(one_line(each["text"]) for each in numbers):
        lines.append(f"[in no output of this conversation: {listed}; check before you use it]")
    return [*lines, *(_within(result["answer"], each) for each in numbers)]


def _within(answer: str, number: Mapping[str, Any]) -> str:
    before = answer[: number["start"]].rpartition("\n")[2]
    after = answer[number["end"] :].partition("\n")[0]
    begin = f"…{before[-_AROUND:]}" if len(before) > _AROUND else before
    end = f"{after[:_AROUND]}…" if len(after) > _AROUND else after
    return one_line(f"  {begin}[?{number['text']}?]{end}")


def _parts(result: AgentResult) -> Iterator[tuple[str, bool]]:
    """Yield the answer in parts, each with whether it is an unsupported number."""
    at = 0
    for number in sorted(result.unsupported, key=lambda each: each.start):
        if number.start >= at and result.answer[number.start : number.end] == number.text:
            yield result.answer[at : number.start], False
            yield number.text, True
            at = number.end
    yield result.answer[at:], False
