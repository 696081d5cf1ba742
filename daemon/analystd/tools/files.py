"""The file tools: `list_files`, `read_file`, `write_file`."""

from __future__ import annotations

from typing import Any

from analystd.data.base import DataService
from analystd.engine.base import ToolSpec
from analystd.tools.base import Tool, ToolContext, ToolResult
from analystd.wire.arguments import ListFiles, ReadFile, WriteFile
from analystd.wire.results import FileListing, FileText
from analystd.wire.schemas import schema_of
from analystd.wire.structured import structured

LIST_FILES = ToolSpec("list_files", "List the files of a folder of the workspace.", schema_of(ListFiles))

READ_FILE = ToolSpec(
    "read_file", "Read lines, or a range of bytes, of a text file of the workspace.", schema_of(ReadFile)
)

WRITE_FILE = ToolSpec(
    "write_file", "Write a text file in the workspace, in place of one of that name.", schema_of(WriteFile)
)


def file_tools(data: DataService) -> list[Tool]:
    """Return the three file tools for a data service."""

    async def list_them(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        listing = await list_files(data, structured(ListFiles, arguments))
        return ToolResult(True, listing["text"], dict(listing))

    async def read(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        part = await read_file(data, structured(ReadFile, arguments))
        return ToolResult(True, _read_text(part), dict(part))

    async def write(arguments: dict[str, Any], _context: ToolContext) -> ToolResult:
        file = structured(WriteFile, arguments)
        written = await data.write_file(file.path, file.content)
        return ToolResult(True, written["text"], dict(written))

    return [Tool(LIST_FILES, list_them), Tool(READ_FILE, read), Tool(WRITE_FILE, write)]


async def list_files(data: DataService, arguments: ListFiles) -> FileListing:
    """Return a folder's entries."""
    return await data.list_files(arguments.path, pattern=arguments.pattern, recursive=arguments.recursive)


async def read_file(data: DataService, arguments: ReadFile) -> FileText:
    """Return a part of a file."""
    return await data.read_file(
        arguments.path,
        offset=arguments.offset,
        limit=arguments.limit,
        byte_offset=arguments.byte_offset,
        byte_limit=arguments.byte_limit,
    )


def _read_text(part: FileText) -> str:
    """Return the text with notes for the model: that the file continues, and that its encoding is not UTF-8."""
    text = part["text"]
    notes = [] if part["encoding"].startswith("utf-8") else [f"the file's encoding is {part['encoding']}"]
    if part["truncated"]:
        notes.append(f"the file of {part['size']} bytes goes on: read_file with {_next_part(part)} reads on")
    elif not text:
        notes.append(f"nothing here: the file has {part['size']} bytes")
    if not notes:
        return text
    return f"{text}{'' if not text or text.endswith(chr(10)) else chr(10)}… [{'; '.join(notes)}]"


def _next_part(part: FileText) -> str:
    if part["offset"] is not None and part["lines"] is not None and part["text"].endswith("\n"):
        return f"offset {part['offset'] + part['lines']}"
    return f"byte_offset {part['byte_offset'] + part['bytes']}"
