"""Self-test of the sandbox: run inside it, attempt what must fail, and print what succeeded.

`TABLE` has a row for each wall, that is, for each kind of access that the sandbox must refuse. As a program the module needs the standard
library only; the daemon imports the other half, which describes the outcomes. `forbidden` sets up the targets of the attempts. To add a wall,
add a row here, its attempt above, and its target there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import stat
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

NO_WALLS = "Python can read, change and send whatever your own account can"

State = Literal["held", "not held", "gap"]

_PTRACE_SEIZE = 0x4206
_SET_IDS = stat.S_ISUID | stat.S_ISGID
_CLONE_NEWUSER = 0x10000000


class Wall(NamedTuple):
    """A kind of access that the sandbox should refuse: a row of the self-test."""

    title: str
    """The attempted access."""
    breach: str
    """The description if the attempt succeeds."""
    attempt: Callable[[dict[str, Any]], None]
    """Raises OSError if the access is refused."""
    is_required: bool = True
    """Whether a level is unavailable when the attempt succeeds; otherwise the success is reported as a gap."""


def states(passed: Mapping[str, bool]) -> dict[str, State]:
    """Return the state of each wall; an attempt that was not made counts as successful."""
    return {name: _state(wall, passed.get(name, True)) for name, wall in TABLE.items()}


def broken_walls(passed: Mapping[str, bool]) -> list[str]:
    """Describe the required walls that did not hold."""
    return [TABLE[name].breach for name, state in states(passed).items() if state == "not held"]


def gaps(passed: Mapping[str, bool]) -> tuple[str, ...]:
    """Describe what the sandbox does not prevent."""
    return tuple(TABLE[name].breach for name, state in states(passed).items() if state == "gap")


def _state(wall: Wall, has_passed: bool) -> State:
    if not has_passed:
        return "held"
    return "not held" if wall.is_required else "gap"


def main() -> None:
    """Make every attempt and print a JSON object: for each, whether it succeeded."""
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


def _beside(things: dict[str, Any]) -> None:
    """Read a neighbour of the only readable file in a folder; in a mount namespace the folder contains only that file."""
    try:
        if "secret" in os.listdir(things["beside"]):  # noqa: PTH208
            return
    except OSError:
        pass
    os.close(os.open(things["beside"] + "/secret", os.O_RDONLY))


def _write(things: dict[str, Any]) -> None:
    os.close(os.open(things["outside"] + "/made", os.O_WRONLY | os.O_CREAT))


def _truncate(things: dict[str, Any]) -> None:
    os.truncate(things["outside"] + "/secret", 0)


def _network(things: dict[str, Any]) -> None:
    socket.create_connection(("127.0.0.1", things["port"]), timeout=2).close()


def _path_socket(things: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(things["path_socket"])


def _readable_socket(things: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(things["readable_socket"])


def _fifo(things: dict[str, Any]) -> None:
    os.close(os.open(things["fifo"], os.O_WRONLY | os.O_NONBLOCK))


def _settings(things: dict[str, Any]) -> None:
    os.close(os.open(things["readable"] + "/settings/secret", os.O_RDONLY))


def _abstract_socket(things: dict[str, Any]) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(things["abstract_socket"])


def _signal(things: dict[str, Any]) -> None:
    os.kill(things["pid"], 0)


def _limit(things: dict[str, Any]) -> None:
    limits = resource.prlimit(things["pid"], resource.RLIMIT_CORE)
    resource.prlimit(things["pid"], resource.RLIMIT_CORE, limits)


def _trace(things: dict[str, Any]) -> None:
    """Seize rather than attach: seizing does not stop the process if it should succeed."""
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


def _set_user_id(things: dict[str, Any]) -> None:
    """Try all ways to create a file that runs with its owner's rights; the current folder is the workspace."""
    made = os.open("program", os.O_CREAT | os.O_WRONLY, 0o600)
    ways: tuple[Callable[[], None], ...] = (
        lambda: os.fchmod(made, _SET_IDS | 0o700),
        lambda: os.chmod("program", _SET_IDS | 0o700),  # noqa: PTH101
        lambda: os.chmod("program", _SET_IDS | 0o700, dir_fd=os.open(".", os.O_RDONLY)),
        lambda: os.close(os.open("opened", os.O_CREAT | os.O_WRONLY, _SET_IDS | 0o700)),
        lambda: os.mknod("node", stat.S_IFREG | _SET_IDS | 0o700),
        lambda: os.mkdir("folder", _SET_IDS | 0o700),  # noqa: PTH102
    )
    for way in ways:
        with contextlib.suppress(OSError):
            way()
            return
    raise PermissionError


def _sealed(things: dict[str, Any]) -> None:
    """Try to change, remove and rename sealed files: one success is enough to count as a breach."""
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
    "beside": Wall("reading what lies beside a model's file", "what lies beside a model's file can be read", _beside),
    "write": Wall("making files outside", "files can be made outside", _write),
    "truncate": Wall("emptying files outside", "files outside can be emptied", _truncate),
    "network": Wall("reaching the network", "the network can be reached", _network),
    "trace": Wall("reading and changing other processes", "other processes can be read and changed", _trace),
    "namespace": Wall("making new namespaces", "new namespaces can be made", _namespace),
    "set_user_id": Wall(
        "giving a file its owner's rights",
        "files can be made that run with their owner's rights (set-user-ID), outside too",
        _set_user_id,
    ),
    "settings": Wall(
        "reading our settings in a folder that may be read",
        "settings and state of analystd can be read where they lie in a folder of AGENT_READ_ONLY_PATHS",
        _settings,
    ),
    "fifo": Wall(
        "writing to a FIFO in a folder that may be read",
        "FIFOs in folders of AGENT_READ_ONLY_PATHS can be written to",
        _fifo,
        is_required=False,
    ),
    "readable_socket": Wall(
        "connecting to a socket in a folder that may be read",
        "sockets in folders of AGENT_READ_ONLY_PATHS can be connected to (of an ssh agent, of Docker)",
        _readable_socket,
        is_required=False,
    ),
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
"""All walls, with the description that users see where one does not hold."""

if __name__ == "__main__":
    main()
