"""The tool `data_view`: view a table without loading it."""

from __future__ import annotations

from typing import Any

from analystd.data.base import DataService, FileInJail
from analystd.data.view_request import DEFAULT_ROWS, ViewRequest
from analystd.engine.base import ToolSpec
from analystd.tools.base import Tool, ToolContext, ToolResult

DATA_VIEW = ToolSpec(
    "data_view",
    "Look at a table (CSV, Parquet, Arrow, JSON Lines) without loading it: its columns, shape (number of rows), first or last rows.",
    {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "A file in the workspace."},
            "operation": {"enum": ["columns", "head", "tail", "shape", "schema", "rows", "describe"]},
            "n_rows": {
                "type": "integer",
                "minimum": 1,
                "maximum": 10_000,
                "description": f"Rows to show; {DEFAULT_ROWS} by default.",
            },
            "offset": {"type": "integer", "minimum": 0, "description": "For rows: the first row, counted from 0."},
            "columns": {"type": "array", "items": {"type": "string"}, "description": "Only these columns."},
        },
        "required": ["path", "operation"],
        "additionalProperties": False,
    },
)


def data_view_tool(data: DataService) -> Tool:
    """Return the tool for a data service."""

    async def run(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        view = await data.view(FileInJail(arguments["path"]), ViewRequest.of(arguments))
        return ToolResult(True, view["text"], dict(view))

    return Tool(DATA_VIEW, run)
