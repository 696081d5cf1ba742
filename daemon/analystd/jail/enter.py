"""The launcher: locks itself in, then becomes the program that it was given.

    python -I -S enter.py '{"level": "partial", "workspace": …, "runtime": …, "read": […], "devices": […]}' program argument…

It runs before anything heavy is imported, because walls hold for the threads that are there and for those that they start: the threads of
a library that was loaded earlier would stay outside. So it needs the standard library only, and little of that.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120

from analystd.jail import landlock, seccomp

CHANNEL_VARIABLES = ("ANALYSTD_CHANNEL_FD", "ANALYSTD_DESCRIPTORS_FD")
"""The variables of `analystd.workers` that name the descriptors which stay open."""

WALL_ERROR = 71
"""Exit status when a wall could not be put up; 127 when the program could not be started, as a shell has it."""

_PARENT_DEATH_SIGNAL = 1
_SHARED_MEMORY = "/dev/shm"

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """Put up the walls that the first argument tells, and run the others."""
    walls, argv = json.loads(sys.argv[1]), sys.argv[2:]
    try:
        _prepare()
        os.chdir(walls["workspace"])
        lock_in(walls)
    except OSError as exc:
        _give_up(WALL_ERROR, f"the walls could not be put up: {exc}")
    try:
        os.execvp(argv[0], argv)
    except OSError as exc:
        _give_up(127, f"{argv[0]} could not be started: {exc.strerror}")


def lock_in(walls: dict[str, Any]) -> None:
    """Confine this process: files by Landlock, system calls by seccomp.

    Raises:
        OSError: when a wall cannot be had.
    """
    isolated = walls["level"] == "full"
    version = landlock.restrict(_rules(walls), tcp=isolated)
    program = seccomp.build_filter(
        seccomp.own_architecture(), isolated=isolated, truncate=version >= landlock.TRUNCATE_ABI
    )
    seccomp.install(program)


def _rules(walls: dict[str, Any]) -> list[tuple[str, int]]:
    writable = (walls["workspace"], walls["runtime"], _SHARED_MEMORY)
    return [
        *((path, landlock.WRITE) for path in writable),
        *((path, landlock.DEVICE) for path in walls["devices"]),
        *((path, landlock.READ) for path in (*walls["read"], "/proc")),
    ]


def _prepare() -> None:
    """Die with the parent, leave no core dump, and drop what was inherited but is not meant."""
    parent = os.getppid()
    _libc.prctl(_PARENT_DEATH_SIGNAL, *map(ctypes.c_ulong, (signal.SIGKILL, 0, 0, 0)))
    if os.getppid() != parent:
        os._exit(WALL_ERROR)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    close_inherited()


def close_inherited() -> None:
    """Close all descriptors but the standard streams and the worker's channel."""
    kept = sorted({0, 1, 2, *(int(os.environ[name]) for name in CHANNEL_VARIABLES if name in os.environ)})
    for here, following in zip(kept, [*kept[1:], None], strict=True):
        os.closerange(here + 1, following if following is not None else os.sysconf("SC_OPEN_MAX"))


def _give_up(status: int, message: str) -> NoReturn:
    os.write(2, f"analystd: {message}\n".encode("utf-8", "replace"))
    os._exit(status)


if __name__ == "__main__":
    main()
