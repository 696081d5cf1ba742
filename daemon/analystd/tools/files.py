"""The file tools: `list_files`, `read_file`, `write_file`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from analystd.data.base import DataService
from analystd.engine.base import ToolSpec
from analystd.tools.base import Tool, ToolContext, ToolResult

_PATH = {"type": "string", "description": "A path inside the workspace."}

LIST_FILES = ToolSpec(
    "list_files",
    "List the files of a folder of the workspace.",
    {
        "type": "object",
        "properties": {
            "path": {**_PATH, "default": "."},
            "pattern": {"type": "string", "description": "Only names that match, such as *.csv."},
            "recursive": {"type": "boolean", "description": "Folders inside folders too."},
        },
        "additionalProperties": False,
    },
)

READ_FILE = ToolSpec(
    "read_file",
    "Read lines of a text file of the workspace.",
    {
        "type": "object",
        "properties": {
            "path": _PATH,
            "offset": {"type": "integer", "minimum": 1, "description": "The first line, counted from 1."},
            "limit": {"type": "integer", "minimum": 1, "description": "How many lines at the most."},
        },
        "required": ["path"],
        "additionalProperties": False,
    },
)

WRITE_FILE = ToolSpec(
    "write_file",
    "Write a text file in the workspace, in place of one of that name.",
    {
        "type": "object",
        "properties": {"path": _PATH, "content": {"type": "string"}},
        "required": ["path", "content"],
        "additionalProperties": False,
    },
)


def file_tools(data: DataService) -> list[Tool]:
    """The three file tools over a data service."""
    return [
        Tool(LIST_FILES, _result_of(lambda arguments: list_files(data, arguments))),
        Tool(READ_FILE, _result_of(lambda arguments: read_file(data, arguments))),
        Tool(WRITE_FILE, _result_of(lambda arguments: write_file(data, arguments))),
    ]


async def list_files(data: DataService, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A listing for valid arguments of `list_files`."""
    return await data.list_files(
        arguments.get("path", "."), pattern=arguments.get("pattern"), recursive=arguments.get("recursive", False)
    )


async def read_file(data: DataService, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Lines of a file for valid arguments of `read_file`."""
    return await data.read_file(arguments["path"], offset=arguments.get("offset", 1), limit=arguments.get("limit"))


async def write_file(data: DataService, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What was written for valid arguments of `write_file`."""
    return await data.write_file(arguments["path"], arguments["content"])


def _result_of(
    run: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
) -> Callable[[dict[str, Any], ToolContext], Awaitable[ToolResult]]:
    async def call(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        data = await run(arguments)
        return ToolResult(True, data["text"], data)

    return call
