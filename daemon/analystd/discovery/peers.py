"""Check who is at the other end of a unix socket: the daemon and its clients talk only to processes of the same user."""

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
    """Return the pid and the user id at the other end; None on systems that do not provide them.

    The pid is 0 for a process outside of this container.
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
    """Check that a path is a socket of this user.

    Raises:
        DaemonLostError: when it is not a socket, or belongs to another user.
        OSError: when nothing is there.
    """
    about = path.lstat()
    if not stat.S_ISSOCK(about.st_mode):
        raise DaemonLostError(f"{path} is not a socket")
    if about.st_uid != os.getuid():
        raise DaemonLostError(f"{path} belongs to another user")


def require_daemon(connection: socket.socket, card: DaemonInfo) -> None:
    """Check that the daemon of the card listens, before it is sent the token. On a socket of systemd, systemd listens.

    Raises:
        DaemonLostError: when another process listens.
    """
    peer = peer_of(connection)
    if peer is None:
        return
    pid, uid = peer
    if uid != os.getuid():
        raise DaemonLostError(f"Another user listens on {card.socket}")
    if pid not in (0, card.pid) and card.socket != activation_socket():
        raise DaemonLostError(f"Another process (pid {pid}) listens on {card.socket}")
