"""The declared shapes in the form that generators need: members in order, with types, defaults and docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from analystd.wire.commands import COMMANDS
from analystd.wire.events import Event, Snapshot
from analystd.wire.status import About
from analystd.wire.structured import Absent


@dataclass(frozen=True)
class ShapeMember:
    """A member of a shape. `annotation` is its type without notes on the member; `absent` is the value that readers assume when it is missing."""

    name: str
    annotation: Any
    is_required: bool
    absent: Any
    doc: str


@dataclass(frozen=True)
class Shape:
    """A `TypedDict`, or a dataclass of arguments; `name` is the class's own name."""

    name: str
    doc: str
    members: tuple[ShapeMember, ...]


def shape_of(cls: type[Any]) -> Shape:
    """Return the shape that a class declares."""
    hints = get_type_hints(cls, include_extras=True)
    members = _of_dataclass(cls, hints) if is_dataclass(cls) else _of_typed_dict(cls, hints)
    return Shape(cls.__name__, inspect.cleandoc(cls.__doc__ or ""), tuple(members))


def reached_from(*annotations: Any) -> list[type[Any]]:
    """Return all shapes that occur in types, recursively, sorted by module and then in the order of their declaration."""
    found: dict[type[Any], None] = {}
    todo = list(annotations)
    while todo:
        annotation = todo.pop()
        if is_shape(annotation):
            if annotation not in found:
                found[annotation] = None
                todo += [member.annotation for member in shape_of(annotation).members]
        else:
            todo += [each for each in get_args(annotation) if not isinstance(each, str)]
    return sorted(found, key=lambda cls: (cls.__module__, _sources(cls.__module__)[cls.__name__].lineno))


def sent_shapes() -> list[type[Any]]:
    """Return the shapes of everything that the daemon sends to clients."""
    return reached_from(*(command.result for command in COMMANDS), Event, Snapshot, About)


def is_shape(annotation: Any) -> bool:
    """Return whether a type is a declared shape."""
    return isinstance(annotation, type) and (is_typeddict(annotation) or is_dataclass(annotation))


def _of_typed_dict(cls: type[Any], hints: dict[str, Any]) -> Iterator[ShapeMember]:
    docs = _docs_of(cls)
    for name, hint in hints.items():
        is_required = get_origin(hint) is not NotRequired
        inner = hint if is_required else get_args(hint)[0]
        annotation, absent = _without_absent(inner)
        yield ShapeMember(name, annotation, is_required, absent, docs.get(name, ""))


def _of_dataclass(cls: type[Any], hints: dict[str, Any]) -> Iterator[ShapeMember]:
    docs = _docs_of(cls)
    for field in fields(cls):
        is_required = field.default is MISSING
        yield ShapeMember(field.name, hints[field.name], is_required, field.default, docs.get(field.name, ""))


def _without_absent(annotation: Any) -> tuple[Any, Any]:
    """Return a type, and the value that readers assume when a member of that type is missing; MISSING where none is declared."""
    if get_origin(annotation) is Annotated:
        inner, *notes = get_args(annotation)
        for note in notes:
            if isinstance(note, Absent):
                return inner, note.value
    return annotation, MISSING


def _docs_of(cls: type[Any]) -> dict[str, str]:
    """Return the docstrings of a class's members, by member name."""
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        name = ""
        for node in _sources(base.__module__)[base.__name__].body if base.__module__.startswith("analystd.") else ():
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                name = node.target.id
            elif name and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                docs[name] = str(node.value.value)
                name = ""
    return docs


@cache
def _sources(module: str) -> dict[str, ast.ClassDef]:
    """Return the syntax trees of a module's classes by name."""
    tree = ast.parse(inspect.getsource(importlib.import_module(module)))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
