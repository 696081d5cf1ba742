"""Add what a program printed to an answer that leaves part of it out: a small model states only one of the values asked for."""

from __future__ import annotations

import re

from analystd.agent.facts import without_deprecations
from analystd.agent.number_check import Sources, unsupported_numbers
from analystd.agent.progress import SILENT

_MOST_LINES = 12
_MOST_CHARACTERS = 800
_NOTE = re.compile(r"^\[[^\]]* shown to the user\]$", re.MULTILINE)
"""The note that the tool adds for the model (`tools/pyexe.py`)."""
_DIGIT = re.compile(r"\d")


def with_printed(answer: str, output: str) -> str:
    """Return an answer, followed by the last program's output if that is short and has a line from which no number is stated."""
    shown = _NOTE.sub("", without_deprecations(output)).strip()
    lines = shown.splitlines()
    if shown == SILENT or not 0 < len(lines) <= _MOST_LINES or len(shown) > _MOST_CHARACTERS or shown in answer:
        return answer
    if all(_is_stated(line, answer) for line in lines if _DIGIT.search(line)):
        return answer
    # The output may contain code fences itself.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", shown)), default=0))
    return f"{answer}\n\n{fence}text\n{shown}\n{fence}"


def _is_stated(line: str, answer: str) -> bool:
    """Return whether a number of the answer is one of the line, rounded or not, or the answer contains the line."""
    numbers = unsupported_numbers(answer, Sources([]))
    return line.strip() in answer or len(unsupported_numbers(answer, Sources([line]))) < len(numbers)
