"""Tools whose schemas name what there is: a model that is held to them copies the names of files and columns, and misspells none.

Only in places where a new name would be a mistake: what is to be read has to be there, what is written need not be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analystd.engine.base import ToolSpec

MOST_NAMES = 200
MOST_CHARACTERS = 6000
"""Of all names together: a server is sent them with each request."""

_FILES = {"data_view": ("path",), "read_file": ("path",)}
_COLUMNS = {"data_view": ("columns",)}


@dataclass(frozen=True)
class Names:
    """The names that are there; None where they are not all known."""

    files: tuple[str, ...] | None = None
    folders: tuple[str, ...] = ()
    """Those that can be viewed as one table."""
    columns: tuple[str, ...] | None = None


def narrowed(tool: ToolSpec, names: Names) -> ToolSpec:
    """The tool with its schema held to known names. What fits the narrowed schema fits the tool's own."""
    files = _usable(names.files)
    if files is not None and tool.name == "data_view":
        files = _usable((*files, *names.folders))
    columns = _usable(names.columns)
    properties: dict[str, Any] = dict(tool.parameters.get("properties", {}))
    for name in _FILES.get(tool.name, ()):
        if files is not None and name in properties:
            properties[name] = _one_of(properties[name], files)
    for name in _COLUMNS.get(tool.name, ()):
        if columns is not None and name in properties:
            properties[name] = {**properties[name], "items": _one_of(properties[name].get("items", {}), columns)}
    return replace(tool, parameters={**tool.parameters, "properties": properties})


def _one_of(schema: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {**schema, "enum": list(names)}


def _usable(names: Sequence[str] | None) -> list[str] | None:
    """The names without duplicates; None if they are none, or more than are worth telling, or not all of them text."""
    unique = list(dict.fromkeys(names or ()))
    if not unique or len(unique) > MOST_NAMES or sum(map(len, unique)) > MOST_CHARACTERS:
        return None
    return unique if all(map(_is_text, unique)) else None


def _is_text(name: str) -> bool:
    """Whether a name is whole characters: half a surrogate pair can stand in no grammar and on no wire."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
