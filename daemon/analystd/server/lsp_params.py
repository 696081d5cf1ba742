"""Validate the parameters of LSP's messages against LSP's own structures, and convert them to lsprotocol's objects.

lsprotocol is generated from LSP's meta model, so its classes say all that the model says: which members exist and which are required, their
types, and the allowed texts and ranges of numbers. Its converter checks less than that. The schemas that this module makes of the classes
check all of it, but accept what editors do send: members that LSP does not define, and null for optional members.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin

import attrs
from cattrs.errors import BaseValidationError
from jsonschema import Draft202012Validator
from lsprotocol import types, validators
from pygls.protocol import default_converter

from analystd.server.empty_tables import fitting
from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.schemas import Schema, SchemaMaker

_CONVERTER = default_converter()  # type: ignore[no-untyped-call]

_MISFITS = (BaseValidationError, KeyError, TypeError, ValueError)
"""The exceptions that the converter raises for invalid values."""

_LATER = (types.ClientCapabilities,)
"""Classes whose members are not validated, because a newer editor may send some that this version of LSP does not define."""

_RANGES: dict[Any, Schema] = {
    validators.integer_validator: {"minimum": validators.INTEGER_MIN_VALUE, "maximum": validators.INTEGER_MAX_VALUE},
    validators.uinteger_validator: {"minimum": validators.UINTEGER_MIN_VALUE, "maximum": validators.UINTEGER_MAX_VALUE},
}


def structured_params(method: str, params: Any) -> Any:
    """Return the parameters of a message as lsprotocol's object; None if the method has none.

    Raises:
        InvalidArgumentsError: when they do not match LSP's structures.
    """
    params_class: Any = types.METHOD_TO_TYPES[method][2]
    if params is None and (params_class is None or not _required(params_class)):
        params = {}
    params = fitting(_validator(params_class), params)
    if params_class is None:
        return None
    try:
        return _CONVERTER.structure(params, params_class)
    except _MISFITS as exc:
        if method == types.INITIALIZE:
            return _CONVERTER.structure({**params, "capabilities": _understood(params["capabilities"])}, params_class)
        raise InvalidArgumentsError(f"Invalid arguments: they are not the parameters of '{method}'") from exc


def lsp_schema(annotation: Any, *, strict: bool) -> Schema:
    """Return the JSON Schema of an LSP type; unless `strict`, one that also accepts what editors do send."""
    return SchemaMaker(lambda cls, maker: _class_schema(cls, maker, strict=strict)).schema(annotation)


def _understood(capabilities: dict[str, Any]) -> dict[str, Any]:
    """Return those sections of a client's capabilities that lsprotocol can convert; others are no reason to refuse an editor."""
    understood: dict[str, Any] = {}
    for name, section in capabilities.items():
        with contextlib.suppress(*_MISFITS):
            _CONVERTER.structure({name: section}, types.ClientCapabilities)
            understood[name] = section
    return understood


@lru_cache(maxsize=256)
def _validator(params_class: Any) -> Draft202012Validator:
    schema = {"type": ["object", "array"]} if params_class is None else lsp_schema(params_class, strict=False)
    return Draft202012Validator(schema)


def _required(params_class: Any) -> list[str]:
    schema = _validator(params_class).schema
    assert isinstance(schema, dict)
    required: list[str] = schema["$defs"][params_class.__name__]["required"]
    return required


def _class_schema(cls: Any, maker: SchemaMaker, *, strict: bool) -> Schema | None:
    if cls is types.LSPObject or (not strict and cls in _LATER):
        return {"type": "object"}
    if not attrs.has(cls):
        return None
    attrs.resolve_types(cls, vars(types))
    fields = attrs.fields(cls)
    return {
        "type": "object",
        "properties": {_wire_name(field.name): _field_schema(cls, field, maker, strict=strict) for field in fields},
        "required": [_wire_name(field.name) for field in fields if field.default is not None],
        **({"additionalProperties": False} if strict else {}),
    }


def _field_schema(cls: type, field: attrs.Attribute[Any], maker: SchemaMaker, *, strict: bool) -> Schema:
    if isinstance(field.default, str):
        # lsprotocol has the only value of a string literal in LSP as its default.
        return {"const": field.default}
    annotation = field.type
    if strict and field.default is None and not types.is_special_property(cls, field.name):
        annotation = _without_null(annotation)
    # An optional member's validator is wrapped in another.
    check: Any = getattr(field.validator, "validator", field.validator)
    return maker.of(annotation) | _RANGES.get(check, {})


def _without_null(annotation: Any) -> Any:
    """Return the type of an optional member without null: in LSP, most optional members may be missing but not null."""
    if get_origin(annotation) is Literal or type(None) not in get_args(annotation):
        return annotation
    rest = tuple(each for each in get_args(annotation) if each is not type(None))
    return rest[0] if len(rest) == 1 else _union(rest)


def _union(members: tuple[Any, ...]) -> Any:
    union = members[0]
    for member in members[1:]:
        union = union | member
    return union


def _wire_name(name: str) -> str:
    first, *rest = name.strip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)
