"""Detect calls that lead nowhere, so that the model is asked for an answer before its run reaches a limit."""

from __future__ import annotations

from collections.abc import Sequence

from analystd.wire.results import Step

_SAME_OUTPUTS = 3
SILENT = "(no output)"
"""The output of code that prints nothing."""


def is_stuck(steps: Sequence[Step]) -> bool:
    """Return whether the calls lead nowhere.

    That is so if the last one is the same as the previous one; if the last two only repeated earlier calls and their outputs; or if the last
    three, however they differ, all had the same output. Code that prints nothing, call after call, does not count.
    """
    if len(steps) < 2:
        return False
    if is_repeated(steps):
        return True
    if all(_is_stale(steps, position) for position in (len(steps) - 1, len(steps) - 2)):
        return True
    outputs = {(step["ok"], step["output"]) for step in steps[-_SAME_OUTPUTS:]}
    return len(steps) >= _SAME_OUTPUTS and len(outputs) == 1 and steps[-1]["output"] != SILENT


def is_repeated(steps: Sequence[Step]) -> bool:
    """Return whether the last call is the same as the previous one."""
    return len(steps) >= 2 and _call(steps[-1]) == _call(steps[-2])


def _is_stale(steps: Sequence[Step], position: int) -> bool:
    """Return whether a call and its output are the same as those of an earlier one."""
    step = steps[position]
    return any(_call(step) == _call(each) and step["output"] == each["output"] for each in steps[:position])


def _call(step: Step) -> tuple[object, ...]:
    return step["tool"], step["arguments"]
