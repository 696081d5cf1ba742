"""Which folders and files a client means: its URIs, its workspace folder, and what it may look at."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from lsprotocol import types

from analystd.errors import WorkspaceError


def path_of_uri(uri: str) -> Path | None:
    """The local path of a `file:` URI, or None for another kind."""
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        return None
    return Path(unquote(parts.path))


def workspace_folder(params: types.InitializeParams) -> Path:
    """The jail that `initialize` asks for: the option `workspace`, else the folder of that name in the window's first folder.

    Raises:
        WorkspaceError: when neither is there.
    """
    options = params.initialization_options
    if isinstance(options, dict) and isinstance(options.get("workspace"), str):
        named = Path(options["workspace"]).expanduser()
        if named.is_absolute():
            return named
        return (_root(params) or Path.cwd()) / named
    root = _root(params)
    if root is None:
        raise WorkspaceError("No folder is open", "Open a folder, or set `analystd.workspace`.")
    return root / "workspace"


def _root(params: types.InitializeParams) -> Path | None:
    for uri in [*(folder.uri for folder in params.workspace_folders or []), params.root_uri]:
        if uri and (path := path_of_uri(uri)):
            return path
    return Path(params.root_path) if params.root_path else None
