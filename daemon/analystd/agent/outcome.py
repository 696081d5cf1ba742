"""The outcome of a run, and how a run ends: with an answer, with one that was held back before, or with none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from analystd.agent.call_syntaxes import PROGRAM_TOOL
from analystd.agent.facts import without_deprecations
from analystd.agent.number_check import Unsupported
from analystd.agent.printed import with_printed
from analystd.agent.programs import without_echo
from analystd.agent.replies import Reply
from analystd.agent.review import failed_in_a_row, says_column_is_missing
from analystd.agent.task import Task, calls_made
from analystd.agent.toolcalls import without_thoughts
from analystd.agent.turns import shortened
from analystd.wire.errors import AnalystdError
from analystd.wire.results import AgentStatus, Step, Usage

_WITHOUT_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)


@dataclass
class Outcome:
    """The outcome of a run, complete at any moment: a run that is cut short has what it found so far."""

    status: AgentStatus = "failed"
    answer: str = ""
    steps: list[Step] = field(default_factory=list)
    usage: Usage = field(
        default_factory=lambda: Usage(prompt_tokens=0, cached_tokens=0, completion_tokens=0, seconds=0.0)
    )
    error: AnalystdError | None = None
    unsupported: list[Unsupported] = field(default_factory=list)
    """The numbers of the answer that occur in no output."""
    warnings: list[str] = field(default_factory=list)
    """Warnings for people about how the answer was made, each only once."""


def end_with(reply: Reply, outcome: Outcome, task: Task) -> None:
    """Take a reply without a call as the answer; if it is empty, take the one that was held back before."""
    answer = without_echo(without_thoughts(reply.text))
    if task.programs and failed_in_a_row(outcome.steps) and not says_column_is_missing(answer, outcome.steps[-1]):
        end_without_result(outcome, task)
        return
    if task.programs and not _WITHOUT_CODE.sub("", answer).strip():
        # Code that was not run is not an answer.
        answer = task.programs.reviewer.held_back or ""
    outcome.answer = answer or f"The model gave no answer in words, {found_by(outcome)}"
    is_whole = bool(answer) and not reply.cut and calls_made(task, outcome.steps) < task.limits.max_steps
    outcome.status = "done" if is_whole else "limit"
    if task.programs and answer:
        outcome.unsupported = task.programs.reviewer.unsupported(outcome.answer, outcome.steps)
        last = outcome.steps[-1] if is_whole and outcome.steps else None
        if last is not None and last["tool"] == PROGRAM_TOOL and last["ok"] and not outcome.unsupported:
            outcome.answer = with_printed(outcome.answer, last["output"])


def end_without_result(outcome: Outcome, task: Task) -> None:
    """End a run whose last programs failed: with the answer that was held back because of a doubt, marked, or with none."""
    held_back = task.programs.reviewer.held_back if task.programs else None
    if task.programs and held_back is not None:
        outcome.answer, outcome.status = held_back, "done"
        outcome.unsupported = task.programs.reviewer.unsupported(held_back, outcome.steps)
        return
    count = failed_in_a_row(outcome.steps)
    if task.programs and count and (lacking := task.programs.lacking(outcome.steps[-1])):
        outcome.answer = f"There is no result, since the data does not have what the programs looked for. {lacking}"
    else:
        failed = "the last program failed" if count == 1 else f"the last {count} programs failed"
        outcome.answer = f"There is no result: {failed}, {found_by(outcome)}"
    outcome.status = "limit"


def has_failed_for_good(steps: Sequence[Step]) -> bool:
    """Return whether the model cannot give an answer any more; what the data lacks is reported without the model."""
    return failed_in_a_row(steps) > 0


def found_by(outcome: Outcome) -> str:
    """Return a description of what a run had found when it ended."""
    if not outcome.steps:
        return "before any tool had run"
    last = outcome.steps[-1]
    return f"with {len(outcome.steps)} tool calls made; the last, {last['tool']}, gave: {shortened(without_deprecations(last['output']), 300)}"
