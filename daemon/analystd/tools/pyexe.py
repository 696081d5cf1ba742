"""The tool `pyexe`: run Python in a session that keeps its variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from analystd.engine.base import ToolSpec
from analystd.kernel.base import Execution
from analystd.tools.base import Tool, ToolContext, ToolResult

PYEXE = ToolSpec(
    "pyexe",
    "Run Python code in a session that keeps its variables from call to call. Print what you want to see.",
    {
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "The Python code."},
            "reset": {"type": "boolean", "description": "Forget all variables first."},
        },
        "required": ["code"],
        "additionalProperties": False,
    },
)

Execute = Callable[[str, bool, ToolContext], Awaitable[Execution]]
"""Runs code in the context's session, after a reset if the flag says so."""


def pyexe_tool(execute: Execute) -> Tool:
    """Return the tool for a function that executes code."""

    async def run(arguments: dict[str, Any], context: ToolContext) -> ToolResult:
        execution = await execute(arguments["code"], arguments.get("reset", False), context)
        return ToolResult(execution.status == "ok", execution_text(execution), execution.to_json())

    return Tool(PYEXE, run, checks_resources=True)


def execution_text(execution: Execution) -> str:
    """Return the output as a user would see it: streams, the last value, the error, and the status if it is not a normal end."""
    parts = [execution.stdout.rstrip("\n"), execution.stderr.rstrip("\n"), execution.result or ""]
    parts += [f"[{_shown(execution.displays)} shown to the user]"] if execution.displays else []
    if execution.error is not None:
        line = f" (line {execution.error.line})" if execution.error.line else ""
        parts.append(f"{execution.error.name}: {execution.error.message}{line}")
    elif execution.status != "ok":
        parts.append(f"[the code ended with status {execution.status}]")
    return "\n".join(part for part in parts if part) or "(no output)"


def _shown(displays: Sequence[Mapping[str, Any]]) -> str:
    """Return `2 plots and 1 table were`, so that the model mentions them instead of describing how to make them."""
    counts = Counter(map(_kind_of_display, displays))
    words = [f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts.items()]
    return f"{' and '.join(words)} {'were' if len(displays) > 1 else 'was'}"


def _kind_of_display(display: Mapping[str, Any]) -> str:
    if any(mime.startswith("image/") or "plotly" in mime or "vega" in mime for mime in display):
        return "plot"
    html = display.get("text/html")
    return "table" if isinstance(html, str) and "<table" in html else "display"
