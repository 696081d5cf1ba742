"""The self-test of the walls: run behind them, it attempts what must not succeed, and prints what did.

`TABLE` has a row for each wall. As a program it needs the standard library only; the other half, which the daemon imports, says in words what
the answers mean. What the attempts are made on, `forbidden` lays out. A new wall is a row here, its attempt above, and its bait there.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

NO_WALLS = "Python can read, change and send whatever your own account can"

State = Literal["held", "not held", "gap"]

_PTRACE_SEIZE = 0x4206
_CLONE_NEWUSER = 0x10000000


class Wall(NamedTuple):
    """A row of the self-test."""

    title: str
    """What is attempted."""
    breach: str
    """What is said where the attempt succeeds."""
    attempt: Callable[[dict[str, Any]], None]
    """Raises OSError where it is refused."""
    is_required: bool = True
    """Whether a level at which the attempt succeeds counts as missing; else it is a gap, which is told."""


def states(passed: Mapping[str, bool]) -> dict[str, State]:
    """How each wall stands; an attempt that was not made counts as one that succeeded."""
    return {name: _state(wall, passed.get(name, True)) for name, wall in TABLE.items()}


def broken_walls(passed: Mapping[str, bool]) -> list[str]:
    """The required walls that did not hold, in words."""
    return [TABLE[name].breach for name, state in states(passed).items() if state == "not held"]


def gaps(passed: Mapping[str, bool]) -> tuple[str, ...]:
    """What the walls do not stop, in words."""
    return tuple(TABLE[name].breach for name, state in states(passed).items() if state == "gap")


def _state(wall: Wall, has_passed: bool) -> State:
    if not has_passed:
        return "held"
    return "not held" if wall.is_required else "gap"


def main() -> None:
    """Attempt everything and print a JSON object: attempt to whether it succeeded."""
    things = json.loads(sys.argv[1])
    json.dump({name: _succeeds(wall.attempt, things) for name, wall in TABLE.items()}, sys.stdout)


def _succeeds(attempt: Callable[[dict[str, Any]], None], things: dict[str, Any]) -> bool:
    try:
        attempt(things)
    except OSError:
        return False
    return True


def _read(things: dict[str, Any]) -> None:
    os.close(os.open(things["outside"] + "/secret", os.O_RDONLY))


def _list(things: dict[str, Any]) -> None:
    os.scandir(things["outside"]).close()


def _write(things: dict[str, Any]) -> None:
    os.close(os.open(things["outside"] + "/made", os.O_WRONLY | os.O_CREAT))


def _truncate(things: dict[str, Any]) -> None:
    os.truncate(things["outside"] + "/secret", 0)


def _network(things: dict[str, Any]) -> None:
    socket.create_connection(("127.0.0.1", things["port"]), timeout=2).close()


def _path_socket(things: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(things["path_socket"])


def _abstract_socket(things: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(things["abstract_socket"])


def _signal(things: dict[str, Any]) -> None:
    os.kill(things["pid"], 0)


def _limit(things: dict[str, Any]) -> None:
    limits = resource.prlimit(things["pid"], resource.RLIMIT_CORE)
    resource.prlimit(things["pid"], resource.RLIMIT_CORE, limits)


def _trace(things: dict[str, Any]) -> None:
    """Seizing, unlike attaching, does not stop a process if it should succeed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(_PTRACE_SEIZE, things["pid"], None, None) < 0:
        os.close(os.open(f"/proc/{things['pid']}/mem", os.O_RDONLY))


def _namespace(things: dict[str, Any]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER) < 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _metadata(things: dict[str, Any]) -> None:
    os.utime(things["outside"] + "/secret")


def _stat(things: dict[str, Any]) -> None:
    os.stat(things["outside"] + "/secret")  # noqa: PTH116


def _processes(things: dict[str, Any]) -> None:
    os.close(os.open(f"/proc/{things['pid']}/cmdline", os.O_RDONLY))


def _sealed(things: dict[str, Any]) -> None:
    """One success is enough: the last attempt is refused only if all are."""
    folder = things["sealed"]
    file = folder + "/file"
    for attempt in (_append_to, os.unlink):
        try:
            attempt(file)
        except OSError:
            continue
        return
    os.rename(folder, folder + "-moved")  # noqa: PTH104


def _append_to(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def _shared_memory(things: dict[str, Any]) -> None:
    os.close(os.open(things["shared_memory"], os.O_RDWR))


TABLE: dict[str, Wall] = {
    "read": Wall("reading files outside", "files outside can be read", _read),
    "list": Wall("listing folders outside", "folders outside can be listed", _list),
    "write": Wall("making files outside", "files can be made outside", _write),
    "truncate": Wall("emptying files outside", "files outside can be emptied", _truncate),
    "network": Wall("reaching the network", "the network can be reached", _network),
    "trace": Wall("reading and changing other processes", "other processes can be read and changed", _trace),
    "namespace": Wall("making new namespaces", "new namespaces can be made", _namespace),
    "path_socket": Wall(
        "connecting to path sockets outside",
        "path sockets outside can be connected to (of a desktop's services, of Docker, of an ssh agent)",
        _path_socket,
        is_required=False,
    ),
    "abstract_socket": Wall(
        "connecting to abstract sockets outside",
        "abstract sockets outside can be connected to",
        _abstract_socket,
        is_required=False,
    ),
    "signal": Wall("signalling other processes", "signals reach your other processes", _signal, is_required=False),
    "limit": Wall(
        "limiting other processes", "resource limits of your other processes can be changed", _limit, is_required=False
    ),
    "metadata": Wall(
        "changing permissions and times of files outside",
        "permissions and times of your files outside can be changed, though not what is in them",
        _metadata,
        is_required=False,
    ),
    "stat": Wall(
        "seeing that files outside exist",
        "it can be seen that a file outside exists, how large it is and when it was changed",
        _stat,
        is_required=False,
    ),
    "processes": Wall(
        "seeing other processes",
        "names and command lines of other processes can be seen",
        _processes,
        is_required=False,
    ),
    "sealed": Wall(
        "changing files in the workspace that tools outside trust",
        "files in the workspace that tools outside trust (a repository's configuration, an editor's settings) can be changed where they exist; "
        "new ones are moved aside when they are found",
        _sealed,
        is_required=False,
    ),
    "shared_memory": Wall(
        "changing shared memory of other programs",
        "shared memory of your other programs (/dev/shm) can be read and changed",
        _shared_memory,
        is_required=False,
    ),
}
"""What must be refused at every level, and what is told to the user where it is not refused."""

if __name__ == "__main__":
    main()
