"""Arguments and results of runs, as they go over the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from analystd.agent.loop import Outcome
from analystd.desk.runs import Result, Run
from analystd.kernel.base import Execution

_TITLE_CHARACTERS = 100


def is_batch(arguments: Mapping[str, Any]) -> bool:
    """Whether nobody waits for it."""
    return arguments.get("priority") == "batch"


def title_of(text: str) -> str:
    """The first line that says something, of at most 100 characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1] + "…"


def with_context(prompt: str, context: Mapping[str, Any] | None) -> str:
    """A question with the text that the editor sent along."""
    if not context or not context.get("text"):
        return prompt
    return f"{prompt}\n\nFrom {context.get('uri') or 'the editor'}:\n{context['text']}"


def agent_result(run: Run, outcome: Outcome) -> Result:
    """An `AgentResult`; with `error` when the run failed."""
    result: Result = {
        "run_id": run.id,
        "conversation": run.request.conversation,
        "status": outcome.status,
        "answer": outcome.answer,
        "steps": outcome.steps,
        "usage": outcome.usage,
    }
    if outcome.unsupported:
        result["unsupported"] = [asdict(each) for each in outcome.unsupported]
    if outcome.error is not None:
        result["error"] = {"kind": outcome.error.kind, "message": outcome.error.message, "hint": outcome.error.hint}
    return result


def python_result(run: Run, execution: Execution) -> Result:
    """A `PythonResult`."""
    error = (
        None if execution.error is None else {**asdict(execution.error), "traceback": list(execution.error.traceback)}
    )
    return {"run_id": run.id, **asdict(execution), "displays": list(execution.displays), "error": error}
