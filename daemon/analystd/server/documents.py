"""Files that an editor opens by `uri`: only those in the window's folders or the workspace, also when links are followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from analystd.jail.openat2 import open_beneath
from analystd.jail.workspace import Workspace, not_a_file, retried
from analystd.server.uris import path_of_uri
from analystd.wire.errors import WorkspaceError

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY


def open_document(uri: str, folders: Iterable[Path], workspace: Workspace) -> tuple[Path, int]:
    """Return the real path of a file that a window may show, and a descriptor open for reading, which the caller closes.

    Code in a session can replace a file or folder with a link at any moment. So links are resolved first, the resulting path is checked
    against the window's folders, and that path is opened without following links.

    Raises:
        WorkspaceError: when the path is not a file, is protected, or lies outside the window's folders and the workspace.
    """
    path = path_of_uri(uri)
    if path is None:
        raise WorkspaceError(f"Not a file: {uri}", "Only file: URIs can be viewed.")
    homes = [workspace.root, *_real_folders(folders, workspace.root)]

    def attempt() -> tuple[Path, int]:
        real = Path(os.path.realpath(path))
        around = [home for home in homes if real.is_relative_to(home)]
        if not around:
            raise WorkspaceError(
                f"{path} is outside this window's folders",
                "Open its folder in the editor, or copy it into the workspace.",
            )
        workspace.refuse_protected(str(real.relative_to(max(around, key=lambda home: len(home.parts)))))
        return real, _open(real)

    real, descriptor = retried(path, attempt)
    mode = os.fstat(descriptor).st_mode
    problem = _folder_error(path) if stat.S_ISDIR(mode) else not_a_file(mode, path)
    if problem is not None:
        os.close(descriptor)
        raise problem
    return real, descriptor


def _real_folders(folders: Iterable[Path], root: Path) -> Iterable[Path]:
    """Yield the window's folders with links resolved, except those inside the workspace, which a session could have replaced with links."""
    for folder in folders:
        if not any(Path(os.path.realpath(parent)).is_relative_to(root) for parent in folder.parents):
            yield Path(os.path.realpath(folder))


def _open(real: Path) -> int:
    top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return open_beneath(top, str(real.relative_to("/")), _FLAGS)
    finally:
        os.close(top)


def _folder_error(path: Path) -> WorkspaceError:
    hint = "A folder of Parquet files can be viewed by its `path` in the workspace."
    return WorkspaceError(f"{path} is a folder, no file", hint)
