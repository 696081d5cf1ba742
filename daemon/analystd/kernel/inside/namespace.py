"""Describe the user's variables within a fixed time: type, shape, size and a short preview."""

from __future__ import annotations

import inspect
import itertools
import math
import reprlib
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

from .deadline import TooSlowError, at_most
from .sizes import has, largest, memory_bytes

MAX_VARIABLES = 1000
MAX_PREVIEW_CHARACTERS = 200
MAX_NAME_CHARACTERS = 1000

_ALL_SECONDS = 1.0
_ONE_SECONDS = 0.1


def variables(namespace: dict[str, Any], hidden: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each variable of the user, sorted by name; `hidden` are the names that IPython defines."""
    missing = object()
    deadline = time.monotonic() + _ALL_SECONDS
    names = sorted(
        name
        for name, value in list(namespace.items())
        if isinstance(name, str)
        and not name.startswith("_")
        and value is not hidden.get(name, missing)
        and not isinstance(value, types.ModuleType)
    )
    return [row(name, namespace[name], deadline) for name in names[:MAX_VARIABLES]]


def largest_variables(namespace: dict[str, Any], hidden: dict[str, Any], limit: int) -> list[dict[str, Any]]:
    """Return rows for the variables that take the most memory, without previews: only the main thread can limit their time."""
    return [
        {
            "name": name[:MAX_NAME_CHARACTERS],
            "type": (kind := _type_name(type(value))),
            "shape": _plain_shape(value),
            "memory_bytes": size,
            "preview": f"<{kind}>",
        }
        for name, value, size in largest(namespace, hidden, limit)
    ]


def row(name: str, value: Any, deadline: float = math.inf) -> dict[str, Any]:
    """Return the description of one variable; after the `deadline`, only its type."""
    kind = _type_name(type(value))
    return {
        "name": name[:MAX_NAME_CHARACTERS],
        "type": kind,
        "shape": _guarded(_shape, value, deadline),
        "memory_bytes": _guarded(memory_bytes, value, deadline),
        "preview": _guarded(_preview, value, deadline) or f"<{kind}>",
    }


def _guarded(describe: Callable[[Any], Any], value: Any, deadline: float) -> Any:
    # Every object gets a row, even if its own methods raise or loop.
    if time.monotonic() > deadline:
        return None
    try:
        with at_most(_ONE_SECONDS):
            return describe(value)
    except (Exception, TooSlowError):
        return None


def _type_name(kind: type) -> str:
    # A class may set these attributes to anything.
    module = kind.__module__
    name = kind.__qualname__[:MAX_NAME_CHARACTERS]
    if not isinstance(module, str) or module in ("builtins", "__main__"):
        return name
    return f"{module.partition('.')[0][:MAX_NAME_CHARACTERS]}.{name}"


def _shape(value: Any) -> str | None:
    if isinstance(value, (list, tuple, dict, set, frozenset, str, bytes, bytearray)):
        return str(len(value))
    shape = getattr(value, "shape", None) if has(value, "shape") else None
    if isinstance(shape, tuple):
        return " × ".join(str(length) for length in shape) or "scalar"
    return None


def _plain_shape(value: Any) -> str | None:
    try:
        return None if type(value).__module__ == "__main__" else _shape(value)
    except Exception:
        return None


def _preview(value: Any) -> str:
    if isinstance(value, (types.FunctionType, type)):
        return _signature(value)
    if has(value, "columns") and has(value, "dtypes"):
        return "columns: " + _joined(str(column) for column in value.columns)
    if has(value, "iloc") and has(value, "dtype"):
        return f"{value.dtype}: " + _joined(_Short().repr(item) for item in value.iloc[:10].tolist())
    if has(value, "dtype") and has(value, "flat"):
        return f"{value.dtype}: " + _joined(str(item) for item in itertools.islice(value.flat, 10))
    return _one_line(_Short().repr(value))


def _signature(value: Any) -> str:
    if isinstance(value, type):
        return f"class {value.__qualname__}"
    return _one_line(f"{value.__qualname__}{inspect.signature(value)}")


def _joined(parts: Iterator[str]) -> str:
    shown = list(itertools.islice(parts, 20))
    return _one_line(", ".join(shown))


def _one_line(text: str) -> str:
    line = " ".join(text[: MAX_PREVIEW_CHARACTERS * 2].split())
    return line if len(line) <= MAX_PREVIEW_CHARACTERS else line[: MAX_PREVIEW_CHARACTERS - 1] + "…"


class _Short(reprlib.Repr):
    """Short representations of nested values, which visit only a few elements."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = MAX_PREVIEW_CHARACTERS
        self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = self.maxdeque = 8
        self.maxdict = self.maxarray = 6
