"""Describe a name in the user's code without running its code: signature and docstring, or a value's type and preview."""

from __future__ import annotations

import builtins
import inspect
import types
from typing import Any

from . import namespace
from .output_limits import bounded_text

MAX_CHARACTERS = 8_000

_BINDING = (
    types.FunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    classmethod,
    staticmethod,
)
_DOCUMENTED = (
    *_BINDING,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodWrapperType,
    types.ModuleType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    property,
    type,
)


def text(name: str, names: dict[str, Any]) -> str | None:
    """Return the description of a dotted name; None when it is unknown."""
    try:
        value = _find(name, names)
    except (AttributeError, LookupError):
        return None
    if isinstance(value, _DOCUMENTED) or _has_own_signature(value):
        parts = [_headline(name, value), inspect.getdoc(value) or ""]
    else:
        row = namespace.row(name, value)
        parts = [": ".join([name, " ".join(filter(None, (row["type"], row["shape"])))]), row["preview"]]
    return bounded_text("\n\n".join(part for part in parts if part), MAX_CHARACTERS)


def _find(name: str, names: dict[str, Any]) -> Any:
    first, *rest = name.split(".")
    value = names[first] if first in names else vars(builtins)[first]
    for part in rest:
        value = _attribute(value, part)
    return value


def _attribute(owner: Any, name: str) -> Any:
    """Return an attribute without calling a property or `__getattr__`, which could run any code."""
    static = inspect.getattr_static(owner, name)
    if isinstance(owner, types.ModuleType) or not isinstance(static, _BINDING):
        return static
    if isinstance(owner, type):
        return static.__get__(None, owner)
    return static.__get__(owner, type(owner))


def _has_own_signature(value: Any) -> bool:
    """Whether a value is a library's callable other than a function, such as numpy's `ufunc`; the user's callables are values."""
    kind = type(value)
    return kind.__module__ != "__main__" and callable(value) and hasattr(value, "__name__")


def _headline(name: str, value: Any) -> str:
    last = name.rpartition(".")[2]
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    if not callable(value):
        return name
    prefix = "class " if isinstance(value, type) else ""
    try:
        return f"{prefix}{last}{inspect.signature(value)}"
    except (TypeError, ValueError):
        return f"{prefix}{last}(…)"
