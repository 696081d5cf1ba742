"""Typed objects built from JSON values according to the annotations of their classes."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")

Maker = Callable[[Any], Any]


class JsonSchema:
    """The JSON Schema keywords of a type beyond its Python type, in `Annotated`: `Annotated[int, JsonSchema(minimum=1)]`."""

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords


class Absent:
    """The value that readers assume for a missing member, in `Annotated`; without this note it is None, or an empty list."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Named:
    """The name of a type in generated code, in `Annotated`."""

    def __init__(self, name: str) -> None:
        self.name = name


class LuaTable:
    """Base of objects that may have further members, and may arrive as `[]`: Lua has one empty table for objects and lists."""


@dataclass(frozen=True, eq=False)
class WithWire:
    """Base of objects that keep the JSON object they were built from, with members that the class does not declare."""

    wire: Mapping[str, Any] = field(default_factory=dict, repr=False, kw_only=True)


def structured(cls: type[T], value: Mapping[str, Any]) -> T:
    """Return the dataclass that a JSON object describes; members that the class does not declare are ignored."""
    annotation: Any = cls
    made: T = maker_of(annotation)(value)
    return made


@cache
def maker_of(annotation: Any) -> Maker:
    """Return a function that converts a JSON value to a type. Values must be valid; those of most types are returned as they are."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return maker_of(arguments[0])
    if origin is tuple:
        make = maker_of(arguments[0])
        return lambda items: tuple(make(item) for item in items)
    if origin in (Union, types.UnionType):
        make = next((maker_of(each) for each in arguments if each is not types.NoneType), _unchanged)
        return lambda value: None if value is None else make(value)
    if annotation is int:
        return _integer
    if is_dataclass(annotation) and isinstance(annotation, type):
        return _maker_of_class(annotation)
    return _unchanged


def _maker_of_class(cls: type[Any]) -> Maker:
    hints = get_type_hints(cls, include_extras=True)
    keeps_wire = issubclass(cls, WithWire)
    names = [each.name for each in fields(cls) if not (keeps_wire and each.name == "wire")]
    makers = {name: maker_of(hints[name]) for name in names}

    def make(value: Any) -> Any:
        given = value or {} if issubclass(cls, LuaTable) else value
        members = {name: make(given[name]) for name, make in makers.items() if name in given}
        return cls(**members, wire=given) if keeps_wire else cls(**members)

    return make


def _integer(value: Any) -> Any:
    # JSON Schema accepts 3.0 as an integer.
    return int(value) if isinstance(value, float) else value


def _unchanged(value: Any) -> Any:
    return value
