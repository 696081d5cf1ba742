"""Find the folders and files that a client means, by its URIs, its options and its open folders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from analystd.config.settings import load_settings
from analystd.jail.workspace_place import workspace_place
from analystd.tools.base import validate
from analystd.wire.errors import WorkspaceError
from analystd.wire.schemas import schema_of
from analystd.wire.status import Options

OPTIONS = schema_of(Options, closed=False)


def path_of_uri(uri: str) -> Path | None:
    """Return the local path of a `file:` URI; None for another kind of URI, or if it cannot be a path."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = unquote(parts.path, errors="surrogateescape")
    return Path(path) if _can_be_path(path) else None


def options_of(params: types.InitializeParams) -> dict[str, Any]:
    """Return `initializationOptions` without those that are empty.

    Raises:
        InvalidArgumentsError: when the options are invalid.
    """
    given = params.initialization_options if isinstance(params.initialization_options, dict) else {}
    # An empty table of Lua arrives as an empty list.
    options = {name: value for name, value in given.items() if value is not None and value != []}
    validate(OPTIONS, options)
    return options


@dataclass(frozen=True)
class Wish:
    """Where a client wants to work, as far as `initialize` says."""

    start: Path | None
    """The window's first folder; None if no folder is open."""
    named: str | None
    """The option `workspace`."""

    def place(self, environment: Mapping[str, str], later: Path | None = None) -> Path | None:
        """Return the workspace, found as the command line finds it; None if nothing determines it yet.

        If no folder is open, it is found from `later`, the folder of the file that is worked on. Until that is known, only an absolute path in
        the option `workspace` or in `AGENT_WORKSPACE` determines it.
        """
        start = self.start or later
        if start is not None:
            return workspace_place(start, self.named, environment)
        named = self.named or load_settings(environment).settings.workspace
        return Path(named).expanduser() if named and Path(named).expanduser().is_absolute() else None


def wish_of(params: types.InitializeParams) -> Wish | None:
    """Return where a client wants to work; None with the option `desk: false`, for clients that only query or stop the daemon.

    Raises:
        WorkspaceError: when what it names cannot be a folder.
        InvalidArgumentsError: as in `options_of`.
    """
    options = options_of(params)
    if options.get("desk") is False:
        return None
    named = options.get("workspace")
    if named is not None and not _can_be_path(named):
        raise WorkspaceError(f"{named!r} is the path of nothing", "Set `analystd.workspace` to a folder.")
    start = _root(params)
    if start is None and named is None and (params.workspace_folders or params.root_uri or params.root_path):
        raise WorkspaceError("What is open is no folder of this machine", "Open one, or set `analystd.workspace`.")
    return Wish(start, named)


def file_named(arguments: Mapping[str, Any]) -> Path | None:
    """Return the file that a command is about, if the command names one by its URI."""
    context = arguments.get("context")
    for uri in (arguments.get("uri"), context.get("uri") if isinstance(context, Mapping) else None):
        if isinstance(uri, str) and (path := path_of_uri(uri)) is not None:
            return path
    return None


def _can_be_path(text: str) -> bool:
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _root(params: types.InitializeParams) -> Path | None:
    for uri in [*(folder.uri for folder in params.workspace_folders or []), params.root_uri]:
        if uri and (path := path_of_uri(uri)):
            return path
    return Path(params.root_path) if params.root_path and _can_be_path(params.root_path) else None
