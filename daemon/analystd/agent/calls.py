"""Tool calls as the agent knows them, and the reading of arguments that a model wrote as JSON or as text."""

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
"""Maximum nesting of lists and objects, because the code that walks through them is recursive."""

_FENCE = re.compile(r"\A```[\w-]*\s*\n(?P<content>.*)\n\s*```\Z", re.DOTALL)
_OURS = re.compile(rf"<tool\s|{_PROGRAM_OPENING}")
_ARGUMENTS = ("arguments", "parameters")


@dataclass(frozen=True)
class ToolCall:
    """A call that can be validated and run; `raw` is its text with the tags, in the syntax that the model used."""

    name: str
    arguments: dict[str, Any]
    raw: str

    @property
    def text(self) -> str:
        """The call as it stands in a conversation, in our own syntax or as a program; only one, even if the model wrote several."""
        if _OURS.match(self.raw):
            return self.raw
        return tool_call_text(self.name, json.dumps(self.arguments, ensure_ascii=False))


@dataclass(frozen=True)
class BadCall:
    """A call that cannot be run; the message tells the model why."""

    message: str
    raw: str


Item = str | ToolCall | BadCall


class UnreadableError(ValueError):
    """An error in a call, worded for the model."""


def tool_call_text(name: str, arguments: str) -> str:
    """Return a call as the model writes it; `arguments` is a JSON object."""
    return f'{OPENING} name="{name}">\n{arguments}\n{CLOSING}'


def program_text(code: str) -> str:
    """Return a program as a model writes it: in a code fence."""
    return f"{_PROGRAM_OPENING}{code}{_PROGRAM_CLOSING}"


def read_json(content: str) -> Any:
    """Return the value of JSON in which a string may span several lines, as small models write code; a code fence is allowed.

    Raises:
        UnreadableError: if it is not JSON, or holds values that cannot be stored or shown.
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
    """Return the object of arguments; an empty one if there is no content.

    Raises:
        UnreadableError: if it is not a JSON object.
    """
    stripped = content.strip()
    return object_of(read_json(stripped)) if stripped and stripped != "```" else {}


def read_call(value: Any, raw: str) -> ToolCall:
    """Return the call in an object that names it: `{"name": …, "arguments": …}` or `"parameters"`, also inside `"function"`.

    Raises:
        UnreadableError: if it names no tool, or its arguments are neither an object nor the text of one.
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
    """Return the value, which must be an object.

    Raises:
        UnreadableError: if it is not.
    """
    if not isinstance(value, dict):
        raise UnreadableError(f"The arguments are not a JSON object but {json.dumps(value)[:100]}")
    return value


def value_of(text: str, schema: Mapping[str, Any] | None) -> Any:
    """Return the value of an argument written as plain text: the text if the schema accepts it, else its value as JSON, if it is JSON."""
    if schema and Draft202012Validator(schema).is_valid(text):
        return checked(text)
    try:
        return read_json(text)
    except UnreadableError:
        return checked(text)


def checked(value: Any) -> Any:
    """Return the value, which must be representable in JSON.

    Raises:
        UnreadableError: for a lone surrogate, an infinite number, or lists nested too deeply.
    """
    if _depth(value) > DEEPEST:
        raise UnreadableError("The arguments are nested too deeply")
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, TypeError) as exc:
        raise UnreadableError(f"The arguments are not valid JSON: {exc}") from None
    return value


def _depth(value: Any) -> int:
    """Return the depth of nested lists and objects, at most `DEEPEST` + 1."""
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
