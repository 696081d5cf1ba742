"""JSON Schemas (2020-12) of Python types, so that others can validate what is declared once for the wire."""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from analystd.wire.structured import JsonSchema, LuaTable

Schema = dict[str, Any]
_UNIONS = (Union, types.UnionType)

Structures = Callable[[type, "SchemaMaker"], Schema | None]

_PLAIN: dict[Any, Schema] = {
    Any: {},
    object: {},
    type(None): {"type": "null"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
}


class SchemaMaker:
    """Makes schemas of types; each `TypedDict` goes into `definitions` once and is referred to by name.

    Dataclasses are arguments. A model reads them too, so their schemas are written out where they are used. A `JsonSchema` in `Annotated` is
    added to the schema of its type. `structures` returns the schema of any other class, or None. Objects have the members of their
    `TypedDict` and, if not `closed`, any others.
    """

    def __init__(self, structures: Structures | None = None, *, closed: bool = True) -> None:
        self.definitions: dict[str, Schema] = {}
        self._structures = structures
        self._closed = closed

    def schema(self, annotation: Any) -> Schema:
        """Return a self-contained schema, with the definitions that it refers to."""
        schema = self.of(annotation)
        return {**schema, "$defs": dict(sorted(self.definitions.items()))} if self.definitions else schema

    def of(self, annotation: Any) -> Schema:
        """Return the schema of a type, which may refer to `definitions`.

        Raises:
            TypeError: for a type that JSON cannot represent.
        """
        if annotation in _PLAIN:
            return dict(_PLAIN[annotation])
        origin = get_origin(annotation)
        if origin is None:
            return self._of_class(annotation)
        arguments = get_args(annotation)
        if origin in (NotRequired, Required):
            return self.of(arguments[0])
        if origin is Annotated:
            return self._of_annotated(*arguments)
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in _UNIONS:
            return self._of_union(arguments)
        if origin in (list, Sequence):
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is tuple:
            return _tuple_schema([self.of(each) for each in arguments if each is not Ellipsis])
        if origin in (dict, Mapping):
            return _mapping_schema(self.of(arguments[1]))
        raise TypeError(f"{annotation!r} has no JSON Schema")

    def _of_annotated(self, annotation: Any, *notes: Any) -> Schema:
        schema = self.of(annotation)
        for note in notes:
            if isinstance(note, JsonSchema):
                schema |= note.keywords
        return schema

    def _of_union(self, members: tuple[Any, ...]) -> Schema:
        schemas: list[Schema] = []
        for member in members:
            if member is not type(None) and (schema := self.of(member)) not in schemas:
                schemas.append(schema)
        if {} in schemas:
            return {}
        return _nullable(_any_of(schemas)) if type(None) in members else _any_of(schemas)

    def _of_class(self, cls: Any) -> Schema:
        if not isinstance(cls, type):
            raise TypeError(f"{cls!r} has no JSON Schema")
        if issubclass(cls, enum.Enum):
            return {"enum": [member.value for member in cls]}
        if is_dataclass(cls):
            return self._of_dataclass(cls)
        name = cls.__name__
        if name not in self.definitions:
            # Reserved first, because a class may have members of its own type.
            self.definitions[name] = {}
            self.definitions[name] = self._of_structure(cls)
        return {"$ref": f"#/$defs/{name}"}

    def _of_dataclass(self, cls: type[Any]) -> Schema:
        hints = get_type_hints(cls, include_extras=True)
        members = {field.name: self.of(_on_the_wire(hints[field.name], field)) for field in fields(cls)}
        if issubclass(cls, LuaTable):
            return {"type": ["object", "array"], "properties": members, "maxItems": 0}
        schema = object_schema(members, [field.name for field in fields(cls) if field.default is MISSING])
        return schema if schema["required"] else {key: value for key, value in schema.items() if key != "required"}

    def _of_structure(self, cls: type) -> Schema:
        if is_typeddict(cls):
            hints = get_type_hints(cls, include_extras=True)
            required = [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]
            members = {name: self.of(hint) for name, hint in hints.items()}
            return {"description": _described(cls), **object_schema(members, required, closed=self._closed)}
        schema = self._structures(cls, self) if self._structures is not None else None
        if schema is None:
            raise TypeError(f"{cls!r} has no JSON Schema")
        return schema


def schema_of(annotation: Any, *, closed: bool = True) -> Schema:
    """Return a self-contained schema for a type made of `TypedDict`s and plain types."""
    return SchemaMaker(closed=closed).schema(annotation)


def object_schema(members: Mapping[str, Schema], required: Sequence[str], *, closed: bool = True) -> Schema:
    """Return the schema of an object with these members and, if `closed`, no others."""
    schema: Schema = {"type": "object", "properties": dict(members), "required": list(required)}
    return {**schema, "additionalProperties": False} if closed else schema


def _on_the_wire(annotation: Any, field: Field[Any]) -> Any:
    """Return the type of a member on the wire: one whose default is None is left out rather than null."""
    members = [each for each in get_args(annotation) if each is not type(None)]
    return members[0] if field.default is None and get_origin(annotation) in _UNIONS else annotation


def _any_of(schemas: list[Schema]) -> Schema:
    """Return a choice of schemas; a list of types where possible, which reads better and gives better errors."""
    if len(schemas) == 1:
        return schemas[0]
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _nullable(schema: Schema) -> Schema:
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    if "type" in schema:
        kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        return {**schema, "type": [*kinds, "null"]}
    return {"anyOf": [*schema.get("anyOf", [schema]), {"type": "null"}]}


def _tuple_schema(items: list[Schema]) -> Schema:
    if len(items) == 1:
        return {"type": "array", "items": items[0]}
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _mapping_schema(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values} if values else {"type": "object"}


def _described(cls: type) -> str:
    return " ".join((cls.__doc__ or "").split())
