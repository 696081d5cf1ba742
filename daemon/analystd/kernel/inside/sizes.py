"""Estimate the memory of each variable without calling the user's code, possibly while that is running."""

from __future__ import annotations

import itertools
import sys
import threading
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

_SAMPLE = 64
_DEPTH = 3
_CONTAINERS = (list, tuple, set, frozenset, deque)
_CELL = "<cell "


def largest(namespace: dict[str, Any], hidden: dict[str, Any], limit: int) -> list[tuple[str, Any, int]]:
    """Return name, value and estimated bytes of the largest variables, in the session and in its main thread's active functions."""
    found: dict[int, tuple[str, Any, int]] = {}
    for name, value in (*_of_session(namespace, hidden), *_of_functions()):
        if isinstance(value, (types.ModuleType, types.FunctionType, type)):
            continue
        try:
            found.setdefault(id(value), (name, value, memory_bytes(value)))
        except Exception:
            # Running code may be changing it.
            continue
    return sorted(found.values(), key=lambda row: -row[2])[:limit]


def memory_bytes(value: Any, depth: int = _DEPTH) -> int:
    """Estimate the memory of `value` and its content; the content of long containers is extrapolated from a few elements."""
    kind = type(value)
    if kind is dict:
        return _with_content(
            sys.getsizeof(value), len(value), itertools.chain.from_iterable(_some_items(value)), 2, depth
        )
    if kind in _CONTAINERS:
        return _with_content(sys.getsizeof(value), len(value), _some(value), 1, depth)
    if kind.__module__ == "__main__":
        # Call no method of the user's classes: it might never return.
        attributes = _own_attributes(value)
        return object.__sizeof__(value) + (memory_bytes(attributes, depth) if attributes else 0)
    if has(value, "memory_usage"):
        total = value.memory_usage(index=True)
        return int(total.sum() if hasattr(total, "sum") else total)
    if has(value, "nbytes"):
        return int(value.nbytes)
    if has(value, "estimated_size"):
        return int(value.estimated_size())
    return sys.getsizeof(value)


def has(value: Any, name: str) -> bool:
    """Return whether the class of `value` has an attribute, without calling a `__getattr__` of the user."""
    return any(name in vars(kind) for kind in type(value).__mro__)


def _of_session(namespace: dict[str, Any], hidden: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    missing = object()
    for name, value in list(namespace.items()):
        if isinstance(name, str) and not name.startswith("_") and value is not hidden.get(name, missing):
            yield name, value


def _of_functions() -> Iterator[tuple[str, Any]]:
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_CELL) and code.co_name != "<module>":
            for name, value in list(frame.f_locals.items()):
                yield f"{name} in {code.co_name}()", value
        frame = frame.f_back


def _with_content(own: int, length: int, sample: Iterable[Any], each: int, depth: int) -> int:
    if depth == 0:
        return own
    elements = list(sample)
    distinct = {id(element): element for element in elements}
    content = sum(memory_bytes(element, depth - 1) for element in distinct.values())
    if len(distinct) < len(elements):
        # The same element, however often it is contained, takes its memory once.
        return own + content
    return own + content * length * each // max(1, len(elements))


def _some(container: Any) -> list[Any]:
    if isinstance(container, (list, tuple)):
        return list(container[:: max(1, len(container) // _SAMPLE)][:_SAMPLE])
    return list(itertools.islice(container, _SAMPLE))


def _some_items(mapping: dict[Any, Any]) -> list[tuple[Any, Any]]:
    return list(itertools.islice(mapping.items(), _SAMPLE))


def _own_attributes(value: Any) -> dict[str, Any] | None:
    try:
        attributes = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return attributes if type(attributes) is dict else None
