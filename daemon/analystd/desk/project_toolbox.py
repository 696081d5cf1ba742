"""The functions of a project's own `toolbox.py`, which the agent offers to the model only while the user trusts the file's content."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analystd.agent.function_hints import Function, functions_in
from analystd.config.trust import is_trusted
from analystd.jail.workspace import Workspace
from analystd.wire.errors import WorkspaceError

NAME = "toolbox.py"
MOST_BYTES = 64 * 1024


@dataclass(frozen=True)
class OwnFunctions:
    """The names that `import toolbox` provides in a session in addition to, or instead of, those that analystd provides."""

    offered: Sequence[Function] = ()
    """The functions that the model may see."""
    defined: frozenset[str] = frozenset()
    """The names that differ from those in the toolbox that analystd provides."""


class ProjectToolbox:
    """The file of one workspace, read anew for each question."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._said: set[str] = set()

    async def functions(self) -> OwnFunctions:
        """Return the trusted functions, and all names that the file defines."""
        content = await asyncio.to_thread(self._content)
        if content is None:
            return OwnFunctions()
        source = content.decode("utf-8", "replace")
        trusted = await asyncio.to_thread(is_trusted, self._path, content)
        return OwnFunctions(functions_in(source) if trusted else (), _defined(source))

    async def notice(self) -> str | None:
        """Return a notice about a file that exists but is not trusted, once for each content."""
        content = await asyncio.to_thread(self._content)
        if content is None or await asyncio.to_thread(is_trusted, self._path, content):
            return None
        digest = hashlib.sha256(content).hexdigest()
        if digest in self._said:
            return None
        self._said.add(digest)
        folder = self._workspace.root.parent
        return (
            f"The agent is not told of the functions in {self._path.name!r} in the workspace; `analystd trust "
            f"{folder if str(folder).isprintable() else repr(str(folder))}` has it told of them, as the file is then"
        )

    @property
    def _path(self) -> Path:
        return self._workspace.root / NAME

    def _content(self) -> bytes | None:
        """Return the content of the file; None if there is none, or it is too large or not a regular file of the workspace."""
        try:
            with os.fdopen(self._workspace.open_read(NAME), "rb") as file:
                content = file.read(MOST_BYTES + 1)
        except (WorkspaceError, OSError):
            return None
        return content if len(content) <= MOST_BYTES else None


def _defined(source: str) -> frozenset[str]:
    """Return the names that a source visibly binds at its top level."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names = set[str]()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update(each.asname or each.name.partition(".")[0] for each in node.names)
        else:
            names.update(
                each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            )
    return frozenset(names)
