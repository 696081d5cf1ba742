"""The tool `data_view`: view a table without loading it."""

from __future__ import annotations

from typing import Any

from analystd.data.base import DataService, FileInJail
from analystd.data.view_request import ViewRequest
from analystd.engine.base import ToolSpec
from analystd.tools.base import Tool, ToolContext, ToolResult
from analystd.wire.arguments import ViewData
from analystd.wire.schemas import schema_of
from analystd.wire.structured import structured

_ASKED = schema_of(ViewData)["properties"]

DATA_VIEW = ToolSpec(
    "data_view",
    "Look at a table (CSV, Parquet, Arrow, JSON Lines) without loading it: its columns, shape (number of rows), first or last rows.",
    {
        "type": "object",
        "properties": {
            "path": _ASKED["path"],
            # A profile is for people: a small model has enough to choose from.
            "operation": {"enum": [each for each in _ASKED["operation"]["enum"] if each != "profile"]},
            "n_rows": _ASKED["n_rows"],
            "offset": _ASKED["offset"],
            "columns": _ASKED["columns"],
        },
        "required": ["path", "operation"],
        "additionalProperties": False,
    },
)


def data_view_tool(data: DataService) -> Tool:
    """Return the tool for a data service."""

    async def run(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        view = await data.view(FileInJail(arguments["path"]), ViewRequest.of(structured(ViewData, arguments)))
        return ToolResult(True, view["text"], dict(view))

    return Tool(DATA_VIEW, run)
