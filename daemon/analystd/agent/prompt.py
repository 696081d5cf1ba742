"""Prompts: short, since a small model follows examples rather than explanations, and each token costs time.

The wording was tested on a model of 135 million parameters. Descriptions of the tools made it worse; the same examples as turns of a
conversation, each with its result and answer, instead of in the system message, raised the right first calls from 3 of 13 to 11.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from analystd.agent.toolcalls import tool_call_text
from analystd.engine.base import Message, ToolSpec

LISTED_FILES = 20
"""Maximum number of file names in the system message; `list_files` returns all."""

_PREFERRED = ("data_view", "pyexe", "read_file", "write_file", "list_files")
_TABLES = {
    ".csv",
    ".tsv",
    ".tab",
    ".psv",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".pq",
    ".arrow",
    ".feather",
    ".xlsx",
    ".xlsm",
}


_EXAMPLE = re.compile(
    r"^Question: (?P<question>.*)\nCall: (?P<tool>\w+) (?P<arguments>.*)\nResult:\n(?P<result>(?:.*\n)*?.*)\nAnswer: (?P<answer>.*)$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class _Example:
    question: str
    tool: str
    arguments: Mapping[str, Any]
    result: str
    answer: str


def system_prompt(tools: Sequence[ToolSpec], workspace_listing: Sequence[str], task: str | None = None) -> str:
    """Return the system message: the task (by default that of `prompts/calls.txt`), the existing files, and the tools with their arguments."""
    task = f"{task or packaged_prompt('calls.txt')} {_files(workspace_listing)}"
    return f"{task}\n\nTools: {', '.join(_signature(tool) for tool in _ordered(tools))}." if tools else task


def example_turns(tools: Sequence[ToolSpec]) -> tuple[Message, ...]:
    """Return worked examples, between the system message and the conversation: a question, the call, its result, the answer.

    Only offered tools have examples. The most frequent kind of question comes last, where a small model looks first.
    """
    offered = {tool.name for tool in tools}
    return tuple(turn for example in _examples() if example.tool in offered for turn in _turns(example))


@functools.cache
def packaged_prompt(name: str) -> str:
    """Return one of the texts in `prompts`, which people can read."""
    return (files("analystd.agent") / "prompts" / name).read_text(encoding="utf-8").strip()


@functools.cache
def packaged_pairs(name: str) -> tuple[tuple[str, str], ...]:
    """Return the lines of one of the texts in `prompts`, each with the indented line that follows it, without comments."""
    lines = [line for line in packaged_prompt(name).splitlines() if line.strip() and not line.startswith("#")]
    return tuple((line, below.strip()) for line, below in itertools.pairwise(lines) if below.startswith(" "))


def with_new_files(question: str, names: Sequence[str]) -> str:
    """Return a question with the files that were added to the workspace since the system message listed them."""
    return f"{question}\n\n(New files: {_names(names)}.)" if names else question


def tool_result_message(tool: str, ok: bool, output: str) -> str:
    """Return the message to the model about the outcome of a call."""
    if ok:
        return f"Result of {tool}:\n{output.strip() or '(no output)'}"
    return f"{tool} failed:\n{output.strip()}"


def first_call_tools(
    question: str, workspace_listing: Sequence[str], tools: Sequence[ToolSpec]
) -> tuple[ToolSpec, ...]:
    """Return the tools that can read the files which the question names; none if it names no file.

    As the only tools of the first reply, one of which it must call, they keep a small model from inventing an answer.
    """
    named = [path for path in workspace_listing if is_named(question, path)]
    if not named:
        return ()
    lookers = {"pyexe"} | {"data_view" if is_table(path) else "read_file" for path in named}
    return tuple(tool for tool in _ordered(tools) if tool.name in lookers)


def is_table(path: str) -> bool:
    """Return whether a path looks like that of a table, compressed or not."""
    return PurePosixPath(without_compression(path).lower()).suffix in _TABLES


def without_compression(path: str) -> str:
    """Return a path without its suffix for compression."""
    return re.sub(r"\.(?:gz|gzip)\Z", "", path, flags=re.IGNORECASE)


def is_named(question: str, path: str) -> bool:
    """Return whether a file's name occurs in the question as a word of its own. Folders, listed with a final `/`, do not count."""
    name = re.escape(PurePosixPath(path).name)
    return not path.endswith("/") and bool(re.search(rf"(?<![\w.-]){name}(?![\w-]|\.\w)", question, re.IGNORECASE))


@functools.cache
def _examples() -> tuple[_Example, ...]:
    """Return the worked examples of `prompts/calls_examples.txt`.

    Each is about another file: a model copies a path that occurs in several examples into calls about the user's own files.
    """
    return tuple(
        _Example(each["question"], each["tool"], json.loads(each["arguments"]), each["result"], each["answer"])
        for each in _EXAMPLE.finditer(packaged_prompt("calls_examples.txt"))
    )


def _ordered(tools: Sequence[ToolSpec]) -> list[ToolSpec]:
    """Return the tools in the order of how often questions need them, because a small model prefers the first."""
    return sorted(tools, key=lambda tool: _PREFERRED.index(tool.name) if tool.name in _PREFERRED else len(_PREFERRED))


def _files(listing: Sequence[str]) -> str:
    if not listing:
        return "The workspace has no files yet."
    return f"Files: {_names(listing)}."


def _names(listing: Sequence[str]) -> str:
    more = len(listing) - LISTED_FILES
    return f"{', '.join(listing[:LISTED_FILES])}{f' and {more} more' if more > 0 else ''}"


def _signature(tool: ToolSpec) -> str:
    """Return the tool as a function: `data_view(path, operation=columns|head, n_rows?)`."""
    required = tool.parameters.get("required", ())
    properties: Mapping[str, Any] = tool.parameters.get("properties", {})
    arguments = [f"{name}{'' if name in required else '?'}{_choices(schema)}" for name, schema in properties.items()]
    return f"{tool.name}({', '.join(arguments)})"


def _choices(schema: Mapping[str, Any]) -> str:
    return f"={'|'.join(map(str, schema['enum']))}" if "enum" in schema else ""


def _turns(example: _Example) -> tuple[Message, ...]:
    call = tool_call_text(example.tool, json.dumps(example.arguments, ensure_ascii=False))
    return (
        Message("user", example.question),
        Message("assistant", call),
        Message("tool", tool_result_message(example.tool, True, example.result)),
        Message("assistant", example.answer),
    )
