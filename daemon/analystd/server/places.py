"""Which folders and files a client means: its URIs, its workspace folder, and what it may look at."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from analystd.errors import WorkspaceError
from analystd.protocol_answers import Options
from analystd.schemas import schema_of
from analystd.tools.base import validate

OPTIONS = schema_of(Options, closed=False)


def path_of_uri(uri: str) -> Path | None:
    """The local path of a `file:` URI, or None for another kind, and for what can be no path."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    path = unquote(parts.path, errors="surrogateescape")
    return Path(path) if _can_be_path(path) else None


def options_of(params: types.InitializeParams) -> dict[str, Any]:
    """`initializationOptions`, as far as they say something.

    Raises:
        InvalidArgumentsError: when they say something that cannot be.
    """
    given = params.initialization_options if isinstance(params.initialization_options, dict) else {}
    # An empty table of Lua arrives as an empty list.
    options = {name: value for name, value in given.items() if value is not None and value != []}
    validate(OPTIONS, options)
    return options


def workspace_folder(params: types.InitializeParams) -> Path | None:
    """The jail that `initialize` asks for: the option `workspace`, else the folder of that name in the window's first folder.

    None with the option `desk: false`, for those who only want to ask or stop the daemon.

    Raises:
        WorkspaceError: when neither is there.
        InvalidArgumentsError: as `options_of`.
    """
    options = options_of(params)
    if options.get("desk") is False:
        return None
    root = _root(params)
    if "workspace" in options:
        if not _can_be_path(options["workspace"]):
            raise WorkspaceError(
                f"{options['workspace']!r} is the path of nothing", "Set `analystd.workspace` to a folder."
            )
        named = Path(options["workspace"]).expanduser()
        return named if named.is_absolute() else (root or Path.cwd()) / named
    if root is None:
        raise WorkspaceError("No folder is open", "Open a folder, or set `analystd.workspace`.")
    return root / "workspace"


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
