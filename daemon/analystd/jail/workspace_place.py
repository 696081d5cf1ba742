"""Determine the workspace folder: one rule for editors, the command line and scripts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from analystd.config.settings import load_settings
from analystd.jail.allowed_paths import SYSTEM
from analystd.wire.errors import WorkspaceError

NAME = "workspace"

_ELSEWHERE = "Choose a folder of its own, with --workspace or AGENT_WORKSPACE (`analystd.workspace` in an editor)."
_OF_THE_KERNEL = ("/proc", "/sys", "/dev")
_SHARED = ("/tmp", "/var/tmp", "/dev/shm", "/run", "/var/run")
_SHARED_MEMORY = "/dev/shm"


def workspace_place(start: Path, named: str | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return where the workspace for the folder `start` is or would be created, without creating it.

    It is the one `named` for this call or window; else `AGENT_WORKSPACE` from the environment, the project's trusted `.env` or the user's
    settings; else `workspace` in the nearest folder from `start` upward that has one; else `workspace` in `start`. If `start` is inside a
    folder called `workspace`, that folder is the workspace. Relative paths start at `start`.
    """
    start = Path(os.path.realpath(start))
    if not named:
        nearest = _nearest(start)
        named = load_settings(environment, nearest.parent).settings.workspace
    return start / Path(named).expanduser() if named else nearest


def find_workspace(start: Path, named: str | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the real path of the workspace that `workspace_place` determines; create it if it is missing.

    Raises:
        WorkspaceError: when it cannot be created, or that folder may not be a workspace.
    """
    return made_workspace(workspace_place(start, named, environment))


def made_workspace(place: Path) -> Path:
    """Return the real path of a workspace; create it if it is missing.

    Raises:
        WorkspaceError: when it cannot be created, or that folder may not be a workspace.
    """
    _require_ordinary(Path(os.path.realpath(place)))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise WorkspaceError(f"The workspace {place} cannot be created: {exc.strerror}", _ELSEWHERE) from exc
    real = Path(os.path.realpath(place))
    _require_ordinary(real)
    return real


def _nearest(start: Path) -> Path:
    for folder in (start, *start.parents):
        if folder.name == NAME:
            return folder
        if os.path.isdir(folder / NAME):  # noqa: PTH112 (a folder that may not be entered has none)
            return folder / NAME
    return start / NAME


def _require_ordinary(real: Path) -> None:
    """Make sure that a folder may be a workspace.

    Raises:
        WorkspaceError: when it contains the user's home or the system, is shared by all programs, or belongs to the system or the kernel.
    """
    if Path(os.path.realpath(Path.home())).is_relative_to(real):
        raise WorkspaceError(f"The workspace cannot be {real}: it contains your home folder", _ELSEWHERE)
    for path in map(Path, _OF_THE_KERNEL):
        if real.is_relative_to(path) and _SHARED_MEMORY not in map(str, real.parents):
            raise WorkspaceError(f"The workspace cannot be {real}: {path} does not contain regular files", _ELSEWHERE)
    if str(real) in _SHARED:
        raise WorkspaceError(f"The workspace cannot be {real}: all programs share that folder", _ELSEWHERE)
    for path in (Path(os.path.realpath(each)) for each in SYSTEM):
        if path.is_relative_to(real) or (real.is_relative_to(path) and str(path) != "/usr"):
            raise WorkspaceError(f"The workspace cannot be {real}: it belongs to the system", _ELSEWHERE)
