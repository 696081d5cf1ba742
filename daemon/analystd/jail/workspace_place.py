"""Which folder is the workspace: one rule for editors, the command line and scripts."""

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
    """Return where the workspace of somebody at `start` is or would be made; makes nothing.

    It is what was `named` for this very call or window; else `AGENT_WORKSPACE`, from the environment, the project's trusted `.env` or the
    user's settings; else `workspace` in the nearest folder from `start` upward that has one; else `workspace` in `start`. Whoever is in a
    workspace already means that one. What is relative starts at `start`.
    """
    start = Path(os.path.realpath(start))
    if not named:
        nearest = _nearest(start)
        named = load_settings(environment, nearest.parent).settings.workspace
    return start / Path(named).expanduser() if named else nearest


def find_workspace(start: Path, named: str | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the real path of the workspace that `workspace_place` tells; it is made if it is missing.

    Raises:
        WorkspaceError: when it cannot be made, or no folder may be a workspace there.
    """
    return made_workspace(workspace_place(start, named, environment))


def made_workspace(place: Path) -> Path:
    """Return the real path of a workspace; it is made if it is missing.

    Raises:
        WorkspaceError: when it cannot be made, or no folder may be a workspace there.
    """
    _require_ordinary(Path(os.path.realpath(place)))
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise WorkspaceError(f"The workspace {place} cannot be made: {exc.strerror}", _ELSEWHERE) from exc
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
    """Make sure that a folder may be a workspace at all.

    Raises:
        WorkspaceError: when the user's home or the system would be in it, or it is a place of the kernel's.
    """
    if Path(os.path.realpath(Path.home())).is_relative_to(real):
        raise WorkspaceError(f"The workspace cannot be {real}: your home would be in it", _ELSEWHERE)
    for path in map(Path, _OF_THE_KERNEL):
        if real.is_relative_to(path) and _SHARED_MEMORY not in map(str, real.parents):
            raise WorkspaceError(f"The workspace cannot be {real}: what lies in {path} are no files", _ELSEWHERE)
    if str(real) in _SHARED:
        raise WorkspaceError(f"The workspace cannot be {real}: all programs share that folder", _ELSEWHERE)
    for path in (Path(os.path.realpath(each)) for each in SYSTEM):
        if path.is_relative_to(real) or (real.is_relative_to(path) and str(path) != "/usr"):
            raise WorkspaceError(f"The workspace cannot be {real}: it belongs to the system", _ELSEWHERE)
