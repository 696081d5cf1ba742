"""Noticing that a model's calls lead nowhere, so that it is asked for an answer instead of being let run to its limits."""

from __future__ import annotations

from collections.abc import Sequence

from analystd.wire.results import Step

_SAME_OUTPUTS = 3
SILENT = "(no output)"
"""What code that prints nothing gives."""


def is_stuck(steps: Sequence[Step]) -> bool:
    """Whether the calls lead nowhere.

    So they do when the last one is the same as the one before; when the last two, in turns, only gave again what earlier ones gave; or
    when the last three, however they differ, all gave the same. Code that prints nothing, call after call, is no sign of it.
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
    """Whether the last call is the same as the one before."""
    return len(steps) >= 2 and _call(steps[-1]) == _call(steps[-2])


def _is_stale(steps: Sequence[Step], position: int) -> bool:
    """Whether a call and what it gave are the same as those of an earlier one."""
    step = steps[position]
    return any(_call(step) == _call(each) and step["output"] == each["output"] for each in steps[:position])


def _call(step: Step) -> tuple[object, ...]:
    return step["tool"], step["arguments"]
