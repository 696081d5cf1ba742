"""A control group for each session, where this user may create one: it limits memory and tasks between two checks of the watchdog.

In version 1, a group that has processes may contain other groups. In version 2 it may not: the new group is then a sibling of the daemon's own
group, if the manager of their parent has delegated it with its controllers (as systemd does to its users).
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from analystd.jail.cgroups import ControlGroup, Controller, own_groups

logger = logging.getLogger(__name__)

_PREFIX = "analystd-"
_LIMIT_FILES = {
    ("memory", 2): "memory.max",
    ("memory", 1): "memory.limit_in_bytes",
    ("pids", 2): "pids.max",
    ("pids", 1): "pids.max",
}
_OLD_SECONDS = 60.0
_TRIES = 20
_AGAIN_SECONDS = 0.05


class OwnGroup:
    """The control groups created for a process and its descendants; none where the system refuses them."""

    def __init__(self, folders: dict[Controller, Path]) -> None:
        self.folders = folders

    @classmethod
    def around(cls, pid: int, *, memory_bytes: int, tasks: int) -> OwnGroup:
        """Put a process, before it starts others, into new groups with these limits, as far as the system permits."""
        limits: dict[Controller, int] = {"memory": memory_bytes, "pids": tasks}
        folders: dict[Controller, Path] = {}
        name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(3)}"
        for controller, limit in limits.items():
            for group in own_groups(controller):
                if controller not in folders and (folder := _made(group, controller, name, limit, pid)) is not None:
                    folders[controller] = folder
        return cls(folders)

    def remove(self) -> None:
        """Remove the groups, once their processes have ended. Harmless when repeated; blocks for at most a second."""
        for controller, folder in list(self.folders.items()):
            for _ in range(_TRIES):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    pass
                except OSError:
                    time.sleep(_AGAIN_SECONDS)
                    continue
                del self.folders[controller]
                break


def _made(group: ControlGroup, controller: Controller, name: str, limit: int, pid: int) -> Path | None:
    """Create a group with a limit and put the process in it; return None where that is refused."""
    for parent in _parents(group, controller):
        folder = parent / name
        try:
            _remove_old(parent)
            folder.mkdir(exist_ok=True)
            (folder / _LIMIT_FILES[controller, group.version]).write_text(str(limit))
            (folder / "cgroup.procs").write_text(str(pid))
        except OSError as exc:
            logger.debug("Could not create a control group in %s: %s", parent, exc)
            with contextlib.suppress(OSError):
                folder.rmdir()
        else:
            return folder
    return None


def _parents(group: ControlGroup, controller: Controller) -> Iterator[Path]:
    """Yield the folders in which a group with this controller may be created."""
    if group.version == 1:
        yield group.folder
        return
    for folder in (group.folder, group.folder.parent):
        with contextlib.suppress(OSError):
            if (
                folder.is_relative_to(group.top)
                and controller in (folder / "cgroup.subtree_control").read_text().split()
            ):
                yield folder


def _remove_old(parent: Path) -> None:
    """Remove groups left by daemons that were killed; the kernel refuses to remove groups that still have processes."""
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _OLD_SECONDS:
                left.rmdir()
