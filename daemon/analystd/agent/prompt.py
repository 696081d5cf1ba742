"""What the model is told: short, since a small model follows examples rather than explanations, and each token costs time."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from analystd.agent.toolcalls import tool_call_text
from analystd.engine.base import ToolSpec

LISTED_FILES = 20
"""So many names of the workspace are told; `list_files` tells all."""


def system_prompt(tools: Sequence[ToolSpec], workspace_listing: Sequence[str]) -> str:
    """The system message: the task, the files that are there, the tools with their arguments, and worked examples of calls."""
    parts = [
        "You are a data analyst. Answer from what the tools tell you, never from memory.",
        _files(workspace_listing),
    ]
    if tools:
        parts.append("Tools:\n" + "\n".join(_tool_line(tool) for tool in tools))
        parts.append(
            "To use a tool, write one call and nothing after it:\n" + "\n".join(_examples(tools, workspace_listing))
        )
        parts.append("When a tool has told you enough, answer the question in one or two sentences.")
    return "\n\n".join(parts)


def tool_result_message(tool: str, ok: bool, output: str) -> str:
    """What the model is shown of a call's outcome."""
    if ok:
        return f"Result of {tool}:\n{output.strip() or '(no output)'}"
    return f"{tool} failed:\n{output.strip()}"


def must_call_first(question: str, workspace_listing: Sequence[str], tools: Sequence[ToolSpec]) -> bool:
    """Whether the first reply has to be a call: the question names a file of the workspace, and only a tool can look into it."""
    return bool(tools) and any(_names(question, path) for path in workspace_listing)


def _names(question: str, path: str) -> bool:
    name = re.escape(path.rstrip("/").rsplit("/", 1)[-1])
    return bool(re.search(rf"(?<![\w.]){name}(?!\w)", question, re.IGNORECASE))


def _files(listing: Sequence[str]) -> str:
    if not listing:
        return "The workspace has no files yet."
    more = len(listing) - LISTED_FILES
    return f"Files: {', '.join(listing[:LISTED_FILES])}{f' and {more} more' if more > 0 else ''}."


def _tool_line(tool: ToolSpec) -> str:
    required = tool.parameters.get("required", ())
    arguments = [
        f"{name}{'' if name in required else '?'}{_values(schema)}"
        for name, schema in tool.parameters.get("properties", {}).items()
    ]
    return f"- {tool.name}({', '.join(arguments)}): {tool.description}"


def _values(schema: Mapping[str, Any]) -> str:
    return f" = {'|'.join(map(str, schema['enum']))}" if "enum" in schema else ""


def _examples(tools: Sequence[ToolSpec], listing: Sequence[str]) -> list[str]:
    """A call for each of the examples' tools that is offered."""
    path = next((name for name in listing if name.endswith((".csv", ".parquet"))), "sales.csv")
    calls: dict[str, Mapping[str, Any]] = {
        "data_view": {"path": path, "operation": "shape"},
        "pyexe": {"code": f"import pandas as pd\ndf = pd.read_csv({path!r})\nprint(df.describe())"},
    }
    offered = [tool.name for tool in tools if tool.name in calls]
    return [tool_call_text(name, json.dumps(calls[name], ensure_ascii=False)) for name in offered]
