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
    "Read lines, or a range of bytes, of a text file of the workspace.",
    {
        "type": "object",
        "properties": {
            "path": _PATH,
            "offset": {"type": "integer", "minimum": 1, "description": "The first line, counted from 1."},
            "limit": {"type": "integer", "minimum": 1, "description": "How many lines at the most."},
            "byte_offset": {
                "type": "integer",
                "minimum": 0,
                "description": "Instead of lines: the first byte, counted from 0.",
            },
            "byte_limit": {
                "type": "integer",
                "minimum": 4,
                "description": "Instead of lines: how many bytes at the most.",
            },
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
    """Return the three file tools for a data service."""
    return [
        Tool(LIST_FILES, _result_of(lambda arguments: list_files(data, arguments), _own_text)),
        Tool(READ_FILE, _result_of(lambda arguments: read_file(data, arguments), _read_text)),
        Tool(WRITE_FILE, _result_of(lambda arguments: write_file(data, arguments), _own_text)),
    ]


async def list_files(data: DataService, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a listing for valid arguments of `list_files`."""
    return await data.list_files(
        arguments.get("path", "."), pattern=arguments.get("pattern"), recursive=arguments.get("recursive", False)
    )


async def read_file(data: DataService, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a part of a file for valid arguments of `read_file`."""
    ranges = ("offset", "limit", "byte_offset", "byte_limit")
    return await data.read_file(arguments["path"], **{name: arguments.get(name) for name in ranges})


async def write_file(data: DataService, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Write a file for valid arguments of `write_file`, and return what was written."""
    return await data.write_file(arguments["path"], arguments["content"])


def _result_of(
    run: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]], text_of: Callable[[dict[str, Any]], str]
) -> Callable[[dict[str, Any], ToolContext], Awaitable[ToolResult]]:
    async def call(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        data = await run(arguments)
        return ToolResult(True, text_of(data), data)

    return call


def _own_text(data: dict[str, Any]) -> str:
    text: str = data["text"]
    return text


def _read_text(data: dict[str, Any]) -> str:
    """Return the text with notes for the model: that the file continues, and that its encoding is not UTF-8."""
    text = _own_text(data)
    notes = [] if data["encoding"].startswith("utf-8") else [f"the file's encoding is {data['encoding']}"]
    if data["truncated"]:
        notes.append(f"the file of {data['size']} bytes goes on: read_file with {_next_part(data)} reads on")
    elif not text:
        notes.append(f"nothing here: the file has {data['size']} bytes")
    if not notes:
        return text
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}… [{'; '.join(notes)}]"


def _next_part(data: dict[str, Any]) -> str:
    if data["offset"] is not None and data["text"].endswith("\n"):
        return f"offset {data['offset'] + data['lines']}"
    return f"byte_offset {data['byte_offset'] + data['bytes']}"
