"""Arguments and results of runs, as they go over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from analystd.agent.outcome import Outcome
from analystd.desk.runs import DeskRun, Result
from analystd.kernel.base import Execution
from analystd.util.strict_json import EncodedJson, encoded

_TITLE_CHARACTERS = 100
_LOOKED_AT_CHARACTERS = 100_000
_PLAIN_CHARACTERS = 64 * 1024


def is_batch(arguments: Mapping[str, Any]) -> bool:
    """Whether nobody waits for it."""
    return arguments.get("priority") == "batch"


def title_of(text: str) -> str:
    """The first line that says something, of at most 100 characters."""
    lines = text[:_LOOKED_AT_CHARACTERS].splitlines()
    line = next((line.strip() for line in lines if line.strip()), "")
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1] + "…"


def with_context(prompt: str, context: Mapping[str, Any] | None) -> str:
    """A question with the text that the editor sent along."""
    if not context or not context.get("text"):
        return prompt
    return f"{prompt}\n\nFrom {context.get('uri') or 'the editor'}:\n{context['text']}"


def agent_result(run: DeskRun, outcome: Outcome) -> Result:
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
        result["unsupported"] = [
            {"text": each.text, "start": each.start, "end": each.end} for each in outcome.unsupported
        ]
    if outcome.warnings:
        result["warnings"] = list(outcome.warnings)
    if outcome.error is not None:
        result["error"] = {"kind": outcome.error.kind, "message": outcome.error.message, "hint": outcome.error.hint}
    return result


def python_result(run: DeskRun, execution: Execution) -> Result:
    """A `PythonResult`."""
    return {"run_id": run.id, **execution.to_json()}


async def with_encoded_displays(result: Result) -> Result:
    """Return a `PythonResult` whose large displays are encoded, each in a thread: the event and the answer share their bytes."""
    displays = [
        await asyncio.to_thread(_encoded_display, each) if _is_large(each) else each for each in result["displays"]
    ]
    return {**result, "displays": displays}


def _is_large(display: Mapping[str, Any]) -> bool:
    return any(isinstance(value, str) and len(value) > _PLAIN_CHARACTERS for value in display.values())


def _encoded_display(display: Mapping[str, Any]) -> EncodedJson:
    return EncodedJson(encoded(display))
