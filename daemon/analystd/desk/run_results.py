"""Arguments and results of runs in their wire format."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from analystd.agent.outcome import Outcome
from analystd.desk.runs import AnyRun
from analystd.kernel.base import Execution, RaisedError, SessionInfo, SessionVariable
from analystd.util.strict_json import EncodedJson, encoded
from analystd.wire.arguments import Context
from analystd.wire.results import AgentResult, PythonError, PythonResult, SessionState, VariableInfo

_TITLE_CHARACTERS = 100
_LOOKED_AT_CHARACTERS = 100_000
_PLAIN_CHARACTERS = 64 * 1024


def title_of(text: str) -> str:
    """Return the first line that is not blank, at most 100 characters."""
    lines = text[:_LOOKED_AT_CHARACTERS].splitlines()
    line = next((line.strip() for line in lines if line.strip()), "")
    return line if len(line) <= _TITLE_CHARACTERS else line[: _TITLE_CHARACTERS - 1] + "…"


def with_context(prompt: str, context: Context | None) -> str:
    """Return a question with the text that the editor sent with it."""
    if context is None or not context.text:
        return prompt
    return f"{prompt}\n\nFrom {context.uri or 'the editor'}:\n{context.text}"


def agent_result(run: AnyRun, conversation: str, outcome: Outcome) -> AgentResult:
    """Return an `AgentResult`, with `error` if the run failed."""
    result: AgentResult = {
        "run_id": run.id,
        "conversation": conversation,
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


def python_result(run: AnyRun, execution: Execution) -> PythonResult:
    """Return the result of a run of code, without copying large values."""
    error = execution.error
    return {
        "run_id": run.id,
        "status": execution.status,
        "execution_count": execution.execution_count,
        "stdout": execution.stdout,
        "stderr": execution.stderr,
        "result": execution.result,
        "displays": list(execution.displays),
        "error": None if error is None else _python_error(error),
        "truncated": execution.truncated,
        "seconds": execution.seconds,
    }


def _python_error(error: RaisedError) -> PythonError:
    return {
        "name": error.name,
        "message": error.message,
        "traceback": list(error.traceback),
        "line": error.line,
    }


def session_state(info: SessionInfo) -> SessionState:
    """Return a session in its wire format."""
    return {
        "name": info.name,
        "state": info.state,
        "pid": info.pid,
        "execution_count": info.execution_count,
        "memory_bytes": info.memory_bytes,
    }


def variable_info(variable: SessionVariable) -> VariableInfo:
    """Return a variable in its wire format."""
    return {
        "name": variable.name,
        "type": variable.type,
        "shape": variable.shape,
        "memory_bytes": variable.memory_bytes,
        "preview": variable.preview,
    }


async def with_encoded_displays(result: PythonResult) -> PythonResult:
    """Return a `PythonResult` whose large displays are encoded, each in a thread; the event and the answer share the bytes."""
    displays = [
        await asyncio.to_thread(_encoded_display, each) if _is_large(each) else each for each in result["displays"]
    ]
    return {**result, "displays": cast("list[dict[str, Any]]", displays)}


def _is_large(display: Mapping[str, Any]) -> bool:
    return any(isinstance(value, str) and len(value) > _PLAIN_CHARACTERS for value in display.values())


def _encoded_display(display: Mapping[str, Any]) -> EncodedJson:
    return EncodedJson(encoded(display))
