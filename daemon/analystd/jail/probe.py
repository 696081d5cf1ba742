"""The self-test of the walls: run behind them, it attempts what must not succeed, and prints what did.

As a program it needs the standard library only; the other half, which the daemon imports, says in words what the answers mean.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

NO_WALLS = "Python can read, change and send whatever your own account can"

WALLS = {
    "read": "files outside can be read",
    "list": "folders outside can be listed",
    "write": "files can be made outside",
    "truncate": "files outside can be emptied",
    "network": "the network can be reached",
    "trace": "other processes can be read and changed",
    "namespace": "new namespaces can be made",
}
"""What must be refused at every level."""

GAPS = {
    "path_socket": "path sockets outside can be connected to (of a desktop's services, of Docker, of an ssh agent)",
    "abstract_socket": "abstract sockets outside can be connected to",
    "signal": "signals reach your other processes",
    "limit": "resource limits of your other processes can be changed",
    "metadata": "permissions and times of your files outside can be changed, though not what is in them",
    "stat": "it can be seen that a file outside exists, how large it is and when it was changed",
    "processes": "names and command lines of other processes can be seen",
    "shared_memory": "shared memory of your other programs (/dev/shm) can be read and changed",
}
"""What is told to the user where it is not refused."""

_PTRACE_SEIZE = 0x4206
_CLONE_NEWUSER = 0x10000000


def broken_walls(passed: Mapping[str, bool]) -> list[str]:
    """The walls that did not hold, in words; an attempt that was not made counts as one that succeeded."""
    return [words for name, words in WALLS.items() if passed.get(name, True)]


def gaps(passed: Mapping[str, bool]) -> tuple[str, ...]:
    """What the walls do not stop, in words."""
    return tuple(words for name, words in GAPS.items() if passed.get(name, True))


def main() -> None:
    """Attempt everything and print a JSON object: attempt to whether it succeeded."""
    things = json.loads(sys.argv[1])
    json.dump({name: _succeeds(attempt, things) for name, attempt in _ATTEMPTS.items()}, sys.stdout)


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


def _shared_memory(things: dict[str, Any]) -> None:
    os.close(os.open(things["shared_memory"], os.O_RDWR))


_ATTEMPTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "read": _read,
    "list": _list,
    "write": _write,
    "truncate": _truncate,
    "network": _network,
    "path_socket": _path_socket,
    "abstract_socket": _abstract_socket,
    "signal": _signal,
    "limit": _limit,
    "trace": _trace,
    "namespace": _namespace,
    "metadata": _metadata,
    "stat": _stat,
    "processes": _processes,
    "shared_memory": _shared_memory,
}

if __name__ == "__main__":
    main()
