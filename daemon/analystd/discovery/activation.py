"""A listening socket that systemd passes on, as sd_listen_fds(3) describes: descriptor 3, for the process that `LISTEN_PID` names."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from analystd.wire.errors import DaemonLostError

_FIRST_DESCRIPTOR = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def passed_socket(environment: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """The socket that was passed to this process, or None; the variables are taken away, so that no child believes it is meant.

    Raises:
        DaemonLostError: when what was passed is not one listening unix socket.
    """
    pid, count = environment.get("LISTEN_PID"), environment.get("LISTEN_FDS")
    for name in _VARIABLES:
        environment.pop(name, None)
    if pid != str(os.getpid()) or count in (None, "0"):
        return None
    if count != "1":
        raise DaemonLostError(f"{count} sockets were passed, and one is taken", "Give the unit one ListenStream.")
    return _listening(_FIRST_DESCRIPTOR)


def _listening(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    passed = socket.socket(fileno=descriptor)
    is_stream = passed.type == socket.SOCK_STREAM and passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if passed.family != socket.AF_UNIX or not is_stream:
        raise DaemonLostError("The socket that was passed is no listening unix stream socket", "See docs/systemd.md.")
    return passed
