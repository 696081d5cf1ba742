"""Restrict the schemas of tools to existing names, so that a model that must follow them cannot misspell files and columns.

Only parameters for which a new name would be an error are restricted: what is read must exist, what is written need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from analystd.engine.base import ToolSpec

MOST_NAMES = 200
MOST_CHARACTERS = 6000
"""Maximum length of all names together: each request to a model server contains them."""

_FILES = {"data_view": ("path",), "read_file": ("path",)}
_COLUMNS = {"data_view": ("columns",)}


@dataclass(frozen=True)
class Names:
    """The existing names; None where not all of them are known."""

    files: tuple[str, ...] | None = None
    folders: tuple[str, ...] = ()
    """Folders that can be viewed as one table."""
    columns: tuple[str, ...] | None = None


def narrowed(tool: ToolSpec, names: Names) -> ToolSpec:
    """Return the tool with its schema restricted to known names. Arguments that match it also match the tool's own schema."""
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
    """Return the names without duplicates; None if there are none, too many, or any that are not valid text."""
    unique = list(dict.fromkeys(names or ()))
    if not unique or len(unique) > MOST_NAMES or sum(map(len, unique)) > MOST_CHARACTERS:
        return None
    return unique if all(map(_is_text, unique)) else None


def _is_text(name: str) -> bool:
    """Return whether a name consists of whole characters: half a surrogate pair cannot occur in a grammar or on the wire."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
