"""Parsing of JSON Lines into objects with exact numbers; a malformed line yields a warning and never raises."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

MAX_DEPTH = 128
"""Maximum nesting of values, because the clients that parse replies have limited stacks."""

_LARGEST_EXACT = 2**53
_LONGEST_EXACT = 17
_EXCERPT = 40
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")


class ExactInteger(str):
    """An integer that a double does not represent exactly, as its digits."""

    __slots__ = ()


class ExactNumber(str):
    """A number that a double does not represent exactly, or NaN or infinity, as it is written."""

    __slots__ = ()


@dataclass(frozen=True)
class JsonRecord:
    """The content of one line."""

    values: dict[str, Any] = field(default_factory=dict)
    """Empty if the line is not an object."""
    trouble: str | None = None
    """Why the line is not an object."""
    remarks: tuple[str, ...] = ()
    """What was changed in the values, worded to follow `Row 3 `."""


def parse_records(lines: Iterable[bytes]) -> Iterator[JsonRecord]:
    """Return the objects in the lines. Numbers that a double does not represent exactly are text."""
    doubled: list[str] = []
    decoder = _decoder(doubled)
    for line in lines:
        doubled.clear()
        yield _parsed(line, decoder, doubled)


def kind_of(value: Any) -> str:
    """Return `integer`, `number`, `boolean`, `text`, `object`, `array`, or `empty` for null."""
    match value:
        case None:
            return "empty"
        case bool():
            return "boolean"
        case int() | ExactInteger():
            return "integer"
        case float() | ExactNumber():
            return "number"
        case str():
            return "text"
        case dict():
            return "object"
        case _:
            return "array"


def common_kind(kinds: Iterable[str]) -> str:
    """Return the type of a column with values of these kinds: `mixed` if no single type covers them."""
    found = set(kinds) - {"empty"}
    if not found:
        return "empty"
    if found == {"integer", "number"}:
        return "number"
    return found.pop() if len(found) == 1 else "mixed"


def _parsed(line: bytes, decoder: json.JSONDecoder, doubled: list[str]) -> JsonRecord:
    remarks: list[str] = []
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("utf-8", "replace")
        remarks.append("is not valid UTF-8; invalid bytes are shown as �")
    try:
        value = decoder.decode(text.strip())
    except RecursionError:
        return JsonRecord(trouble=f"values are nested more than {MAX_DEPTH} deep")
    except ValueError:
        return JsonRecord(trouble=_excerpt(text))
    if not isinstance(value, dict):
        return JsonRecord(trouble=_excerpt(text))
    if text.count("[") + text.count("{") > MAX_DEPTH and _is_deeper(value, MAX_DEPTH):
        return JsonRecord(trouble=f"values are nested more than {MAX_DEPTH} deep")
    if _SURROGATE_ESCAPE.search(line):
        whole = _without_surrogates(value)
        if whole != value:
            remarks.append("has an unpaired surrogate, which is shown as �")
            value = whole
    if doubled:
        remarks.append(f"has the key {doubled[0][:_EXCERPT]!r} twice; the last value is shown")
    return JsonRecord(value, None, tuple(remarks))


def _decoder(doubled: list[str]) -> json.JSONDecoder:
    def pairs(items: Sequence[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            seen: set[str] = set()
            doubled.extend(key for key, _ in items if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        return found

    return json.JSONDecoder(
        object_pairs_hook=pairs, parse_int=_integer, parse_float=_number, parse_constant=ExactNumber
    )


def _integer(text: str) -> int | str:
    if len(text) <= _LONGEST_EXACT and -_LARGEST_EXACT <= (value := int(text)) <= _LARGEST_EXACT and text != "-0":
        return value
    return ExactInteger(text)


def _number(text: str) -> float | str:
    value = float(text)
    shortest = repr(value)
    try:
        exact = shortest == text or Decimal(shortest) == Decimal(text)
    except ArithmeticError:
        exact = False
    return value if exact and value not in (float("inf"), float("-inf")) else ExactNumber(text)


def _excerpt(text: str) -> str:
    return text[:_EXCERPT] + ("…" if len(text) > _EXCERPT else "")


def _is_deeper(value: Any, depth: int) -> bool:
    # A loop over levels rather than recursion, because the call stack is limited.
    level = [value]
    for _ in range(depth):
        level = [inner for each in level if isinstance(each, (dict, list)) for inner in _inner(each)]
        if not level:
            return False
    return any(isinstance(each, (dict, list)) for each in level)


def _inner(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _without_surrogates(value: Any) -> Any:
    match value:
        case ExactInteger() | ExactNumber():
            return value
        case str():
            return _SURROGATE.sub("�", value)
        case dict():
            return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
        case list():
            return [_without_surrogates(each) for each in value]
        case _:
            return value
