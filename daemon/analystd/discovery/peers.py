"""Who is at the other end of a unix socket: neither the daemon nor its clients speak to strangers."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

from analystd.discovery.registry import DaemonInfo, activation_socket
from analystd.wire.errors import DaemonLostError

_CREDENTIALS = struct.Struct("3i")


def peer_of(connection: socket.socket) -> tuple[int, int] | None:
    """Return the process and the user at the other end, or None where the system does not say.

    The process is 0 for one that cannot be seen from here, as outside of a container.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    pid, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


def is_own_user(connection: socket.socket) -> bool:
    """Return whether the other end belongs to this user."""
    peer = peer_of(connection)
    return peer is None or peer[1] == os.getuid()


def require_own_socket(path: Path) -> None:
    """Refuse to connect to what is no socket, or to one that another user made.

    Raises:
        DaemonLostError: that says so.
        OSError: when there is nothing.
    """
    about = path.lstat()
    if not stat.S_ISSOCK(about.st_mode):
        raise DaemonLostError(f"{path} is no socket")
    if about.st_uid != os.getuid():
        raise DaemonLostError(f"{path} belongs to another user")


def require_daemon(connection: socket.socket, card: DaemonInfo) -> None:
    """Refuse to tell the token to a process that is not the daemon of the card. On a socket of systemd's, systemd itself listens.

    Raises:
        DaemonLostError: that says who listens.
    """
    peer = peer_of(connection)
    if peer is None:
        return
    pid, uid = peer
    if uid != os.getuid():
        raise DaemonLostError(f"Another user listens on {card.socket}")
    if pid not in (0, card.pid) and card.socket != activation_socket():
        raise DaemonLostError(f"Another process (pid {pid}) listens on {card.socket}")
