"""A control group of a session's own, where this user may have one: a wall for memory and tasks that holds between two looks of the watchdog.

Version 1 lets groups be made in one that has processes. Version 2 does not: there the new group lies beside the daemon's own, if whoever
manages the one around both has handed it over (systemd does to its users) with the controllers.
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
    """The groups that were made for a process and all that it starts; nothing, where none could be had."""

    def __init__(self, folders: dict[Controller, Path]) -> None:
        self.folders = folders

    @classmethod
    def around(cls, pid: int, *, memory_bytes: int, tasks: int) -> OwnGroup:
        """Put a process, before it has started others, into groups of its own with those limits, as far as that is possible."""
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
    """A new group with a limit and a process in it; None where that is refused."""
    for parent in _parents(group, controller):
        folder = parent / name
        try:
            _remove_old(parent)
            folder.mkdir(exist_ok=True)
            (folder / _LIMIT_FILES[controller, group.version]).write_text(str(limit))
            (folder / "cgroup.procs").write_text(str(pid))
        except OSError as exc:
            logger.debug("No control group of our own in %s: %s", parent, exc)
            with contextlib.suppress(OSError):
                folder.rmdir()
        else:
            return folder
    return None


def _parents(group: ControlGroup, controller: Controller) -> Iterator[Path]:
    """Where a group may be made whose processes the controller limits."""
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
    """Remove what daemons that were killed have left: the system refuses to where there is a process."""
    for left in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _OLD_SECONDS:
                left.rmdir()
