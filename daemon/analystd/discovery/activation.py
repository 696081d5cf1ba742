"""Take over a listening socket from systemd, as sd_listen_fds(3) describes: descriptor 3, for the process that `LISTEN_PID` names."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from analystd.wire.errors import DaemonLostError

_FIRST_DESCRIPTOR = 3
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def passed_socket(environment: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """Return the socket that was passed to this process, or None. The variables are removed, so that no child takes them for its own.

    Raises:
        DaemonLostError: when anything but one listening unix socket was passed.
    """
    pid, count = environment.get("LISTEN_PID"), environment.get("LISTEN_FDS")
    for name in _VARIABLES:
        environment.pop(name, None)
    if pid != str(os.getpid()) or count in (None, "0"):
        return None
    if count != "1":
        raise DaemonLostError(f"systemd passed {count} sockets instead of one", "Give the unit one ListenStream.")
    return _listening(_FIRST_DESCRIPTOR)


def _listening(descriptor: int) -> socket.socket:
    os.set_inheritable(descriptor, False)
    passed = socket.socket(fileno=descriptor)
    is_stream = passed.type == socket.SOCK_STREAM and passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if passed.family != socket.AF_UNIX or not is_stream:
        raise DaemonLostError(
            "The socket that systemd passed is not a listening unix stream socket", "See docs/systemd.md."
        )
    return passed
