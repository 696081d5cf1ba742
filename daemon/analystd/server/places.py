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


def workspace_folder(params: types.InitializeParams) -> Path | None:
    """The jail that `initialize` asks for: the option `workspace`, else the folder of that name in the window's first folder.

    None with the option `desk: false`, for those who only want to ask or stop the daemon.

    Raises:
        WorkspaceError: when neither is there.
    """
    options = params.initialization_options if isinstance(params.initialization_options, dict) else {}
    if options.get("desk") is False:
        return None
    root = _root(params)
    if isinstance(options.get("workspace"), str):
        named = Path(options["workspace"]).expanduser()
        return named if named.is_absolute() else (root or Path.cwd()) / named
    if root is None:
        raise WorkspaceError("No folder is open", "Open a folder, or set `analystd.workspace`.")
    return root / "workspace"


def _root(params: types.InitializeParams) -> Path | None:
    for uri in [*(folder.uri for folder in params.workspace_folders or []), params.root_uri]:
        if uri and (path := path_of_uri(uri)):
            return path
    return Path(params.root_path) if params.root_path else None
