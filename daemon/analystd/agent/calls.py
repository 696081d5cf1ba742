"""A tool call as the agent knows it, and how arguments are read that a model wrote as JSON or as text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jsonschema import Draft202012Validator

OPENING, CLOSING = "<tool", "</tool>"
_PROGRAM_OPENING, _PROGRAM_CLOSING = "```python\n", "\n```"
DEEPEST = 64
"""So many lists and objects may lie inside each other. Code that goes through them calls itself."""

_FENCE = re.compile(r"\A```[\w-]*\s*\n(?P<content>.*)\n\s*```\Z", re.DOTALL)
_OURS = re.compile(rf"<tool\s|{_PROGRAM_OPENING}")
_ARGUMENTS = ("arguments", "parameters")


@dataclass(frozen=True)
class ToolCall:
    """A call that can be validated and run; `raw` is its text with the tags, in whichever syntax the model wrote it."""

    name: str
    arguments: dict[str, Any]
    raw: str

    @property
    def text(self) -> str:
        """The call as it goes into a conversation: in our own syntax or as a program, one call however many the model wrote."""
        if _OURS.match(self.raw):
            return self.raw
        return tool_call_text(self.name, json.dumps(self.arguments, ensure_ascii=False))


@dataclass(frozen=True)
class BadCall:
    """What was meant as a call and cannot be run; the message tells the model why."""

    message: str
    raw: str


Item = str | ToolCall | BadCall


class UnreadableError(ValueError):
    """What is wrong with a call, in words for the model."""


def tool_call_text(name: str, arguments: str) -> str:
    """A call as the model writes it; `arguments` is a JSON object."""
    return f'{OPENING} name="{name}">\n{arguments}\n{CLOSING}'


def program_text(code: str) -> str:
    """Return a program as a model writes it: in a code fence."""
    return f"{_PROGRAM_OPENING}{code}{_PROGRAM_CLOSING}"


def read_json(content: str) -> Any:
    """JSON in which a string may go over several lines, as small models write code; it may stand in a code fence.

    Raises:
        UnreadableError: when it is none, or holds what could be neither stored nor shown.
    """
    content = content.strip()
    if fenced := _FENCE.match(content):
        content = fenced["content"]
    try:
        value = json.loads(content, strict=False, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError:
        raise UnreadableError("The arguments are nested too deeply") from None
    except ValueError as exc:
        raise UnreadableError(f"The arguments are not valid JSON: {exc}") from None
    return checked(value)


def read_arguments(content: str) -> dict[str, Any]:
    """The object of arguments; without any content, none.

    Raises:
        UnreadableError: when it is no JSON object.
    """
    stripped = content.strip()
    return object_of(read_json(stripped)) if stripped and stripped != "```" else {}


def read_call(value: Any, raw: str) -> ToolCall:
    """The call in an object that names it: `{"name": …, "arguments": …}` or `"parameters"`, also inside `"function"`.

    Raises:
        UnreadableError: when it names no tool, or its arguments are neither an object nor the text of one.
    """
    function = value.get("function") if isinstance(value, dict) else None
    named = function if isinstance(function, dict) else value
    name = named.get("name", function) if isinstance(named, dict) else None
    if not isinstance(name, str) or not name:
        raise UnreadableError("The call names no tool")
    arguments = next((named[key] for key in _ARGUMENTS if key in named), None)
    if isinstance(arguments, str):
        return ToolCall(name, read_arguments(arguments), raw)
    return ToolCall(name, {} if arguments is None else object_of(arguments), raw)


def object_of(value: Any) -> dict[str, Any]:
    """The value, which has to be an object.

    Raises:
        UnreadableError: when it is not.
    """
    if not isinstance(value, dict):
        raise UnreadableError(f"The arguments are not a JSON object but {json.dumps(value)[:100]}")
    return value


def value_of(text: str, schema: Mapping[str, Any] | None) -> Any:
    """An argument that was written as mere text: the text where the schema takes it, else what it is as JSON, if it is any."""
    if schema and Draft202012Validator(schema).is_valid(text):
        return checked(text)
    try:
        return read_json(text)
    except UnreadableError:
        return checked(text)


def checked(value: Any) -> Any:
    """The value, which has to be one that JSON can hold.

    Raises:
        UnreadableError: for half a surrogate pair, an infinite number, or too many lists inside each other.
    """
    if _depth(value) > DEEPEST:
        raise UnreadableError("The arguments are nested too deeply")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as exc:
        raise UnreadableError(f"The arguments are not valid JSON: {exc}") from None
    return value


def _depth(value: Any) -> int:
    """How many lists and objects lie inside each other, `DEEPEST` + 1 for all that are more."""
    depth, level = 0, [value]
    while depth <= DEEPEST and (level := [each for each in level if isinstance(each, (dict, list, tuple))]):
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is too large a number")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
