"""The tool `data_view`: a look at a table without loading it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analystd.data.base import DataService, FileInJail, Source
from analystd.engine.base import ToolSpec
from analystd.protocol import ViewResult
from analystd.tools.base import Tool, ToolContext, ToolResult

DEFAULT_ROWS = 10

DATA_VIEW = ToolSpec(
    "data_view",
    "Look at a CSV or Parquet file without loading it: its columns, shape (number of rows), first or last rows.",
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
    """The tool over a data service."""

    async def run(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        view = await view_data(data, FileInJail(arguments["path"]), arguments)
        return ToolResult(True, view["text"], dict(view))

    return Tool(DATA_VIEW, run)


async def view_data(data: DataService, source: Source, arguments: Mapping[str, Any]) -> ViewResult:
    """A view of `source` for valid arguments."""
    return await data.view(
        source,
        arguments["operation"],
        n_rows=arguments.get("n_rows", DEFAULT_ROWS),
        offset=arguments.get("offset", 0),
        columns=arguments.get("columns"),
    )
